"""How a model runs fastest on this machine, where that was tried: `g4local bench --tune` keeps it, each load uses it.

It is kept for a processor, the cores that may be used, a build of llama.cpp and a model. A model is known by its size
and the beginning of its file, so that it may be moved and renamed.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from g4local.backend.engine import MOST_THREADS, LoadOptions
from g4local.backend.host import machine
from g4local.backend.process.launch import WORKER
from g4local.core import split
from g4local.core.files import known_by, read_json, write_whole

_FILE = "tuning.json"
_KEPT = 200
"""Models that are remembered; the oldest are forgotten."""


_QUICK = 1 << 26
"""A model of fewer bytes says a token in less time than threads take to meet."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is tried."""

    threads: int
    batch_threads: int
    """Threads that read a prompt."""
    extra_buffers: bool
    """llama.cpp's repacked weights."""


def setting(options: LoadOptions, cache: Path, command: Sequence[str] = WORKER) -> Tuning:
    """How a model is loaded: as its options say, as it was tuned where they say nothing, or as is usual.

    The errors of `usual`.
    """
    suits = usual(options.path, cache, command)
    found = known(options.path, cache) or suits
    threads = options.threads or found.threads
    batch_threads = options.batch_threads or options.threads or found.batch_threads
    extra_buffers = found.extra_buffers and suits.extra_buffers
    return Tuning(threads, batch_threads, extra_buffers if options.extra_buffers is None else options.extra_buffers)


def usual(path: Path, cache: Path, command: Sequence[str] = WORKER) -> Tuning:
    """What suits a model that was not tuned: all cores, and repacked weights if they survive here.

    The errors of `machine.extra_buffers`.
    """
    cores = machine.threads()
    is_whole = path.is_file() and split.part(path.name) is None
    is_quick = is_whole and path.stat().st_size < _QUICK
    return Tuning(1 if is_quick else cores, cores, machine.extra_buffers(cache, command))


def known(path: Path, cache: Path) -> Tuning | None:
    """What is kept for a model; None when nothing is, or when the file is broken or of another make."""
    try:
        entry = _entries(cache)[_key(path)]
        found = Tuning(**entry)
    except (OSError, KeyError, TypeError):
        return None
    counts = found.threads, found.batch_threads
    are_sound = all(type(count) is int and 0 < count <= MOST_THREADS for count in counts)
    return found if are_sound and type(found.extra_buffers) is bool else None


def keep(path: Path, cache: Path, best: Tuning) -> None:
    """Remember what is best for a model instead of what was known; OSError when that can't be written."""
    key = _key(path)
    entries = {name: entry for name, entry in _entries(cache).items() if name != key}
    latest = dict(list(entries.items())[-(_KEPT - 1) :])
    write_whole(cache / _FILE, json.dumps({"tuning": {**latest, key: asdict(best)}}))


def count(cache: Path) -> int:
    """How many models are remembered."""
    return len(_entries(cache))


def _key(path: Path) -> str:
    return sha256(f"{machine.fingerprint()} {machine.threads()} {known_by(path)}".encode()).hexdigest()


def _entries(cache: Path) -> dict[str, Any]:
    try:
        entries = read_json(cache / _FILE)["tuning"]
    except (TypeError, KeyError):
        return {}
    return entries if isinstance(entries, dict) else {}
