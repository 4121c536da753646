"""Gemma 4's language model: E2B, E4B, 12B, 26B-A4B, 31B and any other size of the same build.

Two kinds of layers alternate: sliding ones see a window, full ones see all and have larger heads; the last one is full.
The last `num_kv_shared_layers` reuse the keys and values of the last owning layer of their kind. Where
`attention_k_eq_v` is set, full layers have no v_proj. Norms are stored as they are, nothing is transposed.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from g4convert.architectures.numbers import Numbers, bad
from g4convert.plan import Rule
from g4convert.quants import Role
from g4convert.spec import LayerSpec, ModelSpec
from g4convert.transforms import rope_factors

NAMES = (
    "Gemma4ForConditionalGeneration",
    "Gemma4ForCausalLM",
    "Gemma4UnifiedForConditionalGeneration",
    "Gemma4UnifiedForCausalLM",
)
MODEL_TYPES = ("gemma4", "gemma4_text", "gemma4_unified", "gemma4_unified_text")
PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.")
SKIPS = ("vision_tower.", "audio_tower.", "embed_vision.", "embed_audio.", "vision_embedder.")

_FULL, _SLIDING = "full_attention", "sliding_attention"
_MAX_LAYERS = 512
"""llama.cpp's LLAMA_MAX_LAYERS; more end the process that loads the file."""
_ONLY = {
    "hidden_activation": "gelu_pytorch_tanh",
    "attention_bias": False,
    "is_causal": True,
}
"""Keys that say something about the build, and the one value that llama.cpp's Gemma 4 is made for."""
_ROPE = {
    _FULL: {"rope_type": "proportional", "rope_theta": 1e6, "partial_rotary_factor": 0.25},
    _SLIDING: {"rope_type": "default", "rope_theta": 1e4},
}


def read(config: Mapping[str, Any], drafts_for: int = 0) -> ModelSpec:
    """The numbers of a config.json, all checked; BadCheckpoint names the key that is missing or impossible.

    A key that is missing has the value that transformers gives it (`Gemma4TextConfig`). `drafts_for`: the width of the
    model that a drafter belongs to, which lends it all keys and values; 0 for models that stand alone.
    """
    text = config.get("text_config")
    numbers = Numbers({**config, **text} if isinstance(text, dict) else config)
    for key, value in _ONLY.items():
        numbers.expect(key, value)
    if numbers.get("use_bidirectional_attention") == "all":
        raise bad("use_bidirectional_attention", "makes this an encoder, which can't chat")
    full, sliding = _rope(numbers, _FULL), _rope(numbers, _SLIDING)
    layers, by_layer = _layers(numbers, owns_none=drafts_for > 0)
    experts = numbers.count("num_experts") if numbers.flag("enable_moe_block") else 0
    return ModelSpec(
        architecture="gemma4-assistant" if drafts_for else "gemma4",
        vocab_size=numbers.count("vocab_size"),
        context=numbers.count("max_position_embeddings", 131072),
        hidden=numbers.count("hidden_size"),
        heads=numbers.count("num_attention_heads"),
        layers=layers,
        rope_base=full.real("rope_theta"),
        rope_fraction=full.real("partial_rotary_factor", 0.25, most=1.0),
        rope_base_sliding=sliding.real("rope_theta"),
        norm_epsilon=numbers.real("rms_norm_eps", 1e-6),
        experts=experts,
        experts_used=numbers.count("top_k_experts", most=experts) if experts else 0,
        expert_ffn=numbers.count("moe_intermediate_size") if experts else 0,
        softcap=numbers.real("final_logit_softcapping") if numbers.get("final_logit_softcapping") else 0.0,
        window=numbers.count("sliding_window", 512),
        shared_kv_layers=sum(not layer.owns_kv for layer in layers),
        per_layer_width=numbers.count("hidden_size_per_layer_input", 256, least=0),
        tied=numbers.flag("tie_word_embeddings", True),
        ffn_by_layer=numbers.flag("use_double_wide_mlp"),
        kv_heads_by_layer=by_layer,
        drafts_for=drafts_for,
    )


def rules(spec: ModelSpec) -> list[Rule]:
    """What becomes of each of the checkpoint's text tensors."""
    factors = partial(rope_factors, spec.head_size, spec.rope_fraction)
    wide = spec.per_layer_width * len(spec.layers)
    whole: list[tuple[str, str, tuple[int, ...], Role]] = [
        ("embed_tokens.weight", "token_embd.weight", (spec.vocab_size, spec.hidden), "embedding"),
        ("norm.weight", "output_norm.weight", (spec.hidden,), "exact"),
    ]
    if wide:
        whole += [
            ("embed_tokens_per_layer.weight", "per_layer_token_embd.weight", (spec.vocab_size, wide), "embedding"),
            ("per_layer_model_projection.weight", "per_layer_model_proj.weight", (wide, spec.hidden), "kept"),
            ("per_layer_projection_norm.weight", "per_layer_proj_norm.weight", (spec.per_layer_width,), "exact"),
        ]
    return [
        Rule("", "rope_freqs.weight", (spec.head_size // 2,), "exact", make=factors),
        Rule("lm_head.weight", "output.weight", (spec.vocab_size, spec.hidden), "output", required=not spec.tied),
        *(Rule(*row) for row in whole),
        *(rule for index, layer in enumerate(spec.layers) for rule in _layer_rules(spec, index, layer)),
    ]


def _layer_rules(spec: ModelSpec, index: int, layer: LayerSpec) -> Iterator[Rule]:
    """The rules of one layer; a layer that owns no keys and values may have them all the same."""
    hidden, head, ffn = spec.hidden, layer.head_size, layer.ffn
    queries, kv = spec.heads * head, layer.kv_heads * head
    rows: list[tuple[str, str, tuple[int, ...], Role]] = [
        ("input_layernorm.weight", "attn_norm.weight", (hidden,), "exact"),
        ("self_attn.q_proj.weight", "attn_q.weight", (queries, hidden), "attn_q"),
        ("self_attn.q_norm.weight", "attn_q_norm.weight", (head,), "exact"),
        ("self_attn.o_proj.weight", "attn_output.weight", (hidden, queries), "attn_output"),
        ("post_attention_layernorm.weight", "post_attention_norm.weight", (hidden,), "exact"),
        ("pre_feedforward_layernorm.weight", "ffn_norm.weight", (hidden,), "exact"),
        ("mlp.gate_proj.weight", "ffn_gate.weight", (ffn, hidden), "ffn_gate"),
        ("mlp.up_proj.weight", "ffn_up.weight", (ffn, hidden), "ffn_up"),
        ("mlp.down_proj.weight", "ffn_down.weight", (hidden, ffn), "ffn_down"),
        ("post_feedforward_layernorm.weight", "post_ffw_norm.weight", (hidden,), "exact"),
        ("layer_scalar", "layer_output_scale.weight", (1,), "exact"),
    ]
    if spec.experts:
        rows += _expert_rows(spec)
    if spec.per_layer_width:
        rows += [
            ("per_layer_input_gate.weight", "inp_gate.weight", (spec.per_layer_width, hidden), "linear"),
            ("per_layer_projection.weight", "proj.weight", (hidden, spec.per_layer_width), "linear"),
            ("post_per_layer_input_norm.weight", "post_norm.weight", (hidden,), "exact"),
        ]
    keys_values: list[tuple[str, str, tuple[int, ...], Role]] = [
        ("self_attn.k_proj.weight", "attn_k.weight", (kv, hidden), "attn_k"),
        ("self_attn.k_norm.weight", "attn_k_norm.weight", (head,), "exact"),
    ]
    if layer.has_v:
        keys_values.append(("self_attn.v_proj.weight", "attn_v.weight", (kv, hidden), "attn_v"))
    for source, target, shape, role in rows:
        yield Rule(f"layers.{index}.{source}", f"blk.{index}.{target}", shape, role)
    for source, target, shape, role in keys_values if not spec.drafts_for else ():
        yield Rule(f"layers.{index}.{source}", f"blk.{index}.{target}", shape, role, required=layer.owns_kv)


def _expert_rows(spec: ModelSpec) -> list[tuple[str, str, tuple[int, ...], Role]]:
    """The mixture of experts that stands beside the dense network of a layer."""
    hidden, experts, ffn = spec.hidden, spec.experts, spec.expert_ffn
    return [
        ("router.proj.weight", "ffn_gate_inp.weight", (experts, hidden), "exact"),
        ("router.scale", "ffn_gate_inp.scale", (hidden,), "exact"),
        ("router.per_expert_scale", "ffn_down_exps.scale", (experts,), "exact"),
        ("experts.gate_up_proj", "ffn_gate_up_exps.weight", (experts, 2 * ffn, hidden), "ffn_gate"),
        ("experts.down_proj", "ffn_down_exps.weight", (experts, hidden, ffn), "ffn_down"),
        ("pre_feedforward_layernorm_2.weight", "pre_ffw_norm_2.weight", (hidden,), "exact"),
        ("post_feedforward_layernorm_1.weight", "post_ffw_norm_1.weight", (hidden,), "exact"),
        ("post_feedforward_layernorm_2.weight", "post_ffw_norm_2.weight", (hidden,), "exact"),
    ]


def _layers(numbers: Numbers, owns_none: bool) -> tuple[tuple[LayerSpec, ...], bool]:
    """Every layer, and whether any has other key-value heads than the rest."""
    kinds = _kinds(numbers)
    shared = numbers.count("num_kv_shared_layers", 0, least=0, most=len(kinds) - (0 if owns_none else 1))
    if owns_none and shared not in (0, len(kinds)):
        raise bad("num_kv_shared_layers", "must be that of all layers of a drafter")
    owning = 0 if owns_none else len(kinds) - shared
    if 0 < owning < len(kinds) and kinds[owning - 2 : owning] != [_SLIDING, _FULL]:
        raise bad("num_kv_shared_layers", "must leave a sliding and a full layer as the last ones with their own keys")
    alternative = numbers.flag("attention_k_eq_v")
    layers, by_layer = [], False
    for index, kind in enumerate(kinds):
        head, kv_heads, differs = _heads(numbers, index, kind, alternative)
        by_layer = by_layer or differs
        wide = numbers.flag("use_double_wide_mlp") and 0 < owning <= index
        ffn = numbers.count("intermediate_size") * (2 if wide else 1)
        has_v = not (alternative and kind == _FULL)
        layers.append(LayerSpec(kind == _SLIDING, kv_heads, head, ffn, index < owning, has_v))
    for sliding in (True, False):
        if len({layer.head_size for layer in layers if layer.sliding is sliding}) > 1:
            raise bad("per_layer_config", "gives layers of one kind heads of different sizes")
    return tuple(layers), by_layer


def _kinds(numbers: Numbers) -> list[str]:
    count = numbers.count("num_hidden_layers", most=_MAX_LAYERS)
    kinds = numbers.get("layer_types")
    if kinds is None:
        kinds = [_FULL if index % 6 == 5 else _SLIDING for index in range(count)]
    if not isinstance(kinds, list) or len(kinds) != count or not set(map(str, kinds)) <= {_FULL, _SLIDING}:
        raise bad("layer_types", f"must be a list of {count} times {_SLIDING} or {_FULL}")
    return [*kinds[:-1], _FULL]


def _heads(numbers: Numbers, index: int, kind: str, alternative: bool) -> tuple[int, int, bool]:
    """A layer's head size and key-value heads, and whether these were given for it alone.

    Google's files give full layers `global_head_dim` and, where keys are values, `num_global_key_value_heads`;
    transformers saves both as `per_layer_config`.
    """
    everyone = Numbers({"head_dim": numbers.count("head_dim", 256), "kv": numbers.count("num_key_value_heads")})
    by_layer = numbers.table("per_layer_config", {})
    own = by_layer.table(str(index), {})
    head, kv_heads = own.get("head_dim"), own.get("num_key_value_heads")
    if kind == _FULL:
        head = numbers.get("global_head_dim") or head or (None if by_layer.values else 512)
        kv_heads = (numbers.get("num_global_key_value_heads") if alternative else None) or kv_heads
    chosen = Numbers({"head_dim": head or everyone.count("head_dim"), "kv_heads": kv_heads or everyone.count("kv")})
    size, groups = chosen.count("head_dim"), chosen.count("kv_heads")
    if size % 2:
        raise bad("head_dim", f"must be even, not {size}")
    if numbers.count("num_attention_heads") % groups:
        raise bad("num_attention_heads", f"must be a multiple of the {groups} key-value heads")
    return size, groups, kv_heads is not None


def _rope(numbers: Numbers, kind: str) -> Numbers:
    """The rotary embedding of one kind of layers."""
    rope = numbers.table("rope_parameters", _ROPE).table(kind)
    rope.expect("rope_type", _ROPE[kind]["rope_type"])
    return rope
