"""The GGUF format: its values, and a reader that trusts nothing (no tensor is read; that is the engine's work).

    magic "GGUF" · u32 version · u64 tensors · u64 keys
    key:    string name · u32 type · value                    string: u64 bytes · UTF-8
    array:  u32 element type · u64 items · items              bool: one byte
    tensor: string name · u32 dimensions · u64 each, the row's length first · u32 type · u64 offset
    padding to the alignment (`general.alignment`, or 32), then the data, each tensor padded to the alignment

Everything is little-endian. Every count is checked against what is left of the file before anything is allocated.
"""

import mmap
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from math import prod
from pathlib import Path

from g4convert.quants import TYPES, TensorType
from g4local.core.errors import BadGguf, ModelNotFound

MAGIC = b"GGUF"
VERSION = 3
ALIGNMENT = 32
MAX_DIMENSIONS = 4
MAX_NAME = 63
"""Bytes of a tensor's name; ggml keeps 64 with the zero."""


class ValueType(IntEnum):
    """The type of a key's value, by its number in the file."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


Item = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Omitted:
    """A long array that the reader was asked to leave out."""

    items: int


@dataclass(frozen=True, slots=True)
class Value:
    """A key's value with its type in the file."""

    type: ValueType
    data: Item | list[Item] | Omitted
    element: ValueType | None = None
    """The type of the items, for arrays."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies."""

    name: str
    dims: tuple[int, ...]
    """The length of a row first."""
    type: TensorType
    offset: int
    """Bytes from the start of the data."""

    @property
    def nbytes(self) -> int:
        """Bytes of the data without padding."""
        return self.type.row_nbytes(prod(self.dims))


@dataclass(frozen=True, slots=True)
class Gguf:
    """A GGUF's header."""

    path: Path
    version: int
    keys: dict[str, Value] = field(repr=False)
    tensors: tuple[TensorInfo, ...] = field(repr=False)
    alignment: int
    data_start: int
    """Bytes from the start of the file to the data."""
    nbytes: int
    """The size of the file."""


FORMATS = {
    ValueType.UINT8: "B",
    ValueType.INT8: "b",
    ValueType.UINT16: "H",
    ValueType.INT16: "h",
    ValueType.UINT32: "I",
    ValueType.INT32: "i",
    ValueType.FLOAT32: "f",
    ValueType.BOOL: "?",
    ValueType.UINT64: "Q",
    ValueType.INT64: "q",
    ValueType.FLOAT64: "d",
}
"""The `struct` letter of each type of fixed size."""

_TYPES_BY_ID = {entry.id: entry for entry in TYPES.values()}
_LENGTH = struct.Struct("<Q")
_FIRST_KEY = 24
_BEGIN = 512
"""Bytes that hold the first key, if it is that one."""
"""Bytes before it: magic, version, counts."""
_MIN_KEY = 13
"""Bytes of the shortest key: an empty name, a type and one byte of value."""
_MIN_TENSOR = 24
"""Bytes of the shortest tensor: an empty name, no dimensions, a type and an offset."""
_MAX_ELEMENTS = 2**63 - 1


def read(path: Path, longest: int | None = None, *, exact: bool = False) -> Gguf:
    """Read a GGUF's header; arrays of more than `longest` items are checked but left out (a vocabulary takes a second).

    ModelNotFound when there is no such file, BadGguf when it is not a whole and sound GGUF, and with `exact` also when
    a text is not UTF-8, of which only the sound parts would be kept.
    """
    try:
        if path.exists() and not path.is_file():
            raise _bad(path, "is no file", "A folder, a pipe or a device has its name.")
        with path.open("rb") as file:
            nbytes = file.seek(0, 2)
            if nbytes == 0:
                raise _bad(path, "is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Reader(path, content, longest, "strict" if exact else "replace").header()
    except FileNotFoundError as error:
        raise ModelNotFound(f"There is no file {path}.", "Give the path of a GGUF file.") from error
    except UnicodeDecodeError as error:
        raise _bad(path, "holds a text that is not UTF-8") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadGguf(f"{path.name} can't be read: {reason}.", "Check that it is a file that you may read.") from error


def u32(number: int) -> Value:
    """A key's value of type uint32."""
    return Value(ValueType.UINT32, number)


def i32(number: int) -> Value:
    """A key's value of type int32."""
    return Value(ValueType.INT32, number)


def f32(number: float) -> Value:
    """A key's value of type float32."""
    return Value(ValueType.FLOAT32, number)


def boolean(flag: bool) -> Value:
    """A key's value of type bool."""
    return Value(ValueType.BOOL, flag)


def string(text: str) -> Value:
    """A key's value that is a string."""
    return Value(ValueType.STRING, text)


def i32s(numbers: Iterable[int]) -> Value:
    """A key's value that is an array of int32."""
    return Value(ValueType.ARRAY, [*numbers], ValueType.INT32)


def f32s(numbers: Iterable[float]) -> Value:
    """A key's value that is an array of float32."""
    return Value(ValueType.ARRAY, [*numbers], ValueType.FLOAT32)


def bools(flags: Iterable[bool]) -> Value:
    """A key's value that is an array of bool."""
    return Value(ValueType.ARRAY, [*flags], ValueType.BOOL)


def strings(texts: Iterable[str]) -> Value:
    """A key's value that is an array of strings."""
    return Value(ValueType.ARRAY, [*texts], ValueType.STRING)


def architecture(path: Path) -> str:
    """`architecture_in` of a file; empty for what can't be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return architecture_in(file.read(_BEGIN))
    except OSError:
        return ""


def architecture_in(begin: bytes) -> str:
    """What a GGUF says that it is, from how it begins, where that is its first key, as everywhere; else empty."""
    key = b"general.architecture"
    start = _LENGTH.pack(len(key)) + key + struct.pack("<I", ValueType.STRING)
    value = _FIRST_KEY + len(start) + _LENGTH.size
    if begin[: len(MAGIC)] != MAGIC or begin[_FIRST_KEY:].find(start) != 0 or len(begin) < value:
        return ""
    (length,) = _LENGTH.unpack(begin[value - _LENGTH.size : value])
    return begin[value : value + min(length, MAX_NAME)].decode(errors="replace")


class _Reader:
    """A position in the mapped file that never passes its end."""

    def __init__(self, path: Path, content: mmap.mmap, longest: int | None, errors: str) -> None:
        self._path = path
        self._content = content
        self._nbytes = len(content)
        self._longest = longest
        self._errors = errors
        self._at = 0

    def header(self) -> Gguf:
        version = self._version()
        tensor_count = self._number("Q")
        key_count = self._number("Q")
        self._expect_room(key_count * _MIN_KEY + tensor_count * _MIN_TENSOR, "keys and tensors")
        keys = self._keys(key_count)
        alignment = self._alignment(keys)
        tensors = self._tensors(tensor_count, alignment)
        data_start = -(-self._at // alignment) * alignment
        if tensors and data_start + tensors[-1].offset + tensors[-1].nbytes > self._nbytes:
            raise self._bad(f"ends before the data of {tensors[-1].name!r}")
        return Gguf(self._path, version, keys, tensors, alignment, data_start, self._nbytes)

    def _version(self) -> int:
        if self._nbytes < len(MAGIC) or self._content[: len(MAGIC)] != MAGIC:
            raise _bad(
                self._path, "does not begin with GGUF", "It is another kind of file, or its beginning is damaged."
            )
        self._at = len(MAGIC)
        version = self._number("I")
        if version not in (2, VERSION):
            kind = "big-endian" if version and version % 65536 == 0 else f"of version {version}"
            raise _bad(self._path, f"is {kind}", f"Only little-endian files of version 2 and {VERSION} can be read.")
        return version

    def _keys(self, count: int) -> dict[str, Value]:
        keys: dict[str, Value] = {}
        for _ in range(count):
            name = self._name("key")
            if name in keys:
                raise self._bad(f"has the key {name!r} twice")
            keys[name] = self._value(name)
        return keys

    def _value(self, name: str) -> Value:
        kind = self._value_type(name)
        if kind is ValueType.STRING:
            return Value(kind, self._string())
        if kind is not ValueType.ARRAY:
            return Value(kind, self._number(FORMATS[kind]))
        element = self._value_type(name)
        if element is ValueType.ARRAY:
            raise self._bad(f"has an array of arrays in {name!r}")
        count = self._number("Q")
        omit = self._longest is not None and count > self._longest
        if element is ValueType.STRING:
            self._expect_room(count * 8, f"the {count} strings of {name!r}")
            strings = self._strings(count, keep=not omit)
            return Value(kind, Omitted(count) if omit else strings, element)
        nbytes = count * struct.calcsize(f"<{FORMATS[element]}")
        self._expect_room(nbytes, f"the {count} items of {name!r}")
        if omit:
            self._at += nbytes
            return Value(kind, Omitted(count), element)
        return Value(kind, self._items(element, nbytes), element)

    def _items(self, element: ValueType, nbytes: int) -> list[Item]:
        raw = self._content[self._at : self._at + nbytes]
        self._at += nbytes
        return [item for (item,) in struct.iter_unpack(f"<{FORMATS[element]}", raw)]

    def _strings(self, count: int, keep: bool) -> list[Item]:
        """Read or step over strings; a tight loop, since a vocabulary and its merges are some 800,000."""
        unpack, content, at, last = _LENGTH.unpack_from, self._content, self._at, self._nbytes - _LENGTH.size
        strings: list[Item] = []
        for _ in range(count):
            if at > last:
                raise self._bad("ends inside an array of strings")
            start = at + _LENGTH.size
            at = start + unpack(content, at)[0]
            if keep and at <= self._nbytes:
                strings.append(content[start:at].decode(errors=self._errors))
        self._at = at
        self._expect_room(0, "an array of strings")
        return strings

    def _alignment(self, keys: dict[str, Value]) -> int:
        if "general.alignment" not in keys:
            return ALIGNMENT
        value = keys["general.alignment"]
        alignment = value.data
        if value.type is not ValueType.UINT32 or not isinstance(alignment, int) or alignment.bit_count() != 1:
            raise self._bad("has an alignment that is no power of two")
        return alignment

    def _tensors(self, count: int, alignment: int) -> tuple[TensorInfo, ...]:
        tensors: dict[str, TensorInfo] = {}
        expected = 0
        for _ in range(count):
            tensor = self._tensor()
            if tensor.name in tensors:
                raise self._bad(f"has the tensor {tensor.name!r} twice")
            if tensor.offset != expected:
                raise self._bad(f"has {tensor.name!r} at offset {tensor.offset} instead of {expected}")
            expected += -(-tensor.nbytes // alignment) * alignment
            tensors[tensor.name] = tensor
        return tuple(tensors.values())

    def _tensor(self) -> TensorInfo:
        name = self._name("tensor")
        if len(name.encode()) > MAX_NAME:
            raise self._bad(f"has a tensor with a name of more than {MAX_NAME} bytes")
        count = self._number("I")
        if count > MAX_DIMENSIONS:
            raise self._bad(f"has {count} dimensions in {name!r}")
        dims = tuple(self._number("Q") for _ in range(count))
        kind = _TYPES_BY_ID.get(number := self._number("I"))
        if kind is None:
            raise self._bad(f"has the unknown type {number} in {name!r}")
        if prod(dims) > _MAX_ELEMENTS or (dims[0] if dims else 1) % kind.block:
            raise self._bad(f"has impossible dimensions in {name!r}")
        return TensorInfo(name, dims, kind, self._number("Q"))

    def _value_type(self, name: str) -> ValueType:
        number = self._number("I")
        try:
            return ValueType(number)
        except ValueError as error:
            raise self._bad(f"has the unknown value type {number} in {name!r}") from error

    def _name(self, what: str) -> str:
        raw = self._bytes(self._number("Q"), f"the name of a {what}")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise self._bad(f"has a {what} whose name is not UTF-8") from error

    def _string(self) -> str:
        return self._bytes(self._number("Q"), "a string").decode(errors=self._errors)

    def _number(self, letter: str) -> int:
        reader = struct.Struct(f"<{letter}")
        raw = self._bytes(reader.size, "a number")
        value: int = reader.unpack(raw)[0]
        return value

    def _bytes(self, count: int, what: str) -> bytes:
        self._expect_room(count, what)
        self._at += count
        return self._content[self._at - count : self._at]

    def _expect_room(self, count: int, what: str) -> None:
        left = self._nbytes - self._at
        if count > left:
            raise self._bad(f"ends {count - left} bytes before the end of {what}")

    def _bad(self, what: str) -> BadGguf:
        return _bad(self._path, what)


def _bad(path: Path, what: str, hint: str = "It is cut off or damaged; fetch or convert it again.") -> BadGguf:
    return BadGguf(f"{path.name} is no usable GGUF: it {what}.", hint)
