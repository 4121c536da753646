"""A GGUF in several files, as llama-gguf-split cuts it: all keys are in the first, the tensors in all of them."""

from collections.abc import Sequence
from pathlib import Path

from g4convert import gguf
from g4convert.gguf import Gguf
from g4local.core import split
from g4local.core.errors import BadGguf, UsageError

KEYS = ("split.no", "split.count", "split.tensors.count")


def read(path: Path, longest: int | None = None, *, exact: bool = False) -> list[Gguf]:
    """The headers of all files of a GGUF, given the first; that of the file alone when it is whole.

    UsageError when another than the first is given, else the errors of `gguf.read`, whose parameters these are.
    """
    first = gguf.read(path, longest, exact=exact)
    count = _number(first, "split.count")
    if count < 2:
        return [first]
    part = split.part(path.name)
    if _number(first, "split.no") != 0:
        raise UsageError(f"{path.name} is one of {count} files that belong together.", "Give the first of them.")
    if part is None or (part.number, part.count) != (1, count):
        raise BadGguf(
            f"{path.name} is the first of {count} files, but is not called so.",
            f"Its name must end in -00001-of-{count:05}.gguf, and those of the others likewise.",
        )
    files = [first]
    for number in range(1, count):
        other = gguf.read(path.with_name(part.name(number + 1)), longest)
        if _number(other, "split.no") != number or _number(other, "split.count") != count:
            raise BadGguf(f"{other.path.name} does not belong to {path.name}.", "Fetch all the files again.")
        files.append(other)
    names = [tensor.name for file in files for tensor in file.tensors]
    if len(set(names)) != len(names) or len(names) != _number(first, "split.tensors.count"):
        raise BadGguf(f"{path.name} and the files after it do not add up to one model.", "Fetch all the files again.")
    return files


def is_later(path: Path) -> bool:
    """Whether a file is by its name one of several, but not the first."""
    part = split.part(path.name)
    return part is not None and part.number > 1


def present(path: Path) -> list[Path]:
    """The files that are there of a GGUF, given the first, by their names."""
    part = split.part(path.name)
    if part is None:
        return [path]
    files = (path.with_name(part.name(number)) for number in range(1, part.count + 1))
    return [file for file in files if file.is_file()]


def stem(path: Path) -> str:
    """The name of a GGUF without its suffix and without the number of the file."""
    part = split.part(path.name)
    return part.stem if part else path.stem


def recipe(files: Sequence[Gguf]) -> str:
    """The recipe that a GGUF says it follows, or the type that most of its bytes have."""
    from g4convert.recipes import RECIPES  # many tables, and often nobody asks

    said = files[0].keys.get("general.file_type")
    followed = (each.name for each in RECIPES.values() if said and each.file_type == said.data)
    return next(followed, next(iter(types(files)), "-"))


def types(files: Sequence[Gguf]) -> dict[str, tuple[int, int]]:
    """Tensors and bytes by type, the type with the most bytes first."""
    totals: dict[str, tuple[int, int]] = {}
    for tensor in (tensor for file in files for tensor in file.tensors):
        count, nbytes = totals.get(tensor.type.name, (0, 0))
        totals[tensor.type.name] = (count + 1, nbytes + tensor.nbytes)
    return dict(sorted(totals.items(), key=lambda entry: -entry[1][1]))


def _number(file: Gguf, key: str) -> int:
    value = file.keys[key].data if key in file.keys else 0
    if not isinstance(value, int):
        raise BadGguf(f"{file.path.name} is no usable GGUF: {key} is no number.", "Fetch it again.")
    return value
