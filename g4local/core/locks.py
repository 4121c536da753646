"""Locks on files, by which processes keep out of each other's way; a file system without locks locks nothing."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

_PID = re.compile(r"\.(\d{1,10})\.part")
"""The end of a small file that is written by the process of that number."""


def try_lock(file: IO[Any] | int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file, unless another process has a lock that this kind does not go with: then False."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Keep a file that is replaced as a whole to oneself, by a lock beside it; waits for others. OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f".{file.name}.lock").open("a") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Lock a file or folder for the block; False where another process has a lock, or has replaced it. OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield try_lock(descriptor) and is_still(path, descriptor)
    finally:
        os.close(descriptor)


def is_still(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one that has the name, and has not been replaced or removed."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_locked(path: Path) -> bool:
    """Whether another process has a lock on a file or folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


def is_written(part: Path) -> bool:
    """Whether a process writes a part just now: it has a lock on it, or the number that its name ends in."""
    return is_locked(part) or _is_of_the_living(part)


def _is_of_the_living(part: Path) -> bool:
    numbered = _PID.search(part.name)
    if not numbered:
        return False
    try:
        os.kill(int(numbered[1]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
