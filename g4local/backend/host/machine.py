"""This machine: its cores, what llama.cpp finds on it, and the start probe.

Some virtual machines advertise AMX and then fault at the first quantized matrix product, which llama.cpp does there
when its weights are repacked ("extra buffers"). No flag tells, so the probe tries: a small quantized model runs in a
throw-away child with extra buffers, and without if that died. What survives is remembered for this processor and this
llama.cpp.
"""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from g4local.backend.engine import MOST_THREADS
from g4local.backend.host import kernel
from g4local.backend.host.kernel import Version
from g4local.backend.process.child import ended
from g4local.backend.process.launch import WORKER, finished
from g4local.core.errors import EngineError
from g4local.core.files import read_json, write_whole

PROBE_SECONDS = 60
"""A probe that takes longer has not survived."""

NO_PROBE = 75
"""Exit code of a probe whose model can't be written (EX_TEMPFAIL)."""

_FAULTS = (signal.SIGSEGV, signal.SIGILL, signal.SIGBUS, signal.SIGFPE, signal.SIGABRT)
"""Ends that a machine has, and not somebody who ended the child."""

_NO_GPU = ("base", "cpu", "blas", "rpc")
"""Beginnings of the names of ggml's other libraries."""

_REBUILD = (
    "Rebuild it without AMX: CMAKE_ARGS=\"-DCMAKE_C_FLAGS='-mno-amx-tile -mno-amx-int8 -mno-amx-bf16' "
    "-DCMAKE_CXX_FLAGS='-mno-amx-tile -mno-amx-int8 -mno-amx-bf16'\" "
    "pip install --force-reinstall --no-binary llama-cpp-python llama-cpp-python"
)


@dataclass(frozen=True, slots=True)
class Device:
    """Something that llama.cpp can compute on."""

    name: str
    description: str
    kind: str
    """cpu, gpu, integrated gpu or accelerator."""
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What llama.cpp says of itself and of the machine."""

    package: str
    """Version of llama-cpp-python."""
    llama_cpp: str
    """Version of llama.cpp."""
    ggml: str
    """Version and commit of ggml."""
    system_info: str
    """llama.cpp's own line of build features."""
    cpu_features: tuple[str, ...]
    """Instruction sets that this build uses."""
    gpu_offload: bool
    """Whether this build can use a GPU."""
    devices: tuple[Device, ...]
    sockets: int
    """Sockets that its process has made or has open; loading and running a model needs none."""
    offline: bool
    """Whether its process was refused a socket that could reach another machine."""


def facts(command: Sequence[str] = WORKER) -> Facts:
    """What llama.cpp says, asked in a child of its own; EngineError when that can't be started or llama.cpp loaded."""
    answer = _ask([*command, "--describe"])
    if answer.returncode:
        raise EngineError(f"llama.cpp can't be loaded: {_death(answer)}.", "Install g4local again.")
    entry: dict[str, Any] = json.loads(answer.stdout)
    devices = tuple(Device(**device) for device in entry.pop("devices"))
    return Facts(**{**entry, "cpu_features": tuple(entry["cpu_features"])}, devices=devices)


def extra_buffers(cache: Path, command: Sequence[str] = WORKER) -> bool:
    """Whether repacked weights survive on this machine, from the folder of caches or by trying it.

    Where no file can be written to try it with, they are not used, and it is tried again the next time.
    EngineError when llama.cpp dies without them, too, or no process can be started.
    """
    file = cache / "start-probe.json"
    key = fingerprint()
    known = _remembered(file)
    if key in known:
        return known[key]
    repacked = _ask([*command, "--probe", "on"])
    if repacked.returncode == NO_PROBE:
        return False
    plain = repacked if repacked.returncode == 0 else _ask([*command, "--probe", "off"])
    if plain.returncode:
        hint = _REBUILD if -plain.returncode in _FAULTS else "Install g4local again."
        raise EngineError(f"llama.cpp can't compute on this machine: {_death(plain)}.", hint)
    if repacked.returncode == 0 or -repacked.returncode in _FAULTS:
        _remember(file, {key: repacked.returncode == 0})
    return repacked.returncode == 0


def fingerprint() -> str:
    """What the probe's result hangs on: the processor and llama.cpp's libraries."""
    parts = [_processor()]
    for library in _libraries():
        stat = library.stat()
        parts.append(f"{library.name} {stat.st_size} {stat.st_mtime_ns}")
    return sha256("\n".join(parts).encode()).hexdigest()


def has_gpu_code() -> bool:
    """Whether this llama.cpp has a library for GPUs, told by the libraries' names: libggml-cuda, libggml-metal ..."""
    parts = {library.name.partition("ggml-")[2].partition(".")[0] for library in _libraries()}
    return any(part and not part.startswith(_NO_GPU) for part in parts)


def threads() -> int:
    """Threads that make sense here: physical cores that this process may use, within its share of them."""
    cores = _physical_cores()
    quota = _quota()
    return min(MOST_THREADS, max(1, min(cores, int(quota)) if quota else cores))


def hardware_threads() -> int:
    """The most threads that can run at one time: two for each core with hyper-threading."""
    usable = os.cpu_count() or 1 if sys.platform == "darwin" else len(os.sched_getaffinity(0))
    quota = _quota()
    return min(MOST_THREADS, max(1, min(usable, int(quota)) if quota else usable))


def processor() -> str:
    """The processor's name."""
    for line in _cpuinfo("model name"):
        return line
    return kernel.sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def _libraries() -> list[Path]:
    """ggml's libraries in the package, which finding does not load."""
    spec = find_spec("llama_cpp")
    folders = (spec.submodule_search_locations or []) if spec else []
    return sorted(library for folder in folders for library in Path(folder, "lib").glob("*ggml*"))


def _ask(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return finished(command, PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(command), 1, "", f"it did not end within {PROBE_SECONDS} seconds")


def _death(answer: subprocess.CompletedProcess[str]) -> str:
    """How a child ended, in words that can end a sentence."""
    last = next((line.strip() for line in reversed(answer.stderr.splitlines()) if line.strip()), "")
    if answer.returncode < 0 or not last:
        return f"its process {ended(answer.returncode)}"
    return last.rstrip(".")


def _remembered(file: Path) -> dict[str, bool]:
    """Results by fingerprint; none when the file is missing, broken or of another make."""
    try:
        entries = read_json(file)["extra_buffers"]
        return {key: value for key, value in entries.items() if isinstance(value, bool)}
    except (TypeError, KeyError, AttributeError):
        return {}


def _remember(file: Path, result: Mapping[str, bool]) -> None:
    """Write the result; a cache that can't be written only costs another probe."""
    with suppress(OSError):
        write_whole(file, json.dumps({"extra_buffers": result}) + "\n")


def _processor() -> str:
    """The processor's name and features; features too, since a virtual machine can move to another host."""
    return "\n".join([processor(), *_cpuinfo("flags")[:1], *_cpuinfo("Features")[:1]])


def _cpuinfo(field: str) -> list[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.partition(":")[2].strip() for line in text.splitlines() if line.partition(":")[0].strip() == field]


def _physical_cores() -> int:
    if sys.platform == "darwin":
        # Efficiency cores slow the others down: each step waits for the last thread.
        return int(kernel.sysctl("hw.perflevel0.physicalcpu") or kernel.sysctl("hw.physicalcpu") or os.cpu_count() or 1)
    cpus = os.sched_getaffinity(0)
    siblings = {
        kernel.text(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"), str(cpu)) for cpu in cpus
    }
    return len(siblings)


def _quota() -> float | None:
    """Processors that the control groups of this process grant it; None is no limit."""
    shares = [_share(folder, version) for folder, version in kernel.control_groups("cpu")]
    return min((share for share in shares if share), default=None)


def _share(folder: Path, version: Version) -> float | None:
    if version == 2:
        quota, _, period = kernel.text(folder / "cpu.max", "max 100000").partition(" ")
    else:
        quota = kernel.text(folder / "cpu.cfs_quota_us", "-1")
        period = kernel.text(folder / "cpu.cfs_period_us", "100000")
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except ValueError:
        return None
