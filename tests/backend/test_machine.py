"""The start probe against real children that die, its cache, and what is counted as a core."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from g4local.backend.engine import MOST_THREADS
from g4local.backend.host import machine
from g4local.backend.llamacpp import description
from g4local.core.errors import EngineError

DYING = """
import os, pathlib, signal, sys
with pathlib.Path({calls!r}).open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[2] in {deadly!r}:
    print("about to compute", file=sys.stderr, flush=True)
    {death}
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Program:
    """A child's program that dies of some settings, and remembers how often it was asked."""

    def __init__(self, folder: Path, *deadly: str, death: str = "os.kill(os.getpid(), signal.SIGSEGV)") -> None:
        folder.mkdir(exist_ok=True)
        self._calls = folder / "calls"
        script = folder / "program.py"
        script.write_text(DYING.format(calls=str(self._calls), deadly=deadly, death=death), encoding="utf-8")
        self.command = (sys.executable, str(script))

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text(encoding="utf-8").splitlines() if self._calls.exists() else []


def test_this_machine_survives_something_and_that_is_remembered(cache: Path) -> None:
    result = machine.extra_buffers(cache)
    [remembered] = json.loads((cache / "start-probe.json").read_text(encoding="utf-8"))["extra_buffers"].values()
    assert remembered is result


def test_a_machine_that_faults_with_extra_buffers_runs_without_them_and_is_asked_once(
    cache: Path, tmp_path: Path
) -> None:
    program = Program(tmp_path / "program", "on")
    assert machine.extra_buffers(cache, program.command) is False
    assert program.calls == ["--probe on", "--probe off"]
    assert machine.extra_buffers(cache, program.command) is False
    assert len(program.calls) == 2


def test_a_machine_that_survives_is_asked_once(cache: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "program")
    assert [machine.extra_buffers(cache, program.command) for _ in range(3)] == [True] * 3
    assert program.calls == ["--probe on"]


def test_a_machine_that_faults_always_is_told_how_to_rebuild(cache: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "program", "on", "off")
    with pytest.raises(EngineError, match="SIGSEGV") as error:
        machine.extra_buffers(cache, program.command)
    assert "-mno-amx-tile" in error.value.hint
    assert not cache.exists() or not list(cache.iterdir())


def test_a_llama_cpp_that_cannot_be_loaded_is_told_in_its_own_words(cache: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "program", "on", "off", death="import no_such_module_at_all")
    with pytest.raises(EngineError, match="No module named 'no_such_module_at_all'") as error:
        machine.extra_buffers(cache, program.command)
    assert "amx" not in error.value.hint


def test_a_probe_that_somebody_killed_says_nothing_about_the_machine(cache: Path, tmp_path: Path) -> None:
    program = Program(tmp_path / "program", "on", death="os.kill(os.getpid(), signal.SIGKILL)")
    assert machine.extra_buffers(cache, program.command) is False
    assert not (cache / "start-probe.json").exists()


def test_a_probe_that_hangs_has_not_survived(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PROBE_SECONDS", 1)
    program = Program(tmp_path / "program", "on", death="import time; time.sleep(60)")
    assert machine.extra_buffers(cache, program.command) is False


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"extra_buffers": 5}', '{"extra_buffers": {"x": "yes"}}', "\udcff", "[" * 100_000]
)
def test_a_broken_cache_is_made_again(cache: Path, tmp_path: Path, content: str) -> None:
    cache.mkdir()
    (cache / "start-probe.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    program = Program(tmp_path / "program")
    assert machine.extra_buffers(cache, program.command) is True
    assert machine.extra_buffers(cache, program.command) is True
    assert len(program.calls) == 1
    assert [file.name for file in cache.iterdir()] == ["start-probe.json"]


def test_another_llama_cpp_is_probed_again(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(tmp_path / "program")
    machine.extra_buffers(cache, program.command)
    monkeypatch.setattr(machine, "fingerprint", lambda: "another")
    machine.extra_buffers(cache, program.command)
    assert len(program.calls) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_costs_a_probe_each_time(cache: Path, tmp_path: Path) -> None:
    cache.mkdir(mode=0o500)
    program = Program(tmp_path / "program")
    assert [machine.extra_buffers(cache, program.command) for _ in range(2)] == [True] * 2
    assert len(program.calls) == 2


@pytest.mark.parametrize("setting", ["on", "off"])
def test_the_probes_own_model_computes_or_the_machine_faults(setting: str) -> None:
    answer = machine._ask([*machine.WORKER, "--probe", setting])
    assert answer.returncode == 0 or -answer.returncode in (signal.SIGSEGV, signal.SIGILL), answer.stderr
    assert "error" not in answer.stderr.lower() or answer.returncode


def test_what_llama_cpp_says_of_the_machine_is_gathered_in_a_child() -> None:
    facts = machine.facts()
    assert facts.package and facts.llama_cpp and facts.ggml
    assert any(device.kind == "cpu" and device.total_bytes > 0 for device in facts.devices)
    assert set(facts.cpu_features) <= set(facts.system_info.replace("=", " ").split())


SOCKETS = """
import socket, sys
from g4local.backend import worker
from g4local.backend.llamacpp import description
description.llama.llama_backend_init = lambda: socket.socket().close()
worker.main(sys.argv[1:])
"""
"""A child whose llama.cpp would make a socket, as one that talks to a network does."""


def test_a_socket_in_llama_cpps_process_is_counted_whoever_makes_it_and_whether_or_not_it_is_closed() -> None:
    assert machine.facts().sockets == 0
    assert machine.facts((sys.executable, "-P", "-c", SOCKETS)).sockets == 1
    alone = description.describe([]).sockets
    with socket.socket():
        assert description.describe([]).sockets == alone + Path("/proc/self/fd").exists()


def test_threads_are_at_most_the_cores_that_this_process_may_use() -> None:
    assert 1 <= machine.threads() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_a_process_that_is_bound_to_one_core_gets_one_thread() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine.threads() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(("quota", "threads"), [(None, 8), (2.5, 2), (0.5, 1), (64.0, 8)])
def test_a_share_of_the_processor_limits_the_threads(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, threads: int
) -> None:
    monkeypatch.setattr(machine, "_physical_cores", lambda: 8)
    monkeypatch.setattr(machine, "_quota", lambda: quota)
    assert machine.threads() == threads


@pytest.mark.parametrize(
    ("files", "version", "share"),
    [
        ({"cpu.max": "200000 100000"}, 2, 2.0),
        ({"cpu.max": "max 100000"}, 2, None),
        ({"cpu.max": "rubbish"}, 2, None),
        ({}, 2, None),
        ({"cpu.cfs_quota_us": "150000", "cpu.cfs_period_us": "100000"}, 1, 1.5),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, 1, None),
    ],
)
def test_a_control_groups_share_is_read(
    tmp_path: Path, files: dict[str, str], version: int, share: float | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n", encoding="ascii")
    assert machine._share(tmp_path, version) == share  # type: ignore[arg-type]


def test_a_machine_of_more_cores_than_ggml_can_count_gets_as_many_threads_as_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_physical_cores", lambda: 768)
    monkeypatch.setattr(machine, "_quota", lambda: None)
    assert machine.threads() == MOST_THREADS
