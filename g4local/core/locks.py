"""Locks on files, by which processes keep out of each other's way; a file system without locks locks nothing."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


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
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
