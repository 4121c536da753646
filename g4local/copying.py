"""Files come to their places together: all of them whole, or none."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import BinaryIO

from g4local import hashing
from g4local.core import files
from g4local.core.errors import G4Error, UsageError, reason
from g4local.core.progress import Progress, Report

_MOST_OF_FAT = (1 << 32) - 1
"""Bytes of the largest file on such a disk."""
_STRETCH = 1 << 26
"""Bytes after which the disk is waited for, so that progress tells what has arrived there."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A file, and where it is to go."""

    source: Path
    target: Path
    nbytes: int


@contextmanager
def copies(wanted: Sequence[Copy], report: Report, cancel: Event) -> Iterator[dict[Path, str]]:
    """Copy files, which appear when the block ends, and of which nothing is left when it fails; the last appears first.

    Gives the SHA-256 of what was read, by target. UsageError for a target that is there or a source that is a link or
    no file, Busy while another process writes the same, G4Error when the disk has too little room or fails, Cancelled.
    """
    expect_room(wanted)
    total = sum(each.nbytes for each in wanted)
    digests: dict[Path, str] = {}
    done = 0
    with ExitStack() as stack:
        for each in wanted:
            if os.path.lexists(each.target):
                raise UsageError(f"{each.target} is there already.", "Move it away, or rename it.")
            part = stack.enter_context(_beside(each))
            with _source(each.source) as file:
                chunks = _kept(hashing.chunks(each.source, file), part, each)
                digests[each.target] = hashing.digest_of(chunks, _told(report, done, total), cancel)
            done += each.nbytes
        yield digests
        if cancel.is_set():
            raise hashing.stopped()


def expect_room(wanted: Sequence[Copy]) -> None:
    """G4Error when the disk of the targets has no room for them."""
    if wanted:
        needed, hint = sum(each.nbytes for each in wanted), "Make room, or choose a folder on another disk."
        files.expect_room(wanted[0].target.parent, needed, "are to be copied", hint)


def _beside(copy: Copy) -> AbstractContextManager[BinaryIO]:
    """The part that becomes the target."""
    from g4convert import writer  # brings numpy, which a link does without

    return writer.beside(copy.target, copy.nbytes)


def _kept(chunks: Iterator[bytes], part: BinaryIO, copy: Copy) -> Iterator[bytes]:
    """The same chunks, each of which has been written then."""
    waiting = 0
    for chunk in chunks:
        try:
            part.write(chunk)
            waiting += len(chunk)
            if waiting >= _STRETCH:
                part.flush()
                os.fsync(part.fileno())
                waiting = 0
        except OSError as error:
            raise _unwritable(copy, error) from error
        yield chunk


def _unwritable(copy: Copy, error: OSError) -> G4Error:
    if error.errno == errno.EFBIG and copy.nbytes > _MOST_OF_FAT:
        hint = "FAT holds files of 4 GB at most; format the disk as exFAT, or take another one."
    else:
        hint = "Check the disk and your rights there; nothing is left of the copy."
    return G4Error(f"{copy.target} can't be written: {reason(error)}.", hint)


@contextmanager
def _source(path: Path) -> Iterator[BinaryIO]:
    """A file, opened as it is: where a link or a pipe has its name by now, that is an error."""
    try:
        file = open(path, "rb", opener=files.plainly)  # noqa: SIM115
    except OSError as error:
        raise G4Error(f"{path} can't be read: {reason(error)}.", "Check the file and your rights.") from error
    with file:
        yield file


def _told(report: Report, before: int, total: int) -> Callable[[int], None]:
    return lambda count: report(Progress("copy", before + count, total, "bytes"))
