"""Importance matrices: how much each column of each weight matters, read from what llama.cpp's imatrix tool writes.

    GGUF:    F32 tensors NAME.in_sum2 [row, experts] and NAME.counts [1, experts]; keys imatrix.datasets,
             imatrix.chunk_count, imatrix.chunk_size
    legacy:  i32 entries · each: i32 bytes · name · i32 calls · i32 values · f32 each
             then i32 chunks · i32 bytes · dataset, which may be missing

Sizes are checked against what is left of the file before anything is allocated. Nothing here knows a model.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g4convert import gguf
from g4convert.gguf import Gguf, TensorInfo, Value, ValueType, string, u32
from g4convert.transforms import Floats
from g4local.core.errors import BadImatrix, UsageError

Counts = NDArray[np.int64]

SUMS, COUNTS = ".in_sum2", ".counts"
"""What follows a weight's name in the names of its two tensors."""
DATASETS, CHUNK_COUNT, CHUNK_SIZE = "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"
"""The keys; a file without them is not an importance matrix."""

_LONGEST = 127
"""Bytes of a text in a model's keys; llama.cpp's llama_model_kv_override has 128 with the zero."""
_LARGEST_COUNT = 2.0**53
_LARGEST_FILE = 1 << 31
"""Bytes; the 26B's matrix has 55 MB."""


@dataclass(frozen=True, slots=True)
class Importance:
    """What was seen of the inputs of a model's weights."""

    sums: Mapping[str, Floats]
    """Of squared inputs, by the weight's name: [experts, row]; legacy files have all experts in one row."""
    counts: Mapping[str, Counts]
    """Tokens, by the weight's name: [experts]; an expert that no token reached has 0."""
    datasets: tuple[str, ...] = ()
    """The texts' names."""
    chunks: int = 0
    """Pieces of text that were read; 0 where that is not known."""
    chunk_tokens: int = 0
    """Tokens of a piece; 0 where that is not known."""
    name: str = ""
    """The file's name as it was given."""

    def weights(self, name: str) -> Floats:
        """The mean squared inputs of a weight that has an entry, [experts, row]; 1 for experts without tokens."""
        counts = self.counts[name].astype(np.float32)[:, None]
        seen = counts > 0
        return np.where(seen, self.sums[name] / np.where(seen, counts, np.float32(1)), np.float32(1))

    def unreached(self, name: str) -> tuple[int, ...]:
        """The experts that no token reached."""
        return tuple(np.flatnonzero(self.counts[name] <= 0).tolist())


def read(name: str) -> Importance:
    """Read a file of either format.

    UsageError when there is no such file; BadGguf or BadImatrix when it is cut off, damaged or something else.
    """
    path = Path(name)
    try:
        if not path.is_file():
            raise UsageError(
                f"There is no file {path}.", "Give the file that `g4local imatrix` or llama-imatrix wrote."
            )
        with path.open("rb") as file:
            is_gguf = file.read(len(gguf.MAGIC)) == gguf.MAGIC
        if is_gguf:
            return _of_gguf(gguf.read(path), name)
        if path.stat().st_size > _LARGEST_FILE:
            raise _bad(path, "is too large to be one")
        return _Legacy(path, name, path.read_bytes()).importance()
    except OSError as error:
        raise _bad(path, f"can't be read: {error.strerror}") from error


def keys(importance: Importance, *, bare: bool = False) -> dict[str, Value]:
    """What a model's GGUF tells of the matrix it was made with, as llama-quantize writes it, after all other keys.

    `bare`: files without the folders they lie in.
    """
    names = {"file": importance.name, **({"dataset": importance.datasets[0]} if importance.datasets else {})}
    told = {key: string(_short(Path(name).name if bare else name)) for key, name in names.items()}
    told["entries_count"] = u32(len(importance.sums))
    if importance.chunks:
        told["chunks_count"] = u32(importance.chunks)
    return {f"quantize.imatrix.{name}": value for name, value in told.items()}


def _short(text: str) -> str:
    """As much of a text as llama-quantize has room for, less a character that is cut in two."""
    return text.encode(errors="replace")[:_LONGEST].decode(errors="ignore")


def _of_gguf(header: Gguf, name: str) -> Importance:
    pairs: dict[str, dict[str, TensorInfo]] = {}
    for tensor in header.tensors:
        for suffix in (SUMS, COUNTS):
            if tensor.name.endswith(suffix):
                pairs.setdefault(tensor.name.removesuffix(suffix), {})[suffix] = tensor
    if not pairs or not {DATASETS, CHUNK_COUNT, CHUNK_SIZE} <= header.keys.keys():
        raise _bad(header.path, "lacks what an importance matrix has")
    sums, counts = {}, {}
    with header.path.open("rb") as file:
        for weight, pair in sorted(pairs.items(), key=lambda item: item[0].encode()):
            if len(pair) != 2 or {tensor.type.name for tensor in pair.values()} != {"F32"}:
                raise _bad(header.path, f"lacks the F32 sums or counts of {weight!r}")
            raw = {}
            for suffix, tensor in pair.items():
                file.seek(header.data_start + tensor.offset)
                raw[suffix] = np.frombuffer(file.read(tensor.nbytes), "<f4")
            sums[weight], counts[weight] = _entry(header.path, weight, raw[SUMS], raw[COUNTS])
    return Importance(sums, counts, _datasets(header), _number(header, CHUNK_COUNT), _number(header, CHUNK_SIZE), name)


def _entry(path: Path, weight: str, sums: Floats, counts: Floats) -> tuple[Floats, Counts]:
    """One weight's sums by expert and counts, all of them possible."""
    if not counts.size or not sums.size or sums.size % counts.size:
        raise _bad(path, f"has {sums.size} sums for {counts.size} counts of {weight!r}")
    if not (np.isfinite(sums).all() and (sums >= 0).all()):
        raise _bad(path, f"has sums of squares of {weight!r} that are below 0, infinite or not a number")
    if not (np.abs(counts) <= _LARGEST_COUNT).all():
        raise _bad(path, f"has impossible counts of {weight!r}")
    wide = counts.astype(np.float64)
    return sums.reshape(counts.size, -1), np.trunc(wide + np.copysign(0.5, wide)).astype(np.int64)


def _datasets(header: Gguf) -> tuple[str, ...]:
    value = header.keys[DATASETS]
    if value.element is ValueType.STRING and isinstance(value.data, list):
        return tuple(map(str, value.data))
    return ()


def _number(header: Gguf, key: str) -> int:
    value = header.keys[key]
    if value.type is not ValueType.UINT32 or not isinstance(value.data, int):
        raise _bad(header.path, f"has a {key} that is no whole number")
    return value.data


class _Legacy:
    """A position in the bytes of a legacy file that never passes their end."""

    def __init__(self, path: Path, name: str, content: bytes) -> None:
        self._path = path
        self._name = name
        self._content = content
        self._at = 0

    def importance(self) -> Importance:
        sums, counts = {}, {}
        for _ in range(self._number("entries", least=1)):
            weight = self._text()
            calls = self._number("calls", least=-(2**31))
            values = np.frombuffer(self._bytes(4 * self._number("values", least=1)), "<f4")
            sums[weight], counts[weight] = _entry(self._path, weight, values, np.array([max(calls, 1)], np.float32))
        chunks = self._number("chunks", least=-(2**31)) if self._is_more() else 0
        dataset = self._text() if self._is_more() else ""
        return Importance(sums, counts, (dataset,) if dataset else (), max(chunks, 0), 0, self._name)

    def _is_more(self) -> bool:
        return self._at < len(self._content)

    def _number(self, what: str, least: int) -> int:
        number: int = struct.unpack("<i", self._bytes(4))[0]
        if number < least:
            raise _bad(self._path, f"has {number} {what}")
        return number

    def _text(self) -> str:
        raw = self._bytes(self._number("bytes of a name", least=0))
        return raw.split(b"\0")[0].decode(errors="replace")

    def _bytes(self, count: int) -> bytes:
        if count > len(self._content) - self._at:
            raise _bad(self._path, "ends too early")
        self._at += count
        return self._content[self._at - count : self._at]


def _bad(path: Path, what: str) -> BadImatrix:
    return BadImatrix(
        f"{path.name} is no usable importance matrix: it {what}.",
        "Make it again with `g4local imatrix`, or give one that llama-imatrix wrote.",
    )
