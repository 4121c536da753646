"""Which type each tensor gets: by the recipe, unless the user says otherwise, and fitted to its rows."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from g4convert.imatrix import Importance
from g4convert.quants import SMALLER_BLOCK, TARGETS, TYPES, Role, TensorType, dims
from g4convert.recipes import Recipe, Traits
from g4local.core.errors import UsageError

_PLE = "per_layer_token_embd.weight"


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


@dataclass(frozen=True, slots=True)
class Override:
    """A type for every tensor whose name has a match of the pattern, in capitals or not."""

    said: str
    """What the user gave, for errors."""
    pattern: re.Pattern[str]
    type: TensorType


@dataclass(frozen=True, slots=True)
class Guidance:
    """What the user says of a quantization beside its recipe, in llama-quantize's terms."""

    overrides: tuple[Override, ...] = ()
    """The first one that matches counts."""
    embedding: TensorType | None = None
    """Of both embeddings, but for those of the layers when an override means them."""
    importance: Importance | None = None


def guidance(
    tensor_types: Sequence[str] = (), embedding: str = "", per_layer: str = "", importance: Importance | None = None
) -> Guidance:
    """Guidance from `REGEX=TYPE`s and the names of types; UsageError for what is neither."""
    overrides = [_override(said) for said in tensor_types]
    if per_layer:
        own = Override(f"--ple-type {per_layer}", re.compile(f"^{re.escape(_PLE)}$"), _target(per_layer))
        overrides.insert(0, own)
    return Guidance(tuple(overrides), _target(embedding) if embedding else None, importance)


def choose(recipe: Recipe, tensors: Sequence[Sized], model: Traits, given: Guidance) -> list[TensorType]:
    """The type of each tensor; they must be in the file's order, which the places of a recipe's choices follow.

    UsageError when guidance means nothing here, or when no type fits a tensor's rows.
    """
    if not recipe.is_quantized:
        if given != Guidance():
            raise UsageError(
                f"{recipe.name} quantizes nothing, so neither types nor an importance matrix can be given.",
                "Give another quant, or leave them out.",
            )
        return [TYPES["F32" if _is_exact(tensor) else recipe.base] for tensor in tensors]
    for entry in given.overrides:
        if not any(is_quantized(tensor) and entry.pattern.search(tensor.name) for tensor in tensors):
            raise UsageError(
                f"{entry.said!r} means no tensor that is quantized.",
                "Norms and vectors never are; `--plan` lists the names.",
            )
    chooser = _Chooser(recipe, tensors, replace(model, guided=model.guided or given.importance is not None))
    chosen = []
    for tensor in tensors:
        if _is_exact(tensor):
            chosen.append(TYPES["F32"])
        elif not is_quantized(tensor):
            chosen.append(TYPES["BF16"])
        else:
            wanted = _given(tensor, given) or TYPES[chooser.type(tensor)]
            chosen.append(_fitting(wanted, tensor))
    return chosen


def unfitting(tensors: Sequence[Sized], types: Sequence[TensorType], given: Guidance) -> tuple[str, ...]:
    """One sentence on tensors that were given a type which does not fit their rows, and have another."""
    others = [
        f"{tensor.name} ({kind.name})"
        for tensor, kind in zip(tensors, types, strict=True)
        if is_quantized(tensor) and (wanted := _given(tensor, given)) and kind != wanted
    ]
    if not others:
        return ()
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return (f"The type given does not fit the rows of {others[0]}{more}, which has the next one that does.",)


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


def is_given(tensor: Sized, given: Guidance) -> bool:
    """Whether the user chose the tensor's type."""
    return is_quantized(tensor) and _given(tensor, given) is not None


class _Chooser:
    """A recipe on its way through the tensors; it counts those that it chooses for, as llama-quantize does."""

    def __init__(self, recipe: Recipe, tensors: Sequence[Sized], model: Traits) -> None:
        self._recipe = recipe
        self._model = model
        self._tied = not any(tensor.role == "output" for tensor in tensors)
        self._values = sum(tensor.role == "attn_v" for tensor in tensors)
        self._seen = Counter[Role]()

    def type(self, tensor: Sized) -> str:
        """The next tensor's type, before it is known whether its rows can be cut into blocks."""
        recipe = self._recipe
        if tensor.role == "output" or (tensor.role == "embedding" and self._tied):
            return recipe.output if tensor.shape[-1] % TYPES[recipe.base].block == 0 else "Q8_0"
        if tensor.role == "embedding":
            return recipe.embeddings or recipe.base
        if recipe.experts and len(dims(tensor.shape)) > 2:
            return recipe.experts
        count = self._seen[tensor.role]
        self._seen[tensor.role] += 1
        layer = int(tensor.name.split(".")[1]) if self._model.experts > 1 else count
        total = self._values if tensor.role == "attn_v" else self._model.layers
        for choice in recipe.choices:
            place = count if choice.counted or tensor.role == "attn_v" else layer
            if choice.role == tensor.role and choice.case(self._model) and choice.place(place, total):
                return choice.type
        return recipe.base


def _is_exact(tensor: Sized) -> bool:
    return tensor.role == "exact" or len(tensor.shape) < 2


def _given(tensor: Sized, given: Guidance) -> TensorType | None:
    """The type that the user gives a tensor."""
    by_name = next((entry.type for entry in given.overrides if entry.pattern.search(tensor.name)), None)
    if tensor.role == "embedding" and given.embedding and (tensor.name != _PLE or by_name is None):
        return given.embedding
    return by_name


def _fitting(kind: TensorType, tensor: Sized) -> TensorType:
    """The type itself, or the next one whose block divides the rows."""
    row = tensor.shape[-1]
    if row % kind.block == 0:
        return kind
    if kind.block > 32 and kind.name not in SMALLER_BLOCK:
        raise UsageError(
            f"{kind.name} does not fit {tensor.name!r}: no blocks of {kind.block} make a row of {row}.",
            "Give another quant, or another type for this tensor with --tensor-type.",
        )
    smaller = TYPES[SMALLER_BLOCK.get(kind.name, kind.name)]
    return TYPES["F16"] if row % smaller.block else smaller


def _override(said: str) -> Override:
    pattern, equals, kind = said.rpartition("=")
    if not equals or not pattern:
        raise UsageError(f"{said!r} is no REGEX=TYPE.", r"Such as --tensor-type 'blk\.0\..*ffn_down=Q8_0'.")
    try:
        return Override(said, re.compile(pattern, re.IGNORECASE), _target(kind))
    except re.error as error:
        raise UsageError(f"{pattern!r} is no regular expression: {error}.", "Such as 'attn_(k|v)=Q8_0'.") from error


def _target(name: str) -> TensorType:
    kind = TYPES.get(name.upper())
    if kind is None or kind.name not in TARGETS:
        raise UsageError(f"There is no type {name!r} to quantize to.", f"Types: {', '.join(TARGETS)}.")
    return kind
