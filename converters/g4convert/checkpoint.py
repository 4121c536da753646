"""A Hugging Face folder: config.json, the index and the headers of the safetensors files; rows are read when asked for.

    safetensors: u64 bytes of the header · JSON {name: {dtype, shape, data_offsets: [first, last + 1]}} · data

Rows are read with `pread`, not through a mapping: memory stays what is asked for, and a file that shrinks under us is
an error instead of a signal. The file's own bounds are all checked before anything is allocated.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from g4convert import foreign
from g4convert.quants import TYPES
from g4local.core.errors import BadCheckpoint

INDEX = "model.safetensors.index.json"
_WEIGHTS = "model*.safetensors"

DTYPE_NBYTES = {
    **{"BF16": 2, "F16": 2, "F32": 4, "F64": 8, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1},
    **{"U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8, "C64": 8},
}
"""Bytes of a value, for every type of the format whose values are whole bytes."""

_MAX_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library."""
_MAX_SMALL = 256 * 1024 * 1024
"""Bytes of config.json, the index, templates and tokenizer files (Gemma 4's tokenizer.json has 32 million)."""

_MOST_VALUES, _MOST_DIMENSIONS = 2**48, 8
"""Along one dimension of a tensor; larger numbers are damage, and slow to reckon with."""


@dataclass(frozen=True, slots=True)
class SourceTensor:
    """A tensor of the checkpoint or of a GGUF, and where its bytes are."""

    name: str
    dtype: str
    """As safetensors files call it; a GGUF's quantized types are ggml's."""
    shape: tuple[int, ...]
    """Rows last: the last number is the length of a row."""
    path: Path
    start: int
    """Bytes from the beginning of the file."""

    @property
    def rows(self) -> int:
        """Rows, counted over all other dimensions."""
        return prod(self.shape[:-1])

    @property
    def row_nbytes(self) -> int:
        """Bytes of a row."""
        values = self.shape[-1] if self.shape else 1
        if self.dtype in DTYPE_NBYTES:
            return values * DTYPE_NBYTES[self.dtype]
        return TYPES[self.dtype].row_nbytes(values)

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return self.rows * self.row_nbytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder holds."""

    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, SourceTensor] = field(repr=False)
    """By name; in the order of the files' names and of the tensors' names inside each."""


class Rows:
    """Open shards, to read rows from; safe to use from several threads."""

    def __init__(self, files: Mapping[Path, int]) -> None:
        self._files = files

    def read(self, tensor: SourceTensor, first: int, count: int) -> bytes:
        """The bytes of `count` rows from row `first` on, rows being counted over all other dimensions."""
        at, wanted = _place(tensor, first, count)
        parts = []
        while wanted:
            with _reading(tensor.path):
                part = os.pread(self._files[tensor.path], wanted, at)
            if not part:
                raise BadCheckpoint(
                    f"{tensor.path.name} ends inside the tensor {tensor.name!r}.",
                    "The file changed; download it again.",
                )
            parts.append(part)
            wanted -= len(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def announce(self, tensor: SourceTensor, first: int, count: int) -> None:
        """Let the system read rows that will be asked for soon, where it can."""
        if sys.platform == "linux":
            with suppress(OSError):
                os.posix_fadvise(self._files[tensor.path], *_place(tensor, first, count), os.POSIX_FADV_WILLNEED)


def _place(tensor: SourceTensor, first: int, count: int) -> tuple[int, int]:
    """Where rows begin in the file, and their bytes."""
    return tensor.start + first * tensor.row_nbytes, count * tensor.row_nbytes


@contextmanager
def rows(tensors: Iterable[SourceTensor]) -> Iterator[Rows]:
    """The files that hold these tensors, open as long as the block lasts."""
    files: dict[Path, int] = {}
    try:
        for path in {tensor.path for tensor in tensors}:
            with _reading(path):
                files[path] = os.open(path, os.O_RDONLY)
        yield Rows(files)
    finally:
        for descriptor in files.values():
            os.close(descriptor)


def read(folder: Path) -> Checkpoint:
    """Read what a folder holds, but no weight; BadCheckpoint when a file is missing, cut off or inconsistent."""
    with _reading(folder):
        if not folder.is_dir():
            raise BadCheckpoint(f"There is no folder {folder}.", "Give a folder that was downloaded from Hugging Face.")
        if not (folder / INDEX).is_file():
            foreign.expect_checkpoint(folder, _WEIGHTS)
    config = read_json(folder / "config.json")
    index = folder / INDEX
    tensors = _indexed(folder, index) if index.is_file() else _listed(folder)
    return Checkpoint(folder, config, tensors)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; BadCheckpoint when there is none."""
    try:
        content = json.loads(_read_small(path))
    except (ValueError, RecursionError) as error:
        raise _bad(path, "is not valid JSON") from error
    if not isinstance(content, dict):
        raise _bad(path, "holds no JSON object")
    return content


def read_text(path: Path) -> str:
    """The text in a file; BadCheckpoint when there is none."""
    try:
        return _read_small(path).decode()
    except UnicodeDecodeError as error:
        raise _bad(path, "is no text in UTF-8") from error


def _read_small(path: Path) -> bytes:
    """What is in one of the small files; BadCheckpoint when it is missing, no file, or so large that it is none."""
    with _reading(path):
        if not path.is_file() and path.exists():
            raise _bad(path, "is no file")
        if path.stat().st_size > _MAX_SMALL:
            raise _bad(path, "is too large to be one of a model's small files")
        return path.read_bytes()


def _listed(folder: Path) -> dict[str, SourceTensor]:
    """The tensors of a folder without an index."""
    paths = sorted(folder.glob(_WEIGHTS))
    if not paths:
        raise BadCheckpoint(f"{folder} has no files {_WEIGHTS}.", "Only safetensors checkpoints can be converted.")
    tensors: dict[str, SourceTensor] = {}
    for path in paths:
        for tensor in _header(path):
            if tensor.name in tensors:
                raise _bad(path, f"has the tensor {tensor.name!r}, which another file has too")
            tensors[tensor.name] = tensor
    return tensors


def _indexed(folder: Path, index: Path) -> dict[str, SourceTensor]:
    """The tensors of a folder with an index, which must agree with the files."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(shard, str) for shard in places.values()):
        raise _bad(index, "has no weight_map")
    with _reading(folder):
        present = {path.name for path in folder.iterdir() if path.is_file()}
    tensors: dict[str, SourceTensor] = {}
    for shard in sorted(set(places.values())):
        if shard not in present:
            raise BadCheckpoint(
                f"{folder} has no {shard!r}, which {INDEX} names.",
                "Download the missing file; the folder is incomplete.",
            )
        for tensor in _header(folder / shard):
            if places.get(tensor.name) != shard:
                raise _bad(folder / shard, f"has the tensor {tensor.name!r}, which {INDEX} does not place there")
            tensors[tensor.name] = tensor
    for name, shard in places.items():
        if name not in tensors:
            raise _bad(folder / shard, f"lacks the tensor {name!r}, which {INDEX} places there")
    return tensors


def _header(path: Path) -> list[SourceTensor]:
    """The tensors of one safetensors file, by name, with every bound checked."""
    try:
        if not path.is_file():
            raise _bad(path, "is no file")
        with _reading(path), path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, _MAX_HEADER):
                raise _bad(path, "is cut off, or its header is damaged")
            header = json.loads(file.read(length), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _bad(path, "has a header that is not valid JSON") from error
    if not isinstance(header, dict):
        raise _bad(path, "has a header that is no JSON object")
    header.pop("__metadata__", None)
    tensors = [_tensor(path, name, entry, 8 + length) for name, entry in header.items()]
    end = 8 + length
    for tensor in sorted(tensors, key=lambda tensor: (tensor.start, tensor.nbytes)):
        if tensor.start != end:
            raise _bad(path, f"has data that is not where {tensor.name!r} should begin")
        end += tensor.nbytes
    if end != size:
        raise _bad(path, f"has {size} bytes instead of {end}")
    return sorted(tensors, key=lambda tensor: tensor.name)


def _tensor(path: Path, name: str, entry: object, data: int) -> SourceTensor:
    """One entry of a header; `data` is where the data begins."""
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(first), int(last)]}:
            if dtype not in DTYPE_NBYTES:
                raise _bad(path, f"has the tensor {name!r} of the unknown type {dtype!r}")
            sizes_are_sound = all(type(size) is int and 0 <= size < _MOST_VALUES for size in shape)
            if not sizes_are_sound or len(shape) > _MOST_DIMENSIONS or first < 0:
                raise _bad(path, f"has an impossible shape or place for {name!r}")
            tensor = SourceTensor(name, dtype, tuple(shape), path, data + first)
            if tensor.nbytes != last - first:
                raise _bad(path, f"has {last - first} bytes for {name!r} instead of {tensor.nbytes}")
            return tensor
        case _:
            raise _bad(path, f"has a damaged entry for {name!r}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name twice")
    return entries


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BadCheckpoint(
            f"{path.parent} has no {path.name}.", "Download the whole repository, the small files too."
        ) from error
    except OSError as error:
        raise BadCheckpoint(f"{path.name} can't be read: {error.strerror}.", "Check your rights there.") from error


def _bad(path: Path, what: str) -> BadCheckpoint:
    return BadCheckpoint(f"{path.name} {what}.", "Download it again, and check its size.")
