"""Runs a command and says what it took: time, memory, bytes on the disk (Linux: /proc and wait4)."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

_INTERVAL = 0.05
"""Seconds between two looks at the memory."""
_BLOCK = 512
"""Bytes of a block as wait4 counts them."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one command took, its children included."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds in the user's mode and in the kernel's, over all threads."""
    anonymous: int
    """The most bytes of memory that are not a file's at one time."""
    resident: int
    """The most bytes of memory at one time, pages of mapped files counted."""
    read: int
    """Bytes that came from the disk and not from the page cache."""
    written: int
    """Bytes handed to the file system; what is written twice counts twice."""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end; RuntimeError with its last words when it fails."""
    start = monotonic()
    child = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    os.set_blocking(child.stderr.fileno(), False)
    said, anonymous, resident = b"", 0, 0
    try:
        while (ended := os.wait4(child.pid, os.WNOHANG))[0] == 0:
            now = [_memory(process) for process in _family(child.pid)]
            anonymous = max(anonymous, sum(own for own, _ in now))
            resident = max(resident, sum(all_ for _, all_ in now))
            said = (said + (child.stderr.read() or b""))[-3000:]
            sleep(_INTERVAL)
        wall = monotonic() - start
        said = (said + (child.stderr.read() or b""))[-3000:]
        child.returncode = os.waitstatus_to_exitcode(ended[1])
    finally:
        if child.returncode is None:
            child.kill()
            child.wait()
        child.stderr.close()
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{said.decode(errors='replace')}")
    took = ended[2]
    blocks = took.ru_inblock * _BLOCK, took.ru_oublock * _BLOCK
    return Usage(wall, took.ru_utime + took.ru_stime, anonymous, resident, *blocks)


def _family(process: int) -> Iterator[int]:
    """A process and all below it."""
    yield process
    with suppress(OSError):
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _family(int(child))


def _memory(process: int) -> tuple[int, int]:
    """The bytes of memory of a process that are not a file's, and all of them; zeros when it is gone."""
    found = {}
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("RssAnon", "VmRSS"):
                found[name] = int(value.split()[0]) * 1024
    return found.get("RssAnon", 0), found.get("VmRSS", 0)
