"""How much memory there is: of the machine, and of the control groups that may grant less."""

from pathlib import Path

import pytest

from g4local.backend.host import kernel, ram
from g4local.backend.host.ram import Memory

GIB = 2**30
MEMINFO = (
    "MemTotal:       16384000 kB\nMemFree:          102400 kB\nMemAvailable:    8192000 kB\nHugePages_Total:       0\n"
)


def test_this_machine_tells() -> None:
    there = ram.memory()
    assert there and 0 < there.available <= there.total


@pytest.mark.parametrize("meminfo", ["", "MemTotal: much", "MemTotal:  5 kB\n"])
def test_a_system_that_tells_nothing_is_not_guessed_about(monkeypatch: pytest.MonkeyPatch, meminfo: str) -> None:
    monkeypatch.setattr(kernel, "text", lambda path, otherwise="": meminfo if path.name == "meminfo" else otherwise)
    monkeypatch.setattr(ram.sys, "platform", "linux")
    assert ram.memory() is None


def test_the_least_of_machine_and_groups_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{4 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{3 * GIB}\n")
    monkeypatch.setattr(ram.sys, "platform", "linux")
    text = kernel.text
    monkeypatch.setattr(kernel, "text", lambda path, _="": MEMINFO if path.name == "meminfo" else text(path, _))
    monkeypatch.setattr(kernel, "control_groups", lambda controller: iter([]))
    assert ram.memory() == Memory(16384000 << 10, 8192000 << 10)
    monkeypatch.setattr(kernel, "control_groups", lambda controller: iter([(tmp_path, 2)]))
    assert ram.memory() == Memory(4 * GIB, GIB)


def test_macos_tells_by_sysctl(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "hw.memsize": str(16 * GIB),
        "vm.page_free_count": "1000",
        "vm.page_purgeable_count": "200",
        "vm.page_pageable_external_count": "3000",
    }
    monkeypatch.setattr(ram.sys, "platform", "darwin")
    monkeypatch.setattr(ram.os, "sysconf", lambda name: 16384)
    monkeypatch.setattr(kernel, "control_groups", lambda controller: iter([]))
    monkeypatch.setattr(kernel, "sysctl", values.get)
    assert ram.memory() == Memory(16 * GIB, 4200 * 16384)
    monkeypatch.setattr(kernel, "sysctl", lambda name: "")
    assert ram.memory() is None


@pytest.mark.parametrize(
    ("files", "version", "granted"),
    [
        ({"memory.max": str(GIB), "memory.current": "1000"}, 2, Memory(GIB, GIB - 1000)),
        (
            {"memory.max": str(GIB), "memory.current": str(GIB), "memory.stat": "anon 5\ninactive_file 300\nbroken"},
            2,
            Memory(GIB, 300),
        ),
        ({"memory.max": "1000", "memory.current": "2000"}, 2, Memory(1000, 0)),
        ({"memory.max": "max", "memory.current": "1000"}, 2, None),
        ({"memory.max": str(GIB)}, 2, None),
        ({}, 2, None),
        (
            {
                "memory.limit_in_bytes": str(GIB),
                "memory.usage_in_bytes": "500",
                "memory.stat": "inactive_file 7\ntotal_inactive_file 100",
            },
            1,
            Memory(GIB, GIB - 400),
        ),
        ({"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "500"}, 1, None),
    ],
)
def test_a_control_groups_grant_is_read(
    tmp_path: Path, files: dict[str, str], version: kernel.Version, granted: Memory | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n", encoding="ascii")
    assert ram.group_memory(tmp_path, version) == granted


@pytest.mark.parametrize(
    ("line", "folders"),
    [
        ("0::/user.slice/mine", [("user.slice/mine", 2), ("user.slice", 2), ("", 2)]),
        (
            "4:memory:/docker/1\n3:cpu:/other\n0::/",
            [("memory/docker/1", 1), ("memory/docker", 1), ("memory", 1), ("", 2)],
        ),
    ],
)
def test_every_group_above_a_process_limits_it(
    monkeypatch: pytest.MonkeyPatch, line: str, folders: list[tuple[str, int]]
) -> None:
    monkeypatch.setattr(kernel, "text", lambda path, otherwise="": line)
    found = [(folder.relative_to("/sys/fs/cgroup"), version) for folder, version in kernel.control_groups("memory")]
    assert found == [(Path(folder), version) for folder, version in folders]
