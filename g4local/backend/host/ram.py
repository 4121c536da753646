"""The machine's memory: how much of it there is, and how much a process can have now without another one losing any.

Pages of files that are only cached count as free: the system gives them up when they are wanted.
"""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from g4local.backend.host import kernel
from g4local.backend.host.kernel import Version

_MACOS_PAGES = ("vm.page_free_count", "vm.page_purgeable_count", "vm.page_pageable_external_count")
"""Free pages, those that programs have given up, and those of files."""
_UNLIMITED = 1 << 60
"""Control groups without a limit say a number above this."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the machine's memory."""

    total: int
    available: int


def memory() -> Memory | None:
    """What there is, within the limits of this process's control groups; None where the system does not tell."""
    whole = _macos() if sys.platform == "darwin" else _linux(kernel.text(Path("/proc/meminfo")))
    if whole is None:
        return None
    limits = [whole, *_limits()]
    return Memory(min(limit.total for limit in limits), min(limit.available for limit in limits))


def _linux(meminfo: str) -> Memory | None:
    """The lines of /proc/meminfo, in kibibytes."""
    values = dict(re.findall(r"^(\w+):\s+(\d+) kB$", meminfo, re.MULTILINE))
    try:
        return Memory(int(values["MemTotal"]) << 10, int(values["MemAvailable"]) << 10)
    except KeyError:
        return None


def _macos() -> Memory | None:
    total = kernel.sysctl("hw.memsize")
    pages = [kernel.sysctl(name) for name in _MACOS_PAGES]
    if not all(number.isdecimal() for number in (total, *pages)):
        return None
    return Memory(int(total), sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE"))


def _limits() -> Iterator[Memory]:
    for folder, version in kernel.control_groups("memory"):
        limit = group_memory(folder, version)
        if limit is not None:
            yield limit


def group_memory(folder: Path, version: Version) -> Memory | None:
    """What a control group grants; None when it sets no limit."""
    names = (
        ("memory.max", "memory.current", "inactive_file")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    limit, used = (kernel.text(folder / name) for name in names[:2])
    if not limit.isdecimal() or not used.isdecimal() or int(limit) > _UNLIMITED:
        return None
    statistics = dict(line.split(" ", 1) for line in kernel.text(folder / "memory.stat").splitlines() if " " in line)
    cached = statistics.get(names[2], "0")
    given_up = int(cached) if cached.isdecimal() else 0
    return Memory(int(limit), max(0, int(limit) - int(used) + given_up))
