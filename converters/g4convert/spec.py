"""A model's numbers, and the GGUF keys that hold them."""

from dataclasses import dataclass

from g4convert.gguf import Value, bools, f32, i32s, u32
from g4convert.recipes import Traits


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One layer's numbers."""

    sliding: bool
    """True: the layer sees only the last `ModelSpec.window` tokens."""
    kv_heads: int
    head_size: int
    ffn: int
    """Width of the dense feed-forward network."""
    owns_kv: bool
    """False: keys and values are those of an earlier layer."""
    has_v: bool
    """False: the values are the keys before their norm."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model's numbers, checked and complete."""

    architecture: str
    """llama.cpp's name, the prefix of its keys."""
    vocab_size: int
    context: int
    hidden: int
    heads: int
    layers: tuple[LayerSpec, ...]
    rope_base: float
    """Base of the rotary frequencies in full layers."""
    rope_fraction: float
    """Share of a head's dimensions that full layers rotate."""
    rope_base_sliding: float
    norm_epsilon: float
    experts: int
    """0: no mixture of experts."""
    experts_used: int
    expert_ffn: int
    softcap: float
    """The output's logits are bent into ± this; 0: they are not."""
    window: int
    shared_kv_layers: int
    """How many of the last layers own no keys and values."""
    per_layer_width: int
    """Width of the embeddings that each layer has of its own; 0: none."""
    tied: bool
    """True: the embeddings are also the output matrix, so the checkpoint may lack one."""
    ffn_by_layer: bool
    """True: the file gives a feed-forward width for each layer."""
    kv_heads_by_layer: bool
    """True: the file gives the key-value heads for each layer."""
    drafts_for: int = 0
    """The width of the model that a drafter belongs to; 0: no drafter."""

    @property
    def head_size(self) -> int:
        """Dimensions of a head in full layers."""
        return next(layer.head_size for layer in self.layers if not layer.sliding)

    @property
    def head_size_sliding(self) -> int:
        """Dimensions of a head in sliding layers."""
        return next((layer.head_size for layer in self.layers if layer.sliding), self.head_size)


def traits(spec: ModelSpec) -> Traits:
    """What types depend on."""
    return Traits(len(spec.layers), spec.experts, spec.heads // spec.layers[0].kv_heads)


def keys(spec: ModelSpec, file_type: int) -> dict[str, Value]:
    """The keys of a model, in the order of llama.cpp's converter; `file_type` is the number of llama_ftype."""
    first = spec.layers[0]
    moe = spec.experts > 0
    entries: list[tuple[str, Value | None]] = [
        ("block_count", u32(len(spec.layers))),
        ("context_length", u32(spec.context)),
        ("embedding_length", u32(spec.hidden)),
        ("feed_forward_length", i32s([x.ffn for x in spec.layers]) if spec.ffn_by_layer else u32(first.ffn)),
        ("attention.head_count", u32(spec.heads)),
        (
            "attention.head_count_kv",
            i32s([x.kv_heads for x in spec.layers]) if spec.kv_heads_by_layer else u32(first.kv_heads),
        ),
        ("rope.freq_base", f32(spec.rope_base)),
        ("rope.freq_base_swa", f32(spec.rope_base_sliding)),
        ("attention.layer_norm_rms_epsilon", f32(spec.norm_epsilon)),
        ("expert_count", u32(spec.experts) if moe else None),
        ("expert_used_count", u32(spec.experts_used) if moe else None),
        ("attention.key_length", u32(spec.head_size)),
        ("attention.value_length", u32(spec.head_size)),
        ("general.file_type", u32(file_type)),
        ("final_logit_softcapping", f32(spec.softcap) if spec.softcap else None),
        ("attention.sliding_window", u32(spec.window)),
        ("attention.shared_kv_layers", u32(spec.shared_kv_layers)),
        ("embedding_length_per_layer_input", u32(spec.per_layer_width)),
        ("attention.sliding_window_pattern", bools([x.sliding for x in spec.layers])),
        ("attention.key_length_swa", u32(spec.head_size_sliding)),
        ("attention.value_length_swa", u32(spec.head_size_sliding)),
        ("expert_feed_forward_length", u32(spec.expert_ffn) if moe else None),
        ("rope.dimension_count", u32(spec.head_size)),
        ("rope.dimension_count_swa", u32(spec.head_size_sliding)),
        ("embedding_length_out", u32(spec.drafts_for) if spec.drafts_for else None),
        ("nextn_predict_layers", u32(len(spec.layers)) if spec.drafts_for else None),
    ]
    return {
        name if name.startswith("general.") else f"{spec.architecture}.{name}": value
        for name, value in entries
        if value is not None
    }
