"""Tiny checkpoints with random towers, and tiny drafters (numpy only).

`tower`: as E2B and E4B, clipped, with sound. `standard`: as 26B-A4B and 31B, standardized, without. `unified`: as 12B.
Rows of some matrices are no multiple of 32.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tests import checkpoints
from tests.checkpoints import Checkpoint

Kind = Literal["tower", "standard", "unified"]
KINDS: tuple[Kind, ...] = ("tower", "standard", "unified")
TEXT: dict[Kind, checkpoints.Kind] = {"tower": "ple", "standard": "moe", "unified": "dense"}

_VISION: dict[Kind, dict[str, Any]] = {
    "tower": {"use_clipped_linears": True, "standardize": False},
    "standard": {"use_clipped_linears": False, "standardize": True},
}
_TRANSFORMER = {
    "model_type": "gemma4_vision",
    "hidden_size": 96,
    "intermediate_size": 144,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 24,
    "patch_size": 16,
    "pooling_kernel_size": 3,
    "position_embedding_size": 384,
}
_CONFORMER = {
    "model_type": "gemma4_audio",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "subsampling_conv_channels": [128, 8],
    "output_proj_dims": 48,
    "use_clipped_linears": True,
}
_BOUNDS = {"input_min": -9.0, "input_max": 9.0, "output_min": -np.inf, "output_max": 2.5}


def make(kind: Kind, seed: int = 0, **changes: Any) -> Checkpoint:
    """A checkpoint of text and towers in memory; `changes` go into its text_config."""
    checkpoint = checkpoints.make(TEXT[kind], seed, **changes)
    config = checkpoint.config
    if kind == "unified":
        config |= {"architectures": ["Gemma4UnifiedForConditionalGeneration"], "model_type": "gemma4_unified"}
        checkpoint.text["model_type"] = "gemma4_unified_text"
        width = checkpoint.text["hidden_size"]
        sizes = {"patch_size": 16, "mm_embed_dim": width, "mm_posemb_size": 64, "output_proj_dims": width}
        config["vision_config"] = {"model_type": "gemma4_unified_vision", **sizes}
        config["audio_config"] = {"model_type": "gemma4_unified_audio", "audio_embed_dim": 640}
    else:
        config["vision_config"] = {**_TRANSFORMER, **_VISION[kind]}
        config["audio_config"] = dict(_CONFORMER) if kind == "tower" else None
    rng = np.random.default_rng([seed, 1])
    shapes = dict(_shapes(config))
    checkpoint.tensors |= {f"model.{name}": _values(rng, name, shape) for name, shape in shapes.items()}
    return checkpoint


def write(folder: Path, checkpoint: Checkpoint, shards: int = 1) -> Path:
    """Write the folder with the processor's settings."""
    checkpoints.write(folder, checkpoint, shards)
    image = {"do_normalize": False, "image_mean": [0.0, 0.0, 0.0], "image_std": [1.0, 1.0, 1.0], "patch_size": 16}
    checkpoints.write_json(folder / "processor_config.json", {"audio_seq_length": 750, "image_processor": image})
    return folder


def make_drafter(target: Checkpoint, seed: int = 0, **changes: Any) -> Checkpoint:
    """A drafter of three layers for a model, with heads as that has them; `changes` go into its text_config."""
    text = {
        **target.text,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "num_kv_shared_layers": 3,
        "intermediate_size": 160,
        "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": 0,
        "use_double_wide_mlp": False,
        "enable_moe_block": False,
        "num_experts": None,
        "top_k_experts": None,
        "moe_intermediate_size": None,
        "final_logit_softcapping": None,
        **changes,
    }
    unified = text["model_type"] == "gemma4_unified_text"
    config = {
        "architectures": ["Gemma4UnifiedAssistantForCausalLM" if unified else "Gemma4AssistantForCausalLM"],
        "model_type": "gemma4_unified_assistant" if unified else "gemma4_assistant",
        "dtype": "bfloat16",
        "backbone_hidden_size": target.text["hidden_size"],
        "text_config": text,
        "tie_word_embeddings": True,
        "use_ordered_embeddings": True,
        "num_centroids": 4,
    }
    wide, narrow = config["backbone_hidden_size"], text["hidden_size"]
    shapes = {
        name.replace("language_model.", ""): shape
        for name, shape in checkpoints.shapes(text).items()
        if "k_proj" not in name and "v_proj" not in name and "k_norm" not in name
    }
    shapes["pre_projection.weight"], shapes["post_projection.weight"] = (narrow, 2 * wide), (wide, narrow)
    shapes["masked_embedding.centroids.weight"] = (4, narrow)
    rng = np.random.default_rng([seed, 2])
    return Checkpoint(config, {name: checkpoints.values(rng, name, shape) for name, shape in shapes.items()})


def _values(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    last = name.rsplit(".", 1)[-1]
    if last in _BOUNDS:
        return np.array(_BOUNDS[last], np.float32)
    if last == "per_dim_scale":
        return rng.normal(0, 2, shape).astype(np.float32)
    if last in ("bias", "std_bias"):
        return rng.normal(0, 0.1, shape).astype(np.float32)
    if "pos" in last:
        return rng.normal(0, 0.3, shape).astype(np.float32)
    if len(shape) == 4:
        return rng.normal(0, 0.3, shape).astype(np.float32)
    return checkpoints.values(rng, name, shape)


def _shapes(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tower's tensors with their shapes, the names without `model.`."""
    text, vision, audio = config["text_config"]["hidden_size"], config["vision_config"], config["audio_config"]
    if vision["model_type"] == "gemma4_unified_vision":
        yield from _unified_shapes(text, vision)
        return
    width, ffn, head = vision["hidden_size"], vision["intermediate_size"], vision["head_dim"]
    yield "vision_tower.patch_embedder.input_proj.weight", (width, 3 * vision["patch_size"] ** 2)
    yield "vision_tower.patch_embedder.position_embedding_table", (2, vision["position_embedding_size"], width)
    yield "embed_vision.embedding_projection.weight", (text, width)
    if vision["standardize"]:
        yield "vision_tower.std_bias", (width,)
        yield "vision_tower.std_scale", (width,)
    for index in range(vision["num_hidden_layers"]):
        layer = f"vision_tower.encoder.layers.{index}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield from _linear(f"{layer}.self_attn.{name}", (width, width), vision)
        for name, shape in {"gate_proj": (ffn, width), "up_proj": (ffn, width), "down_proj": (width, ffn)}.items():
            yield from _linear(f"{layer}.mlp.{name}", shape, vision)
        for name in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
            yield f"{layer}.{name}_layernorm.weight", (width,)
        yield f"{layer}.self_attn.q_norm.weight", (head,)
        yield f"{layer}.self_attn.k_norm.weight", (head,)
    if audio:
        yield from _audio_shapes(text, audio)


def _audio_shapes(text: int, audio: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, (first, second) = audio["hidden_size"], audio["subsampling_conv_channels"]
    out = audio["output_proj_dims"]
    tower = "audio_tower.subsample_conv_projection"
    yield f"{tower}.layer0.conv.weight", (first, 1, 3, 3)
    yield f"{tower}.layer0.norm.weight", (first,)
    yield f"{tower}.layer1.conv.weight", (second, first, 3, 3)
    yield f"{tower}.layer1.norm.weight", (second,)
    yield f"{tower}.input_proj_linear.weight", (width, 32 * second)
    yield "audio_tower.output_proj.weight", (out, width)
    yield "audio_tower.output_proj.bias", (out,)
    yield "embed_audio.embedding_projection.weight", (text, out)
    for index in range(audio["num_hidden_layers"]):
        layer = f"audio_tower.layers.{index}"
        for name in ("feed_forward1", "feed_forward2"):
            yield from _linear(f"{layer}.{name}.ffw_layer_1", (4 * width, width), audio)
            yield from _linear(f"{layer}.{name}.ffw_layer_2", (width, 4 * width), audio)
            yield f"{layer}.{name}.pre_layer_norm.weight", (width,)
            yield f"{layer}.{name}.post_layer_norm.weight", (width,)
        for name in ("q_proj", "k_proj", "v_proj", "post"):
            yield from _linear(f"{layer}.self_attn.{name}", (width, width), audio)
        yield f"{layer}.self_attn.relative_k_proj.weight", (width, width)
        yield f"{layer}.self_attn.per_dim_scale", (width // audio["num_attention_heads"],)
        yield from _linear(f"{layer}.lconv1d.linear_start", (2 * width, width), audio)
        yield from _linear(f"{layer}.lconv1d.linear_end", (width, width), audio)
        yield f"{layer}.lconv1d.depthwise_conv1d.weight", (width, 1, 5)
        for name in ("lconv1d.pre_layer_norm", "lconv1d.conv_norm", "norm_pre_attn", "norm_post_attn", "norm_out"):
            yield f"{layer}.{name}.weight", (width,)


def _unified_shapes(text: int, vision: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, pixels = vision["mm_embed_dim"], 3 * (3 * vision["patch_size"]) ** 2
    yield "vision_embedder.pos_embedding", (vision["mm_posemb_size"], 2, width)
    yield "vision_embedder.patch_dense.weight", (width, pixels)
    yield "vision_embedder.patch_dense.bias", (width,)
    for name, size in {"patch_ln1": pixels, "patch_ln2": width, "pos_norm": width}.items():
        yield f"vision_embedder.{name}.weight", (size,)
        yield f"vision_embedder.{name}.bias", (size,)
    yield "embed_vision.embedding_projection.weight", (text, width)
    yield "embed_audio.embedding_projection.weight", (text, 640)


def _linear(name: str, shape: tuple[int, ...], tower: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.linear.weight", shape
    if tower["use_clipped_linears"]:
        for bound in _BOUNDS:
            yield f"{name}.{bound}", ()
