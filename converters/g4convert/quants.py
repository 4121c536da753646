"""Quant types and recipes: which type a tensor gets. What is in a block is ggml's business alone.

A recipe is one of llama.cpp's file types. `choose` picks as llama-quantize does (llama-quant.cpp) for a model of the
Gemma 4 family without an importance matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from g4local.core.errors import UsageError

Role = Literal[
    "exact", "kept", "embedding", "output", "attn_v", "attn_k", "attn_output", "ffn_down", "patches", "linear"
]
"""What a tensor is for: `exact` is always F32, `kept` never gets below 16 bits, `patches` (of pixels) is F16 in a file
of that type and F32 in all others, `linear` has no rule of its own."""


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


@dataclass(frozen=True, slots=True)
class Recipe:
    """A mix of types that fits a whole model."""

    name: str
    file_type: int
    """The number of llama_ftype, kept as `general.file_type`."""
    base: str
    """The type of all that has no rule of its own."""
    embeddings: str
    """The type of the embeddings that are also the output matrix."""
    raised: str = ""
    """The type of attn_v and ffn_down in the layers that matter most; empty: as all others."""
    output_of_eight: str = ""
    """The type of attn_output in models of eight experts; empty: as all others."""


class Sized(Protocol):
    """A tensor as far as its type depends on it."""

    @property
    def name(self) -> str:
        """The name in the GGUF."""

    @property
    def role(self) -> Role:
        """What the tensor is for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows last: the last number is the length of a row."""


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

RECIPES = {
    entry.name: entry
    for entry in (
        Recipe("F32", 0, "F32", "F32"),
        Recipe("BF16", 32, "BF16", "BF16"),
        Recipe("F16", 1, "F16", "F16"),
        Recipe("Q8_0", 7, "Q8_0", "Q8_0"),
        Recipe("Q6_K", 18, "Q6_K", "Q6_K"),
        Recipe("Q5_K_M", 17, "Q5_K", "Q6_K", raised="Q6_K"),
        Recipe("Q4_K_M", 15, "Q4_K", "Q6_K", raised="Q6_K", output_of_eight="Q5_K"),
        Recipe("Q4_0", 2, "Q4_0", "Q6_K"),
    )
}
"""What a model can be converted to, by name, the largest first."""

_SMALLER_BLOCK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""For rows that are no multiple of 256: the type with blocks of 32 that loses no quality."""


def recipe(name: str) -> Recipe:
    """A recipe by its name; UsageError for an unknown one."""
    if name not in RECIPES:
        raise UsageError(f"There is no recipe {name!r}.", f"Recipes: {', '.join(RECIPES)}.")
    return RECIPES[name]


def choose(recipe: Recipe, tensors: Sequence[Sized], layers: int, experts: int) -> list[TensorType]:
    """The type of each tensor; they must be in the file's order, which the counters of attn_v and ffn_down follow."""
    if recipe.base in FLOATS:
        return [TYPES["F32" if _is_exact(tensor) else recipe.base] for tensor in tensors]
    tied = not any(tensor.role == "output" for tensor in tensors)
    totals = {"attn_v": sum(tensor.role == "attn_v" for tensor in tensors), "ffn_down": layers}
    seen = {"attn_v": 0, "ffn_down": 0}
    chosen = []
    for tensor in tensors:
        if _is_exact(tensor):
            chosen.append(TYPES["F32"])
        elif not is_quantized(tensor):
            chosen.append(TYPES["BF16"])
        else:
            matters = False
            if tensor.role in seen:
                index = _layer(tensor.name) if tensor.role == "ffn_down" and experts > 1 else seen[tensor.role]
                matters = _matters_most(index, totals[tensor.role])
                seen[tensor.role] += 1
            wanted = _wanted(recipe, tensor, tied, matters, experts)
            chosen.append(TYPES[_fitting(wanted, tensor.shape[-1])])
    return chosen


def is_quantized(tensor: Sized) -> bool:
    """Whether a recipe chooses the tensor's type; the others stay as they are."""
    return not _is_exact(tensor) and tensor.role != "kept" and len(dims(tensor.shape)) > 1


def converter_types(recipe: Recipe, tensors: Sequence[Sized]) -> list[TensorType]:
    """The type of each tensor of a file of towers, which llama.cpp's converter writes and llama-quantize never sees."""
    chosen = []
    for tensor in tensors:
        name = recipe.base
        if _is_exact(tensor) or (tensor.role == "patches" and name != "F16"):
            name = "F32"
        elif tensor.shape[-1] % TYPES[name].block:
            name = "F16"
        chosen.append(TYPES[name])
    return chosen


def dims(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions as ggml counts them: the length of a row first, no ones at the end."""
    result = list(reversed(shape))
    while len(result) > 1 and result[-1] == 1:
        result.pop()
    return tuple(result)


def _is_exact(tensor: Sized) -> bool:
    return tensor.role == "exact" or len(tensor.shape) < 2


def _layer(name: str) -> int:
    return int(name.split(".")[1])


def _matters_most(index: int, total: int) -> bool:
    """True for the first and the last eighth, and for every third layer between them."""
    eighth = total // 8
    return index < eighth or index >= 7 * total // 8 or (index - eighth) % 3 == 2


def _wanted(recipe: Recipe, tensor: Sized, tied: bool, matters: bool, experts: int) -> str:
    """The type before it is known whether rows can be cut into its blocks."""
    if tensor.role == "output" or (tensor.role == "embedding" and tied):
        return recipe.embeddings if tensor.shape[-1] % TYPES[recipe.base].block == 0 else "Q8_0"
    if experts == 8 and tensor.role in ("attn_v", "attn_k"):
        return "Q8_0"
    if experts == 8 and tensor.role == "attn_output" and recipe.output_of_eight:
        return recipe.output_of_eight
    return recipe.raised if matters and recipe.raised else recipe.base


def _fitting(name: str, row: int) -> str:
    """The type itself, or the next one whose block divides the row."""
    if row % TYPES[name].block:
        name = _SMALLER_BLOCK.get(name, name)
    return "F16" if row % TYPES[name].block else name
