"""Quant types: how ggml stores a tensor. What is in a block is ggml's business alone."""

from dataclasses import dataclass
from typing import Literal

Role = Literal[
    "exact",
    "kept",
    "embedding",
    "output",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
    "patches",
    "linear",
]
"""What a tensor is for: `exact` is always F32, `kept` never gets below 16 bits, `patches` (of pixels) is F16 in a file
of that type and F32 in all others, `linear` has no choice of its own."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """How ggml stores a tensor: `block` values of a row in `nbytes` bytes."""

    name: str
    id: int
    """The number of ggml_type."""
    block: int
    nbytes: int

    def row_nbytes(self, values: int) -> int:
        """The bytes of a row; `values` is a multiple of the block."""
        return values // self.block * self.nbytes


TYPES = {
    entry.name: entry
    for entry in (
        TensorType("F32", 0, 1, 4),
        TensorType("F16", 1, 1, 2),
        TensorType("Q4_0", 2, 32, 18),
        TensorType("Q4_1", 3, 32, 20),
        TensorType("Q5_0", 6, 32, 22),
        TensorType("Q5_1", 7, 32, 24),
        TensorType("Q8_0", 8, 32, 34),
        TensorType("Q8_1", 9, 32, 36),
        TensorType("Q2_K", 10, 256, 84),
        TensorType("Q3_K", 11, 256, 110),
        TensorType("Q4_K", 12, 256, 144),
        TensorType("Q5_K", 13, 256, 176),
        TensorType("Q6_K", 14, 256, 210),
        TensorType("Q8_K", 15, 256, 292),
        TensorType("IQ2_XXS", 16, 256, 66),
        TensorType("IQ2_XS", 17, 256, 74),
        TensorType("IQ3_XXS", 18, 256, 98),
        TensorType("IQ1_S", 19, 256, 50),
        TensorType("IQ4_NL", 20, 32, 18),
        TensorType("IQ3_S", 21, 256, 110),
        TensorType("IQ2_S", 22, 256, 82),
        TensorType("IQ4_XS", 23, 256, 136),
        TensorType("I8", 24, 1, 1),
        TensorType("I16", 25, 1, 2),
        TensorType("I32", 26, 1, 4),
        TensorType("I64", 27, 1, 8),
        TensorType("F64", 28, 1, 8),
        TensorType("IQ1_M", 29, 256, 56),
        TensorType("BF16", 30, 1, 2),
        TensorType("TQ1_0", 34, 256, 54),
        TensorType("TQ2_0", 35, 256, 66),
        TensorType("MXFP4", 39, 32, 17),
        TensorType("NVFP4", 40, 64, 36),
        TensorType("Q1_0", 41, 128, 18),
        TensorType("Q2_0", 42, 64, 18),
    )
}
"""Every type that a GGUF may hold, by name."""

FLOATS = ("F32", "F16", "BF16")
"""The types of a checkpoint, and of GGUFs that are converted without being quantized."""

TARGETS = tuple(name for name in TYPES if name not in ("Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"))
"""What ggml can quantize to; the others are for what is computed meanwhile."""

NEEDS_IMPORTANCE = frozenset({"IQ3_XXS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_M", "IQ1_S"})
"""Types that llama-quantize gives only to weights with an importance, but for embeddings and the output matrix."""

DEMANDS_IMPORTANCE = frozenset({"IQ2_XXS", "IQ2_XS", "IQ1_S"})
"""Types that ggml itself can't make without (it ends the process)."""

USES_IMPORTANCE = frozenset(TARGETS) - {*FLOATS, "Q8_0", "TQ1_0", "TQ2_0", "Q1_0", "Q2_0", "MXFP4", "NVFP4"}
"""Types whose bytes depend on an importance."""

SMALLER_BLOCK = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_0", "Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
"""For rows that are no multiple of the block: the type with blocks of 32 that loses no more."""


def dims(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions as ggml counts them: the length of a row first, no ones at the end."""
    result = list(reversed(shape))
    while len(result) > 1 and result[-1] == 1:
        result.pop()
    return tuple(result)
