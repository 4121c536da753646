"""Tiny Gemma 4 checkpoints with random weights, in the three builds of the family (numpy only).

`dense` (12B, 31B): keys are values in full layers. `moe` (26B-A4B): that, and experts beside each dense network.
`ple` (E2B, E4B): embeddings for each layer, double-wide networks, and last layers without keys and values.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["dense", "moe", "ple"]
KINDS: tuple[Kind, ...] = ("dense", "moe", "ple")

SPECIAL = (
    *("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"),
    *("<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'),
    *("<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>"),
)
CHARACTERS = "\u2581abcdefghijklmnopqrstuvwxyz\n"
MERGES = [("t", "h"), ("th", "e"), ("\u2581", "the"), ("a", "n"), ("an", "d"), ("\u2581", "a"), ("i", "n")]
TEMPLATE = "{{ bos_token }}{% for m in messages %}<|turn>{{ m.role }}\n{{ m.content }}<turn|>\n{% endfor %}"

_KINDS: dict[Kind, dict[str, Any]] = {
    "dense": {
        "num_hidden_layers": 6,
        "layer_types": "sssssf",
        "num_key_value_heads": 2,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
        "intermediate_size": 512,
        "hidden_size_per_layer_input": 0,
        "use_bidirectional_attention": "vision",
    },
    "moe": {
        "num_hidden_layers": 6,
        "layer_types": "sssssf",
        "num_key_value_heads": 2,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
        "intermediate_size": 288,
        "hidden_size_per_layer_input": 0,
        "enable_moe_block": True,
        "num_experts": 8,
        "top_k_experts": 2,
        "moe_intermediate_size": 96,
        "use_bidirectional_attention": "vision",
    },
    "ple": {
        "num_hidden_layers": 9,
        "layer_types": "ssssfsssf",
        "num_key_value_heads": 1,
        "num_kv_shared_layers": 4,
        "use_double_wide_mlp": True,
        "hidden_size_per_layer_input": 64,
        "intermediate_size": 256,
    },
}
_LAYER_TYPES = {"s": "sliding_attention", "f": "full_attention"}


@dataclass
class Checkpoint:
    """A checkpoint that a test may change before it is written."""

    config: dict[str, Any]
    tensors: dict[str, NDArray[np.float32]]
    dtypes: dict[str, str] = field(default_factory=dict)
    """Of tensors that are not BF16."""

    @property
    def text(self) -> dict[str, Any]:
        return self.config["text_config"]


def make(kind: Kind, seed: int = 0, **changes: Any) -> Checkpoint:
    """A checkpoint in memory; `changes` go into its text_config."""
    vocab_size = len(vocabulary())
    text = {
        "model_type": "gemma4_text",
        "vocab_size": vocab_size,
        "vocab_size_per_layer_input": vocab_size,
        "hidden_size": 256,
        "head_dim": 32,
        "global_head_dim": 64,
        "num_attention_heads": 4,
        "num_kv_shared_layers": 0,
        "use_double_wide_mlp": False,
        "attention_k_eq_v": False,
        "enable_moe_block": False,
        "num_experts": None,
        "top_k_experts": None,
        "moe_intermediate_size": None,
        "num_global_key_value_heads": None,
        "sliding_window": 16,
        "max_position_embeddings": 1024,
        "final_logit_softcapping": 30.0,
        "rms_norm_eps": 1e-6,
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "rope_parameters": {
            "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
            "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
        },
        **_KINDS[kind],
        **changes,
    }
    text["layer_types"] = [_LAYER_TYPES[letter] for letter in text["layer_types"]]
    config = {
        "architectures": ["Gemma4ForConditionalGeneration"],
        "model_type": "gemma4",
        "dtype": "bfloat16",
        "text_config": text,
        "vision_config": None,
        "audio_config": None,
        "tie_word_embeddings": True,
    }
    rng = np.random.default_rng(seed)
    return Checkpoint(config, {name: values(rng, name, shape) for name, shape in shapes(text).items()})


def with_tail(made: Checkpoint) -> Checkpoint:
    """As Google's own files: also the last layers, which use the keys and values of others, have some."""
    text, rng = made.text, np.random.default_rng(3)
    count = text["num_hidden_layers"]
    for index in range(count - text["num_kv_shared_layers"], count):
        head = text["global_head_dim" if text["layer_types"][index] == "full_attention" else "head_dim"]
        layer = f"model.language_model.layers.{index}.self_attn"
        for name in ("k_proj", "v_proj"):
            shape = (text["num_key_value_heads"] * head, text["hidden_size"])
            made.tensors[f"{layer}.{name}.weight"] = rng.standard_normal(shape).astype(np.float32) / 16
        made.tensors[f"{layer}.k_norm.weight"] = np.ones(head, np.float32)
    return made


def mixed(made: Checkpoint) -> Checkpoint:
    """The three types side by side, as merging tools leave them."""
    for number, name in enumerate(made.tensors):
        made.dtypes[name] = ("BF16", "F16", "F32")[number % 3]
    return made


def write(folder: Path, checkpoint: Checkpoint, shards: int = 1) -> Path:
    """Write the folder as Hugging Face would; with several shards there is an index."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", checkpoint.config)
    generation = {"eos_token_id": [1, 16], "temperature": 1.0, "top_k": 64, "top_p": 0.95}
    write_json(folder / "generation_config.json", generation)
    write_tokenizer(folder)
    names = list(checkpoint.tensors)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", checkpoint, names)
        return folder
    places = {}
    for shard in range(shards):
        path = folder / f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        write_safetensors(path, checkpoint, names[shard::shards])
        places |= dict.fromkeys(names[shard::shards], path.name)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})
    return folder


def write_safetensors(path: Path, checkpoint: Checkpoint, names: list[str]) -> None:
    """Write some of the tensors into one file."""
    header, data, offset = {}, [], 0
    for name in names:
        dtype = checkpoint.dtypes.get(name, "BF16")
        values = checkpoint.tensors[name]
        raw = encoded(values, dtype)
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [offset, offset + len(raw)]}
        data.append(raw)
        offset += len(raw)
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(data))


def encoded(values: NDArray[np.float32], dtype: str) -> bytes:
    """The bytes of values as a safetensors type."""
    match dtype:
        case "BF16":
            bits = values.astype(np.float32).view(np.uint32)
            return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2").tobytes()
        case "F16":
            return values.astype("<f2").tobytes()
        case "F32":
            return values.astype("<f4").tobytes()
        case _:
            return values.astype(np.uint8).tobytes()


def vocabulary() -> dict[str, int]:
    """The tokens with their ids."""
    pieces = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *CHARACTERS, *(a + b for a, b in MERGES)]
    return {piece: number for number, piece in enumerate(pieces)}


def write_tokenizer(folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja, in the form of Google's."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    bos, first, second = ({"SpecialToken": {"id": "<bos>", "type_id": 0}}, _sequence("A", 0), _sequence("B", 1))
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": name, **flags} for number, name in enumerate(SPECIAL)],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, first],
            "pair": [bos, first, {"SpecialToken": {"id": "<bos>", "type_id": 1}}, second],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary(),
            "merges": [list(merge) for merge in MERGES],
        },
    }
    settings = {
        "tokenizer_class": "GemmaTokenizer",
        **{f"{role}_token": f"<{role}>" for role in ("bos", "eos", "pad", "unk", "mask")},
        **{"sot_token": "<|turn>", "eot_token": "<turn|>", "std_token": "<|tool>", "etd_token": "<tool|>"},
        "extra_special_tokens": ["<|think|>"],
        "model_max_length": 1024,
        "padding_side": "left",
    }
    write_json(folder / "tokenizer.json", tokenizer)
    write_json(folder / "tokenizer_config.json", settings)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one JSON file."""
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _sequence(name: str, kind: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": kind}}


def values(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Values of a size that keeps the activations alive, with norms and scales that are not all one."""
    if len(shape) == 1:
        return rng.uniform(0.7, 1.3, shape).astype(np.float32)
    scale = 0.05 if "embed_tokens" in name else 0.6 / shape[-1] ** 0.5
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def shapes(text: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape, by name."""
    hidden, vocab, count = text["hidden_size"], text["vocab_size"], text["num_hidden_layers"]
    found: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (vocab, hidden), "norm.weight": (hidden,)}
    if width := text["hidden_size_per_layer_input"]:
        found["embed_tokens_per_layer.weight"] = (vocab, width * count)
        found["per_layer_model_projection.weight"] = (width * count, hidden)
        found["per_layer_projection_norm.weight"] = (width,)
    for index in range(count):
        found |= {f"layers.{index}.{name}": shape for name, shape in _layer_shapes(text, index).items()}
    return {f"model.language_model.{name}": shape for name, shape in found.items()}


def _layer_shapes(text: Mapping[str, Any], index: int) -> dict[str, tuple[int, ...]]:
    hidden, owning = text["hidden_size"], text["num_hidden_layers"] - text["num_kv_shared_layers"]
    full = text["layer_types"][index] == "full_attention"
    alternative = full and text["attention_k_eq_v"]
    head = text["global_head_dim"] if full else text["head_dim"]
    queries = text["num_attention_heads"] * head
    kv = (text["num_global_key_value_heads"] if alternative else text["num_key_value_heads"]) * head
    ffn = text["intermediate_size"] * (2 if text["use_double_wide_mlp"] and index >= owning else 1)
    shapes: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (hidden,),
        "post_attention_layernorm.weight": (hidden,),
        "pre_feedforward_layernorm.weight": (hidden,),
        "post_feedforward_layernorm.weight": (hidden,),
        "layer_scalar": (1,),
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.q_norm.weight": (head,),
        "self_attn.o_proj.weight": (hidden, queries),
        "mlp.gate_proj.weight": (ffn, hidden),
        "mlp.up_proj.weight": (ffn, hidden),
        "mlp.down_proj.weight": (hidden, ffn),
    }
    if index < owning:
        shapes["self_attn.k_proj.weight"] = (kv, hidden)
        shapes["self_attn.k_norm.weight"] = (head,)
        if not alternative:
            shapes["self_attn.v_proj.weight"] = (kv, hidden)
    if width := text["hidden_size_per_layer_input"]:
        shapes["per_layer_input_gate.weight"] = (width, hidden)
        shapes["per_layer_projection.weight"] = (hidden, width)
        shapes["post_per_layer_input_norm.weight"] = (hidden,)
    if text["enable_moe_block"]:
        experts, wide = text["num_experts"], text["moe_intermediate_size"]
        shapes["router.proj.weight"] = (experts, hidden)
        shapes["router.scale"] = (hidden,)
        shapes["router.per_expert_scale"] = (experts,)
        shapes["experts.gate_up_proj"] = (experts, 2 * wide, hidden)
        shapes["experts.down_proj"] = (experts, hidden, wide)
        shapes["pre_feedforward_layernorm_2.weight"] = (hidden,)
        shapes["post_feedforward_layernorm_1.weight"] = (hidden,)
        shapes["post_feedforward_layernorm_2.weight"] = (hidden,)
    return shapes
