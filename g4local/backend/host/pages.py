"""Pages of a mapped file that a process has no more use for (Linux).

llama.cpp copies the weights that it repacks out of the mapped file, and the file's own pages of them would stay in the
process beside the copies. They can go: what is touched after all comes back from the system's cache.
"""

import ctypes
import mmap
import re
from contextlib import suppress
from pathlib import Path

_DONT_NEED = 4
"""MADV_DONTNEED."""
_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r--s ([0-9a-f]+) \S+ (\d+)", re.MULTILINE)
"""A line of /proc/self/maps: `7f00-7f10 r--s 00000000 fe:00 1234 /path`; only shared ones lose nothing."""


def let_go(path: Path, keep: range) -> None:
    """Take all pages of a mapped file out of this process, but those of the bytes to keep."""
    with suppress(OSError):
        inode = path.stat().st_ino
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        for start, end, offset, mapped in _MAPPING.findall(maps):
            if int(mapped) == inode:
                _let_go(int(start, 16), int(end, 16), int(offset, 16), keep)


def _let_go(start: int, end: int, offset: int, keep: range) -> None:
    first = start + max(0, keep.start - offset) // mmap.PAGESIZE * mmap.PAGESIZE
    last = start + -(-max(0, keep.stop - offset) // mmap.PAGESIZE) * mmap.PAGESIZE
    for begin, stop in ((start, min(first, end)), (last, end)) if keep else ((start, end),):
        if begin < stop:
            ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(stop - begin), _DONT_NEED)
