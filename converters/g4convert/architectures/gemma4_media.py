"""Gemma 4's towers of E2B, E4B, 26B-A4B and 31B: a transformer that sees, and a conformer that hears (E2B, E4B only).

Where layers are clipped, each weight stands beside four bounds, of what goes into it and of what comes out. What
llama.cpp's graphs have built in (tools/mtmd/models/gemma4v.cpp, gemma4a.cpp) is refused here where a config.json says
otherwise.
"""

from collections.abc import Iterator
from functools import partial

from g4convert.architectures.numbers import Numbers
from g4convert.media import TowerSpec
from g4convert.plan import Rule
from g4convert.quants import Role
from g4convert.transforms import channels_first, softplus

MODEL_TYPES = ("gemma4_vision",)
SEEING, HEARING = ("vision_tower.", "embed_vision."), ("audio_tower.", "embed_audio.")
"""Beginnings of the names, without prefix, of each tower's tensors."""

_VISION_ONLY = {
    "hidden_activation": "gelu_pytorch_tanh",
    "attention_bias": False,
    "pooling_kernel_size": 3,
    "rms_norm_eps": 1e-6,
}
_AUDIO_ONLY = {
    "hidden_act": "silu",
    "conv_kernel_size": 5,
    "residual_weight": 0.5,
    "attention_chunk_size": 12,
    "attention_context_left": 13,
    "attention_context_right": 0,
    "attention_logit_cap": 50,
    "rms_norm_eps": 1e-6,
}
_ROPE_BASE = 100
_BANDS = 128
_BANDS_LEFT = _BANDS // 4
"""After two convolutions of stride 2."""
_CHANNELS = (128, 32)
"""Of these convolutions."""
_MOST_LAYERS = 128
"""llama.cpp's converter has names for no more."""
_BOUNDS = ("input_min", "input_max", "output_min", "output_max")

Row = tuple[str, str, tuple[int, ...], Role]
"""A tensor of the checkpoint, its name in the GGUF, its shape and role."""


def vision(numbers: Numbers, text_width: int) -> tuple[TowerSpec, list[Rule]]:
    """The tower for images from its vision_config, and what becomes of its tensors; BadCheckpoint names a bad key."""
    for key, value in _VISION_ONLY.items():
        numbers.expect(key, value)
    numbers.table("rope_parameters", {}).expect("rope_theta", _ROPE_BASE)
    width, ffn = numbers.count("hidden_size", 768), numbers.count("intermediate_size", 3072)
    heads, layers = numbers.count("num_attention_heads", 12), numbers.count("num_hidden_layers", 16, most=_MOST_LAYERS)
    head = numbers.count("head_dim", 64)
    if heads * head != width:
        raise numbers.bad("num_attention_heads", f"must make {width} with heads of {head}, not {heads}")
    if head % 4:
        raise numbers.bad("head_dim", f"must be a multiple of 4, not {head}")
    numbers.expect("num_key_value_heads", heads)
    patch, positions = numbers.count("patch_size", 16), numbers.count("position_embedding_size", 10240)
    standardized, clipped = numbers.flag("standardize"), numbers.flag("use_clipped_linears")
    rules = [
        Rule("vision_tower.std_bias", "v.std_bias", (width,), "exact", required=standardized),
        Rule("vision_tower.std_scale", "v.std_scale", (width,), "exact", required=standardized),
        Rule(
            "vision_tower.patch_embedder.position_embedding_table",
            "v.position_embd.weight",
            (2, positions, width),
            "exact",
        ),
        Rule(
            "vision_tower.patch_embedder.input_proj.weight",
            "v.patch_embd.weight",
            (width, 3, patch, patch),
            "patches",
            source_shape=(width, 3 * patch * patch),
            transform=partial(channels_first, patch),
        ),
        Rule("embed_vision.embedding_projection.weight", "mm.input_projection.weight", (text_width, width), "linear"),
    ]
    for index in range(layers):
        rules += _seeing(index, width, ffn, head, clipped)
    return TowerSpec("gemma4v", width, ffn, layers, heads, patch=patch), rules


def audio(numbers: Numbers, text_width: int) -> tuple[TowerSpec, list[Rule]]:
    """The tower for sound from its audio_config, and what becomes of its tensors; BadCheckpoint names a bad key."""
    for key, value in _AUDIO_ONLY.items():
        numbers.expect(key, value)
    numbers.expect("input_feat_size", _BANDS)
    width, heads = numbers.count("hidden_size", 1024), numbers.count("num_attention_heads", 8)
    layers, out = numbers.count("num_hidden_layers", 12, most=_MOST_LAYERS), numbers.count("output_proj_dims", 1536)
    if width % heads or width % 2:
        raise numbers.bad("hidden_size", f"must be even and a multiple of the {heads} heads, not {width}")
    first, second = numbers.counts("subsampling_conv_channels", _CHANNELS)
    convolved, projected = "audio_tower.subsample_conv_projection", "audio_tower.output_proj"
    rows: list[Row] = [
        (f"{convolved}.layer0.conv.weight", "a.conv1d.0.weight", (first, 1, 3, 3), "exact"),
        (f"{convolved}.layer0.norm.weight", "a.conv1d.0.norm.weight", (first,), "exact"),
        (f"{convolved}.layer1.conv.weight", "a.conv1d.1.weight", (second, first, 3, 3), "exact"),
        (f"{convolved}.layer1.norm.weight", "a.conv1d.1.norm.weight", (second,), "exact"),
        (f"{convolved}.input_proj_linear.weight", "a.input_projection.weight", (width, second * _BANDS_LEFT), "exact"),
        (f"{projected}.weight", "a.pre_encode.out.weight", (out, width), "linear"),
        (f"{projected}.bias", "a.pre_encode.out.bias", (out,), "exact"),
        ("embed_audio.embedding_projection.weight", "mm.a.input_projection.weight", (text_width, out), "linear"),
    ]
    rules = [Rule(*row) for row in rows]
    for index in range(layers):
        rules += _hearing(index, width, width // heads, numbers.flag("use_clipped_linears", True))
    return TowerSpec("gemma4a", width, 4 * width, layers, heads, bands=_BANDS), rules


def _seeing(index: int, width: int, ffn: int, head: int, clipped: bool) -> Iterator[Rule]:
    """The rules of one layer of the tower for images."""
    source, target = f"vision_tower.encoder.layers.{index}", f"v.blk.{index}"
    for there, here, shape in (
        ("self_attn.q_proj", "attn_q", (width, width)),
        ("self_attn.k_proj", "attn_k", (width, width)),
        ("self_attn.v_proj", "attn_v", (width, width)),
        ("self_attn.o_proj", "attn_out", (width, width)),
        ("mlp.gate_proj", "ffn_gate", (ffn, width)),
        ("mlp.up_proj", "ffn_up", (ffn, width)),
        ("mlp.down_proj", "ffn_down", (width, ffn)),
    ):
        yield from _clippable(f"{source}.{there}", f"{target}.{here}", shape, clipped)
    for there, here, size in (
        ("self_attn.q_norm", "attn_q_norm", head),
        ("self_attn.k_norm", "attn_k_norm", head),
        ("input_layernorm", "ln1", width),
        ("post_attention_layernorm", "attn_post_norm", width),
        ("pre_feedforward_layernorm", "ln2", width),
        ("post_feedforward_layernorm", "ffn_post_norm", width),
    ):
        yield Rule(f"{source}.{there}.weight", f"{target}.{here}.weight", (size,), "exact")


def _hearing(index: int, width: int, head: int, clipped: bool) -> Iterator[Rule]:
    """The rules of one layer of the tower for sound.

    llama.cpp's converter calls the norm before the convolutions `conv_norm`, and the one inside `norm_conv`.
    """
    source, target = f"audio_tower.layers.{index}", f"a.blk.{index}"
    for there, here, shape in (
        ("feed_forward1.ffw_layer_1", "ffn_up", (4 * width, width)),
        ("feed_forward1.ffw_layer_2", "ffn_down", (width, 4 * width)),
        ("feed_forward2.ffw_layer_1", "ffn_up_1", (4 * width, width)),
        ("feed_forward2.ffw_layer_2", "ffn_down_1", (width, 4 * width)),
        ("self_attn.q_proj", "attn_q", (width, width)),
        ("self_attn.k_proj", "attn_k", (width, width)),
        ("self_attn.v_proj", "attn_v", (width, width)),
        ("self_attn.post", "attn_out", (width, width)),
        ("lconv1d.linear_start", "conv_pw1", (2 * width, width)),
        ("lconv1d.linear_end", "conv_pw2", (width, width)),
    ):
        yield from _clippable(f"{source}.{there}", f"{target}.{here}", shape, clipped)
    for there, here in (
        ("feed_forward1.pre_layer_norm", "ffn_norm"),
        ("feed_forward1.post_layer_norm", "ffn_post_norm"),
        ("feed_forward2.pre_layer_norm", "ffn_norm_1"),
        ("feed_forward2.post_layer_norm", "ffn_post_norm_1"),
        ("lconv1d.pre_layer_norm", "conv_norm"),
        ("lconv1d.conv_norm", "norm_conv"),
        ("norm_pre_attn", "attn_pre_norm"),
        ("norm_post_attn", "attn_post_norm"),
        ("norm_out", "ln2"),
    ):
        yield Rule(f"{source}.{there}.weight", f"{target}.{here}.weight", (width,), "exact")
    related, kernel = f"{source}.self_attn.relative_k_proj.weight", f"{source}.lconv1d.depthwise_conv1d.weight"
    yield Rule(related, f"{target}.attn_k_rel.weight", (width, width), "linear")
    yield Rule(kernel, f"{target}.conv_dw.weight", (width, 5), "exact", source_shape=(width, 1, 5))
    scale = f"{target}.per_dim_scale.weight"
    yield Rule(f"{source}.self_attn.per_dim_scale", scale, (head,), "exact", transform=softplus)


def _clippable(source: str, target: str, shape: tuple[int, ...], clipped: bool) -> Iterator[Rule]:
    """A weight, and the bounds beside it, scalars in the checkpoint."""
    yield Rule(f"{source}.linear.weight", f"{target}.weight", shape, "linear")
    for name in _BOUNDS:
        bound = Rule(f"{source}.{name}", f"{target}.{name}", (1,), "exact", clipped, source_shape=(), bound=True)
        yield bound
