"""Recipes: the mixes of types that llama-quantize knows, as a table.

A row is one of llama.cpp's file types (`llama_ftype`), and its choices are those of llama-quant.cpp for a model of the
Gemma 4 family, in that order: for each tensor the first one that holds is taken, and the base where none does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from g4convert.quants import FLOATS, NEEDS_IMPORTANCE, TYPES, USES_IMPORTANCE, Role
from g4local.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Traits:
    """A model as far as types depend on it."""

    layers: int
    experts: int = 0
    """0: no mixture of experts."""
    group: int = 1
    """Query heads for each key-value head of the first layer."""
    guided: bool = False
    """Whether there is, or will be, an importance matrix."""


Place = Callable[[int, int], bool]
"""Whether a tensor is meant, given its place among those of its role, and how many there are."""
Case = Callable[[Traits], bool]
"""Whether a model is meant."""


def everywhere(place: int, total: int) -> bool:
    """Any."""
    return True


def first_two(place: int, total: int) -> bool:
    """The first two."""
    return place < 2


def first_four(place: int, total: int) -> bool:
    """The first four."""
    return place < 4


def first_sixteenth(place: int, total: int) -> bool:
    """The first sixteenth."""
    return place < total // 16


def first_eighth(place: int, total: int) -> bool:
    """The first eighth."""
    return place < total // 8


def between_the_eighths(place: int, total: int) -> bool:
    """All but the first and the last eighth."""
    return total // 8 <= place < 7 * total // 8


def matters_most(place: int, total: int) -> bool:
    """The first and the last eighth, and every third between them."""
    return not between_the_eighths(place, total) or (place - total // 8) % 3 == 2


def always(model: Traits) -> bool:
    """Any."""
    return True


def guided(model: Traits) -> bool:
    """With an importance matrix."""
    return model.guided


def blind(model: Traits) -> bool:
    """Without an importance matrix."""
    return not model.guided


def grouped(model: Traits) -> bool:
    """Where keys and values are so few that more bits for them cost little."""
    return model.group >= 4


def grouped_or_mixed(model: Traits) -> bool:
    """As `grouped`, or with four experts or more."""
    return grouped(model) or model.experts >= 4


def of_eight(model: Traits) -> bool:
    """With eight experts, as Mixtral had; no Gemma 4 of Google's is."""
    return model.experts == 8


@dataclass(frozen=True, slots=True)
class Choice:
    """A type for the tensors of one role, in some places of some models."""

    role: Role
    type: str
    place: Place = everywhere
    case: Case = always
    counted: bool = False
    """True: places are counted over all tensors of the role also where experts make two to a layer."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A mix of types that fits a whole model."""

    name: str
    file_type: int
    """The number of llama_ftype, kept as `general.file_type`."""
    base: str
    """The type of all that has no choice of its own."""
    choices: tuple[Choice, ...] = ()
    output: str = "Q6_K"
    """The type of the output matrix, and of the embeddings where they are that."""
    embeddings: str = ""
    """The type of the embeddings beside an output matrix; empty: the base."""
    experts: str = ""
    """The type of weights that are one matrix for each expert; empty: the base."""
    strict: bool = False
    """True: tensors of the base type need an importance matrix whatever the type."""

    @property
    def is_quantized(self) -> bool:
        """Whether it changes more than the width of the values."""
        return self.base not in FLOATS

    @property
    def needs_importance(self) -> bool:
        """Whether it can't be made without an importance matrix, unless all rows are too odd for its types."""
        types = {self.base, *(choice.type for choice in self.choices if choice.case is always)}
        return self.strict or not types.isdisjoint(NEEDS_IMPORTANCE)

    @property
    def uses_importance(self) -> bool:
        """Whether an importance matrix changes anything."""
        return not USES_IMPORTANCE.isdisjoint({self.base, *(choice.type for choice in self.choices)})

    @property
    def bits(self) -> float:
        """Bits of a weight of the base type."""
        kind = TYPES[self.base]
        return kind.nbytes * 8 / kind.block


_EIGHT = (Choice("attn_v", "Q8_0", case=of_eight), Choice("attn_k", "Q8_0", case=of_eight))
_EIGHT_MORE = (*_EIGHT, Choice("attn_output", "Q5_K", case=of_eight))
_MORE_BITS = (Choice("attn_v", "Q6_K", matters_most), Choice("ffn_down", "Q6_K", matters_most))


def _low(value: str, output: str) -> tuple[Choice, ...]:
    """The choices of the recipes of one and two bits: `value` for what matters, `output` for attn_output."""
    return (
        Choice("attn_v", "Q4_K", case=grouped_or_mixed),
        Choice("attn_v", value),
        Choice("attn_k", "Q4_K", case=of_eight),
        Choice("attn_output", "Q5_K", case=of_eight),
        Choice("ffn_down", value, first_eighth, counted=True),
        *((Choice("attn_output", output),) if output else ()),
    )


RECIPES = {
    entry.name: entry
    for entry in (
        Recipe("F32", 0, "F32"),
        Recipe("BF16", 32, "BF16"),
        Recipe("F16", 1, "F16"),
        Recipe("Q8_0", 7, "Q8_0", _EIGHT, output="Q8_0"),
        Recipe("Q6_K", 18, "Q6_K", _EIGHT),
        Recipe("Q5_1", 9, "Q5_1", _EIGHT),
        Recipe("Q5_K_M", 17, "Q5_K", (*_EIGHT, *_MORE_BITS)),
        Recipe("Q5_K_S", 16, "Q5_K", _EIGHT),
        Recipe("Q5_0", 8, "Q5_0", (*_EIGHT, Choice("ffn_down", "Q5_1", first_eighth, guided))),
        Recipe("Q4_1", 3, "Q4_1", _EIGHT),
        Recipe("Q4_K_M", 15, "Q4_K", (*_EIGHT_MORE, *_MORE_BITS)),
        Recipe(
            "Q4_K_S",
            14,
            "Q4_K",
            (*_EIGHT_MORE, Choice("attn_v", "Q5_K", first_four), Choice("ffn_down", "Q5_K", first_eighth)),
        ),
        Recipe("Q4_0", 2, "Q4_0", (*_EIGHT, Choice("ffn_down", "Q4_1", first_eighth, guided))),
        Recipe(
            "IQ4_NL",
            25,
            "IQ4_NL",
            (
                *_EIGHT_MORE,
                Choice("attn_v", "Q5_K", case=grouped),
                Choice("ffn_down", "Q5_K", first_eighth, blind),
            ),
        ),
        Recipe(
            "IQ4_XS",
            30,
            "IQ4_XS",
            (
                *_EIGHT_MORE,
                Choice("attn_v", "Q5_K", case=grouped),
                Choice("ffn_down", "Q5_K", first_eighth, blind),
            ),
        ),
        Recipe("MXFP4_MOE", 38, "Q8_0", output="Q8_0", experts="MXFP4"),
        Recipe(
            "Q3_K_L",
            13,
            "Q3_K",
            (
                *_EIGHT,
                Choice("attn_v", "Q5_K"),
                Choice("ffn_down", "Q5_K"),
                Choice("attn_output", "Q3_K", case=of_eight),
                Choice("attn_output", "Q5_K"),
            ),
        ),
        Recipe(
            "Q3_K_M",
            12,
            "Q3_K",
            (
                *_EIGHT_MORE,
                Choice("attn_v", "Q5_K", first_two),
                Choice("attn_v", "Q4_K"),
                Choice("ffn_down", "Q5_K", first_sixteenth),
                Choice("ffn_down", "Q4_K"),
                Choice("attn_output", "Q4_K"),
            ),
        ),
        Recipe(
            "IQ3_M",
            27,
            "IQ3_S",
            (
                *_EIGHT_MORE,
                Choice("attn_v", "Q4_K"),
                Choice("ffn_down", "Q4_K", first_eighth),
                Choice("ffn_down", "Q4_K", matters_most, of_eight),
                Choice("attn_output", "Q4_K"),
            ),
        ),
        Recipe("IQ3_S", 26, "IQ3_S", (*_EIGHT_MORE, Choice("attn_v", "Q4_K", case=grouped))),
        Recipe("Q3_K_S", 11, "Q3_K", _EIGHT_MORE),
        Recipe(
            "IQ3_XS",
            22,
            "IQ3_S",
            (
                *_EIGHT_MORE,
                Choice("attn_v", "Q4_K", case=grouped),
                Choice("attn_k", "IQ3_XXS"),
                Choice("attn_q", "IQ3_XXS"),
                Choice("ffn_gate", "IQ3_XXS", between_the_eighths),
                Choice("ffn_up", "IQ3_XXS", between_the_eighths),
            ),
        ),
        Recipe(
            "IQ3_XXS",
            23,
            "IQ3_XXS",
            (
                *_EIGHT_MORE,
                Choice("attn_v", "Q4_K", case=grouped),
                Choice("attn_v", "IQ3_S", case=blind),
                Choice("attn_k", "IQ2_S"),
                Choice("attn_q", "IQ2_S"),
                Choice("ffn_down", "Q4_K", first_eighth, blind),
                Choice("ffn_down", "Q3_K", case=blind),
                Choice("attn_output", "IQ3_S"),
            ),
            output="Q5_K",
            embeddings="IQ3_S",
        ),
        Recipe(
            "Q2_K",
            10,
            "Q2_K",
            (
                *_EIGHT_MORE,
                Choice("attn_v", "Q4_K", case=grouped),
                Choice("attn_v", "Q3_K"),
                Choice("ffn_down", "Q3_K"),
                Choice("attn_output", "Q3_K"),
            ),
        ),
        Recipe(
            "Q2_K_S",
            21,
            "Q2_K",
            (*_EIGHT, Choice("attn_v", "Q4_K", case=grouped), Choice("ffn_down", "Q4_K", first_eighth)),
            strict=True,
        ),
        Recipe("IQ2_M", 29, "IQ2_S", _low("IQ3_S", "IQ3_S"), output="Q5_K", embeddings="IQ3_S"),
        Recipe("IQ2_S", 28, "IQ2_XS", _low("IQ3_S", "IQ3_S"), output="Q5_K", embeddings="IQ3_S"),
        Recipe("IQ2_XS", 20, "IQ2_XS", _low("Q2_K", ""), output="Q5_K", embeddings="Q2_K"),
        Recipe("Q2_0", 41, "Q2_0", _EIGHT, embeddings="Q4_K"),
        Recipe("IQ2_XXS", 19, "IQ2_XXS", _low("Q2_K", ""), output="Q5_K", embeddings="Q2_K"),
        Recipe("TQ2_0", 37, "TQ2_0", _EIGHT, embeddings="Q4_K"),
        Recipe("IQ1_M", 31, "IQ1_M", _low("Q2_K", "IQ2_XXS"), output="Q5_K", embeddings="Q2_K"),
        Recipe("TQ1_0", 36, "TQ1_0", _EIGHT, embeddings="Q4_K"),
        Recipe("IQ1_S", 24, "IQ1_S", _low("Q2_K", "IQ2_XXS"), output="Q5_K", embeddings="Q2_K"),
        Recipe("Q1_0", 40, "Q1_0", _EIGHT),
    )
}
"""What a model can be converted to, by name, the largest first."""


def find(name: str) -> Recipe:
    """A recipe by its name; UsageError for an unknown one."""
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=3)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"There is no quant {name!r}.", f"{meant}`g4local quants` lists them.")
    return RECIPES[name]
