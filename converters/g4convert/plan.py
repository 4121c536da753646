"""The plan of a conversion: every tensor of the GGUF, where it comes from, and what becomes of the checkpoint's others.

The plan is data: it is printed by `--plan`, kept in golden files, and followed by the writer without a decision.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from g4convert import choice, weighting
from g4convert.checkpoint import SourceTensor
from g4convert.choice import Guidance
from g4convert.gguf import ALIGNMENT
from g4convert.lattice import Tally
from g4convert.quants import FLOATS, TYPES, Role, TensorType
from g4convert.recipes import Recipe, Traits
from g4convert.transforms import Floats
from g4local.core.errors import BadCheckpoint, BadGguf

_LAYER = re.compile(r"blk\.(\d{1,9})\.")


@dataclass(frozen=True, slots=True)
class Rule:
    """One tensor of the checkpoint becomes one of the GGUF."""

    source: str
    """The name without the architecture's prefix; empty when the values are made."""
    name: str
    """The name in the GGUF."""
    shape: tuple[int, ...]
    """Rows last: the last number is the length of a row."""
    role: Role
    required: bool = True
    make: Callable[[], Floats] | None = None
    """Gives the values of a tensor that the checkpoint does not have."""
    source_shape: tuple[int, ...] | None = None
    """The shape in the checkpoint, where it is another."""
    transform: Callable[[Floats], Floats] | None = None
    """Makes the values of the tensor from those of the checkpoint's, both flat; the tensor is then read whole."""
    bound: bool = False
    """True: its values may be infinite, since they are the bounds of others."""


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """One tensor of the GGUF."""

    name: str
    shape: tuple[int, ...]
    role: Role
    type: TensorType
    offset: int
    """Bytes from the start of the GGUF's data."""
    source: SourceTensor | None
    """None when the values are made."""
    make: Callable[[], Floats] | None = field(default=None, repr=False, compare=False)
    transform: Callable[[Floats], Floats] | None = field(default=None, repr=False, compare=False)
    lattice: Tally | None = field(default=None, repr=False, compare=False)
    """Counts the blocks of a tensor that lies on a Q4_0 lattice; None: nobody looks for one."""
    bound: bool = False
    """True: its values may be infinite."""
    weights: Floats | None = field(default=None, repr=False, compare=False)
    """How much each column matters, [experts, row]; None: all the same."""
    given: bool = False
    """True: the user chose its type."""

    @property
    def is_whole(self) -> bool:
        """Whether it can't be converted row by row."""
        return self.make is not None or self.transform is not None

    @property
    def row(self) -> int:
        """Values in a row."""
        return self.shape[-1]

    @property
    def rows(self) -> int:
        """Rows, counted over all other dimensions."""
        return prod(self.shape[:-1])

    @property
    def nbytes(self) -> int:
        """Bytes of the data without padding."""
        return self.rows * self.type.row_nbytes(self.row)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole conversion."""

    recipe: Recipe
    tensors: tuple[TensorPlan, ...]
    """In the order of the file."""
    skipped: tuple[str, ...]
    """Tensors of the checkpoint that are left out on purpose."""
    rounds: bool
    """True: all values are rounded to BF16 before anything else, as if a BF16 file were quantized."""
    warnings: tuple[str, ...] = ()
    """What the user should know of the result, one sentence each."""

    @property
    def nbytes(self) -> int:
        """Bytes of the GGUF's data, padding included."""
        last = self.tensors[-1]
        return padded(last.offset + last.nbytes)


@dataclass(frozen=True, slots=True)
class Match:
    """Which rule takes which tensor of the checkpoint, in the checkpoint's order."""

    pairs: tuple[tuple[Rule, SourceTensor | None], ...]
    skipped: tuple[str, ...]

    @property
    def rules(self) -> list[Rule]:
        """The rules alone."""
        return [rule for rule, _ in self.pairs]


def match(
    rules: Iterable[Rule], tensors: Mapping[str, SourceTensor], prefixes: Sequence[str], skips: tuple[str, ...]
) -> Match:
    """Find the rule of every tensor; BadCheckpoint names the tensor that is missing, unknown or of another shape."""
    by_source = {rule.source: rule for rule in rules if rule.make is None}
    pairs: list[tuple[Rule, SourceTensor | None]] = [(rule, None) for rule in rules if rule.make is not None]
    skipped, unknown = [], []
    for tensor in tensors.values():
        name = _without_prefix(tensor.name, prefixes)
        if name.startswith(skips):
            skipped.append(tensor.name)
        elif name in by_source:
            rule = by_source.pop(name)
            _check(rule, tensor)
            pairs.append((rule, tensor))
        else:
            unknown.append(tensor.name)
    missing = [rule.source for rule in by_source.values() if rule.required]
    if missing:
        raise BadCheckpoint(
            f"The checkpoint lacks the tensor {_first(missing)}.",
            "Download it again; a file or a part of it is missing.",
        )
    if unknown:
        raise BadCheckpoint(
            f"The checkpoint has the tensor {_first(unknown)} that no rule knows.",
            "Its config.json may be that of another model.",
        )
    return Match(tuple(pairs), tuple(skipped))


def make(matched: Match, recipe: Recipe, model: Traits, given: Guidance) -> Plan:
    """Give every tensor its type, its weights and its place; errors as `choice` and `weighting` say.

    Unquantized files have the order of llama.cpp's converter (made tensors, then the checkpoint's), quantized ones that
    of llama-quantize (by layer, then by name).
    """
    ordered = _quantized_order(matched) if recipe.is_quantized else matched
    types = choice.choose(recipe, ordered.rules, model, given)
    return _placed(ordered, recipe, types, given, rounds=recipe.is_quantized)


def remake(matched: Match, recipe: Recipe, model: Traits, given: Guidance) -> Plan:
    """Give every tensor of a GGUF its new type and its place, as llama-quantize does; BadGguf when one is quantized.

    What is not to be quantized keeps its type. So does what has its new type already; any other quantized tensor
    has lost what a new type would need.
    """
    ordered = _quantized_order(matched)
    types = []
    for (rule, source), chosen in zip(ordered.pairs, choice.choose(recipe, ordered.rules, model, given), strict=True):
        assert source is not None
        stored = TYPES[source.dtype]
        kind = chosen if choice.is_quantized(rule) else stored
        if kind != stored and stored.name not in FLOATS:
            raise BadGguf(
                f"{source.path.name} is quantized already: {source.name!r} is {stored.name}, and would be {kind.name}.",
                "Quantize the BF16 or F16 file, which has lost nothing yet.",
            )
        types.append(kind)
    before = [TYPES[source.dtype] for _, source in ordered.pairs if source]
    if types == before and any(kind.name not in FLOATS for kind in types):
        (path,) = {source.path for _, source in ordered.pairs[:1] if source}
        raise BadGguf(f"{path.name} is quantized already, as {recipe.name}.", "There is nothing to be done; copy it.")
    return _placed(ordered, recipe, types, given, rounds=False)


def make_unquantized(matched: Match, recipe: Recipe) -> Plan:
    """Give every tensor its type and its place as llama.cpp's converter does by itself, for Q8_0 too."""
    types = choice.converter_types(recipe, matched.rules)
    return _placed(matched, recipe, types, Guidance(), rounds=False)


def padded(nbytes: int) -> int:
    """The next multiple of the alignment."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _placed(matched: Match, recipe: Recipe, types: Sequence[TensorType], given: Guidance, *, rounds: bool) -> Plan:
    importance = given.importance if recipe.is_quantized else None
    entries, offset = [], 0
    for (rule, source), kind in zip(matched.pairs, types, strict=True):
        entry = TensorPlan(
            *(rule.name, rule.shape, rule.role, kind, offset, source),
            make=rule.make,
            transform=rule.transform,
            bound=rule.bound,
            weights=weighting.weights(rule, importance),
            given=choice.is_given(rule, given),
        )
        entries.append(entry)
        offset = padded(offset + entry.nbytes)
    warnings = weighting.gaps(entries, importance) if importance else ()
    unfitting = choice.unfitting([rule for rule, _ in matched.pairs], types, given)
    return Plan(recipe, tuple(entries), matched.skipped, rounds, (*unfitting, *warnings))


def _quantized_order(matched: Match) -> Match:
    return Match(tuple(sorted(matched.pairs, key=lambda pair: _by_layer(pair[0].name))), matched.skipped)


def _without_prefix(name: str, prefixes: Sequence[str]) -> str:
    return next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)


def _check(rule: Rule, tensor: SourceTensor) -> None:
    shape = rule.shape if rule.source_shape is None else rule.source_shape
    if tensor.shape != shape:
        raise BadCheckpoint(
            f"The tensor {tensor.name!r} is {list(tensor.shape)}, but config.json makes it {list(shape)}.",
            "config.json and the weights are not of the same model.",
        )
    if tensor.dtype not in FLOATS:
        raise BadCheckpoint(
            f"The tensor {tensor.name!r} is of type {tensor.dtype}; only {', '.join(FLOATS)} can be converted.",
            "Convert the model's BF16 checkpoint, not a quantized one.",
        )


def _first(names: Sequence[str]) -> str:
    others = len(names) - 1
    return repr(names[0]) + (f" (and {others} more)" if others else "")


def _by_layer(name: str) -> tuple[int, bytes]:
    layer = _LAYER.match(name)
    return (int(layer[1]) if layer else -1, name.encode())
