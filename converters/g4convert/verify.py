"""Looks at a finished GGUF as a stranger would, and compares it with the plan."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from g4convert import gguf
from g4convert.gguf import Omitted, Value
from g4convert.plan import Plan
from g4convert.quants import dims
from g4local.core.errors import BadGguf


def check(path: Path, plan: Plan, keys: Mapping[str, Value]) -> None:
    """Reopen the file: keys, counts, names, shapes, types, offsets, alignment and size; BadGguf when one is off."""
    found = gguf.read(path, longest=0)
    _same(path, "keys", [_shape(item) for item in found.keys.items()], [_shape(item) for item in keys.items()])
    _same(
        path,
        "tensors",
        [(tensor.name, tensor.dims, tensor.type, tensor.offset) for tensor in found.tensors],
        [(tensor.name, dims(tensor.shape), tensor.type, tensor.offset) for tensor in plan.tensors],
    )
    _same(path, "alignment", [found.alignment], [gguf.ALIGNMENT])
    _same(path, "bytes", [found.nbytes], [found.data_start + plan.nbytes])


def _shape(item: tuple[str, Value]) -> tuple[object, ...]:
    """A key without the items of its array; a float loses digits in the file."""
    name, value = item
    match value.data:
        case list():
            return name, value.type, value.element, len(value.data)
        case Omitted(items):
            return name, value.type, value.element, items
        case float():
            return name, value.type
        case _:
            return name, value.type, value.data


def _same(path: Path, what: str, found: Sequence[object], wanted: Sequence[object]) -> None:
    for place, pair in enumerate(zip(found, wanted, strict=False)):
        if pair[0] != pair[1]:
            raise _bad(path, f"has {pair[0]!r} among its {what} (number {place}) instead of {pair[1]!r}")
    if len(found) != len(wanted):
        raise _bad(path, f"has {len(found)} {what} instead of {len(wanted)}")


def _bad(path: Path, what: str) -> BadGguf:
    return BadGguf(f"The file just written, {path.name}, {what}.", "Check the disk, then convert again.")
