"""Writes a GGUF in one pass: the header first, then slab after slab of read, transform, quantize, write.

Sizes are known from the plan, so nothing is written twice. Rows are quantized independently, so slabs run on a pool of
threads and are written in order: the bytes do not depend on the number of threads, and memory is that of some slabs.
"""

import os
import struct
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from g4convert import encode
from g4convert.checkpoint import Rows
from g4convert.encode import Slab
from g4convert.gguf import FORMATS, MAGIC, VERSION, Value, ValueType
from g4convert.plan import Plan, padded
from g4convert.quants import dims
from g4local.core import files
from g4local.core.errors import BadCheckpoint, Busy, Cancelled, G4Error, UsageError
from g4local.core.locks import is_still, try_lock
from g4local.core.progress import Progress, Report

_SLAB = 1 << 19
"""Values that are converted at once, if a row is not longer."""
_AHEAD = 32
"""Slabs that are read before their turn, and that may wait to be written: a disk's pauses don't reach the cores."""
_STRETCH = 1 << 25
"""Bytes after which the system is asked to write what it has been given."""


@contextmanager
def beside(target: Path, nbytes: int) -> Iterator[BinaryIO]:
    """A file `TARGET.part` that becomes the target when the block ends, and is removed when it fails.

    UsageError when the target can't be a file, Busy when another process is writing it, G4Error when the disk is full.
    """
    with _writing(target):
        expect_room(target, nbytes)
    part = target.with_name(target.name + ".part")
    finished = False
    file = _opened_alone(part)
    try:
        yield file
        flush(file)
        with _writing(part):
            os.fsync(file.fileno())
            part.replace(target)
        finished = True
    finally:
        if not finished:
            part.unlink(missing_ok=True)
        with suppress(OSError):  # what could not be written is tried again, and is told already
            file.close()


def expect_room(target: Path, nbytes: int) -> None:
    """UsageError when the target can't be a file, G4Error when the disk has not so many bytes free."""
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}.", "Create it, or choose another place.")
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", "Give the name of a file.")
    if target.exists() and not target.is_file():
        raise UsageError(f"{target} is a pipe or a device.", "Give the name of a file; it appears by being renamed.")
    hint = "Make room, or choose a smaller quant or another disk."
    files.expect_room(target.parent, nbytes, f"are needed for {target.name}", hint)


def head(keys: Mapping[str, Value], plan: Plan) -> bytes:
    """All that stands before the data, padding included."""
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(plan.tensors), len(keys))]
    for name, value in keys.items():
        parts += [_string(name), struct.pack("<I", value.type), _value(value)]
    for tensor in plan.tensors:
        sizes = dims(tensor.shape)
        parts.append(_string(tensor.name))
        parts.append(struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, tensor.type.id, tensor.offset))
    content = b"".join(parts)
    return content + bytes(padded(len(content)) - len(content))


def append(file: BinaryIO, content: bytes) -> None:
    """Write what comes next; G4Error when the disk does not take it."""
    with _writing(Path(file.name)):
        file.write(content)


def flush(file: BinaryIO) -> None:
    """Let others see what was written; G4Error when the disk does not take it."""
    with _writing(Path(file.name)):
        file.flush()


def write(file: BinaryIO, plan: Plan, source: Rows, threads: int, report: Report, cancel: Event) -> None:
    """Append the data of all tensors; Cancelled when asked to stop, BadCheckpoint for values that are no numbers."""
    pending: deque[Future[bytes]] = deque()
    slabs = _announced(_slabs(plan), source)
    start, done, handed = file.tell(), 0, 0
    report(Progress("convert", 0, plan.nbytes, "bytes"))
    with ThreadPoolExecutor(threads, "g4convert") as pool:
        try:
            while True:
                while len(pending) < threads + _AHEAD and (slab := next(slabs, None)):
                    pending.append(pool.submit(encode.encoded, slab, source, rounds=plan.rounds))
                if not pending:
                    break
                if cancel.is_set():
                    raise Cancelled("The conversion was stopped.", "Nothing is left of it.")
                content = pending.popleft().result()
                append(file, content)
                done += len(content)
                if done - handed >= _STRETCH:
                    _write_back(file, start + handed, done - handed)
                    handed = done
                report(Progress("convert", done, plan.nbytes, "bytes"))
        finally:
            for future in pending:
                future.cancel()


def _slabs(plan: Plan) -> Iterator[Slab]:
    for tensor in plan.tensors:
        count = tensor.rows if tensor.is_whole else max(1, _SLAB // tensor.row)
        for first in range(0, tensor.rows, count):
            yield Slab(tensor, first, min(count, tensor.rows - first))


def _announced(slabs: Iterator[Slab], source: Rows) -> Iterator[Slab]:
    """The same slabs; the system is told of each a while before its turn, and reads its rows meanwhile."""
    waiting: deque[Slab] = deque()
    for slab in slabs:
        if slab.tensor.source and not slab.tensor.is_whole:
            source.announce(slab.tensor.source, slab.first, slab.count)
        waiting.append(slab)
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    yield from waiting


def _write_back(file: BinaryIO, first: int, nbytes: int) -> None:
    """Have the system start to write, so that little is left for the end; only Linux takes the advice so."""
    flush(file)
    if sys.platform == "linux":
        with suppress(OSError):
            os.posix_fadvise(file.fileno(), first, nbytes, os.POSIX_FADV_DONTNEED)


def _value(value: Value) -> bytes:
    if value.type is ValueType.ARRAY:
        assert isinstance(value.data, list) and value.element is not None
        return struct.pack("<IQ", value.element, len(value.data)) + _items(value.element, value.data)
    return _items(value.type, [value.data])


def _items(kind: ValueType, items: list[Any]) -> bytes:
    if kind is ValueType.STRING:
        return b"".join(map(_string, items))
    return struct.pack(f"<{len(items)}{FORMATS[kind]}", *items)


def _string(text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise BadCheckpoint(f"The text {text[:40]!r} is not Unicode.", "Download it again.") from error
    return struct.pack("<Q", len(raw)) + raw


def _opened_alone(part: Path) -> BinaryIO:
    """The part, empty and locked; one that a killed process left behind is used again, but no link and no pipe."""
    while True:
        with _writing(part):
            file = open(part, "r+b", opener=_as_new)  # noqa: SIM115
        if not try_lock(file):
            file.close()
            raise Busy(f"Another process is writing {part.name}.", "Wait for it to finish.")
        if is_still(part, file.fileno()):
            with _writing(part):
                file.truncate(0)
            return file
        file.close()


def _as_new(path: str, flags: int) -> int:
    return files.plainly(path, flags | os.O_CREAT)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise G4Error(f"{path} can't be written: {error.strerror}.", "Check the disk and your rights there.") from error
