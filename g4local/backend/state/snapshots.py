"""States of a model's memory as files, so that a conversation goes on where it was after its process has ended.

    magic    8 bytes, the version among them
    length   of the header, 4 bytes, little-endian
    header   JSON: {"key", "kind", "mark", "tokens", "state", "logits"}, the last three in bytes
    tokens   4 bytes each, little-endian
    digest   SHA-256 of all from the length on
    state    as llama_state_seq_get_data_ext gives it
    logits   32-bit floats, where they are known
    digest   SHA-256 of the first digest, the state and the logits

A file says by itself what it is, and whether it is whole: what llama.cpp is given is what llama.cpp gave, and its own
functions for such files, which end the process when one is cut off, are not used. A snapshot holds a conversation's
tokens, so only its owner may read it.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Literal

SUFFIX = ".g4snap"
MAGIC = b"g4snap\n\x01"

_PART = ".part"
_PIECE = 1 << 20
"""Bytes that are read, written and hashed at once."""
_LONGEST_HEADER = 1 << 12
_DIGEST = hashlib.sha256().digest_size
_TOKEN = 4

State = ctypes.Array[ctypes.c_uint8]
"""What llama.cpp gives and takes."""


class Damaged(Exception):
    """A file that is no whole snapshot."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a snapshot is of."""

    key: str
    """The model and all else that a state depends on."""
    kind: Literal["whole", "sliding"]
    """All layers, or the sliding ones alone, as of a checkpoint; that one needs a whole one of the same beginning."""
    tokens: bytes
    """The tokens that the state is of, each four bytes."""
    state: int
    """Bytes of the state."""
    logits: int = 0
    """Bytes of the logits that follow it; 0: they are not known."""
    mark: int = 0
    """The length at which the tokens of the last answer begin, for a whole one whose checkpoint there is a snapshot."""

    @property
    def length(self) -> int:
        """Tokens that the state is of."""
        return len(self.tokens) // _TOKEN

    @property
    def name(self) -> str:
        """The file's name, which follows from its contents."""
        return f"{self.kind}-{self.length:07}-{hashlib.sha256(self.tokens).hexdigest()[:24]}{SUFFIX}"

    def encoded(self) -> bytes:
        """The beginning of the file, with its digest."""
        entry = {**asdict(self), "tokens": len(self.tokens)}
        text = json.dumps(entry, separators=(",", ":"), sort_keys=True).encode("ascii")
        data = len(text).to_bytes(4, "little") + text + self.tokens
        return MAGIC + data + hashlib.sha256(data).digest()


def packed(tokens: Sequence[int]) -> bytes:
    """Tokens as a snapshot has them."""
    return struct.pack(f"<{len(tokens)}i", *tokens)


def unpacked(data: bytes) -> list[int]:
    """The tokens that were packed."""
    return list(struct.unpack(f"<{len(data) // _TOKEN}i", data))


def write(folder: Path, head: Head, state: State, logits: bytes) -> Path:
    """Write a snapshot into a folder, whole or not at all; OSError, after which nothing of it is left."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / head.name
    part = folder / f"{head.name}.{os.getpid()}-{threading.get_ident()}{_PART}"
    try:
        with FileIO(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            begin = head.encoded()
            digest = hashlib.sha256(begin[-_DIGEST:])
            _put(file, begin)
            for data in (memoryview(state).cast("B"), memoryview(logits)):
                for start in range(0, len(data), _PIECE):
                    piece = data[start : start + _PIECE]
                    digest.update(piece)
                    _put(file, piece)
            _put(file, digest.digest())
            os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def head(path: Path, key: str) -> Head:
    """What a file is of, from its beginning; Damaged, also when it is of another key, or OSError."""
    with _opened(path) as file:
        found = _head(file, path.name)
    if found.key != key:
        raise Damaged("it is of another model")
    return found


def read(path: Path, expected: Head, read_more: Callable[[int], None]) -> tuple[State, bytes]:
    """A file's state and logits, when it is what it was found to be; Damaged or OSError.

    `read_more` is told each number of bytes that was read.
    """
    with _opened(path) as file:
        if _head(file, path.name) != expected:
            raise Damaged("it has changed")
        digest = hashlib.sha256(expected.encoded()[-_DIGEST:])
        state, logits = (ctypes.c_uint8 * expected.state)(), (ctypes.c_uint8 * expected.logits)()
        for data in (memoryview(state).cast("B"), memoryview(logits).cast("B")):
            for start in range(0, len(data), _PIECE):
                piece = data[start : start + _PIECE]
                if file.readinto(piece) != len(piece):
                    raise Damaged("it is cut off")
                digest.update(piece)
                read_more(len(piece))
        if file.read() != digest.digest():
            raise Damaged("its checksum differs")
        return state, bytes(logits)


def abandoned(folder: Path) -> Iterator[Path]:
    """Half files whose writers are gone."""
    for part in folder.glob(f"*{_PART}"):
        with suppress(OSError, Damaged), _opened(part) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield part


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """A file to be read; Damaged for a pipe or a device, which might keep its reader waiting for ever."""
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Damaged("it is no file")
        yield file


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _head(file: BufferedReader, name: str) -> Head:
    if file.read(len(MAGIC)) != MAGIC:
        raise Damaged("it is no snapshot")
    prefix = file.read(4)
    length = int.from_bytes(prefix, "little")
    text = file.read(length) if length <= _LONGEST_HEADER else b""
    try:
        found = Head(**json.loads(text))
        nbytes = int(found.tokens)  # their number, until they are read
        tokens = file.read(min(nbytes, os.fstat(file.fileno()).st_size))
        found = replace(found, tokens=tokens)
        is_same = MAGIC + prefix + text + tokens + file.read(_DIGEST) == found.encoded()
        size = len(found.encoded()) + found.state + found.logits + _DIGEST
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Damaged("its header is damaged") from error
    if not is_same or found.name != name:
        raise Damaged("its header is damaged")
    if size != os.fstat(file.fileno()).st_size:
        raise Damaged("it has another length")
    return found


def _put(file: FileIO, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
