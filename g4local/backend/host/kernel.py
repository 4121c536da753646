"""What the operating system tells of itself: small files of Linux, its control groups, and macOS's sysctl."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Version = Literal[1, 2]
"""Of control groups."""


def text(path: Path, otherwise: str = "") -> str:
    """A file of /proc or /sys; `otherwise` when it can't be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return otherwise


def sysctl(name: str) -> str:
    """A value of macOS's; empty where there is none."""
    try:
        answer = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()


def peak_memory(pid: int) -> int | None:
    """The most bytes of memory that a process has had at one time, mapped files counted; None where nobody tells."""
    return _memory(pid, "VmHWM:")


def memory_now(pid: int) -> int | None:
    """The bytes of memory that a process has now, mapped files counted; None where nobody tells."""
    return _memory(pid, "VmRSS:")


def _memory(pid: int, name: str) -> int | None:
    for line in text(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return None


def control_groups(controller: str) -> Iterator[tuple[Path, Version]]:
    """The folders of the control groups that limit this process, the innermost first, for `cpu` or `memory`."""
    root = Path("/sys/fs/cgroup")
    for line in text(Path("/proc/self/cgroup"), "0::/").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        place = Path(group.lstrip("/"))
        for folder in (place, *place.parents):
            yield (root / controller / folder, 1) if controllers else (root / folder, 2)
