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

from g4local.backend import machine
from g4local.backend.child import WORKER
from g4local.backend.engine import MOST_THREADS, LoadOptions
from g4local.core.files import write_whole

_FILE = "tuning.json"
_HEAD = 1 << 16
"""Bytes of a GGUF's beginning: its keys, among them its name and its quantization."""
_KEPT = 200
"""Models that are remembered; the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is tried."""

    threads: int
    extra_buffers: bool
    """llama.cpp's repacked weights."""


def setting(options: LoadOptions, cache: Path, command: Sequence[str] = WORKER) -> Tuning:
    """How a model is loaded: as its options say, as it was tuned where they say nothing, or as suits any model here.

    The errors of `machine.extra_buffers`.
    """
    found = known(options.path, cache)
    extra_buffers = options.extra_buffers
    if extra_buffers is None:
        extra_buffers = machine.extra_buffers(cache, command) and (found is None or found.extra_buffers)
    return Tuning(options.threads or (found.threads if found else machine.threads()), extra_buffers)


def known(path: Path, cache: Path) -> Tuning | None:
    """What is kept for a model; None when nothing is, or when the file is broken or of another make."""
    try:
        entry = _entries(cache)[_key(path)]
        found = Tuning(**entry)
    except (OSError, KeyError, TypeError):
        return None
    is_sound = type(found.threads) is int and 0 < found.threads <= MOST_THREADS and type(found.extra_buffers) is bool
    return found if is_sound else None


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
    with path.open("rb") as file:
        head = file.read(_HEAD)
        nbytes = file.seek(0, 2)
    place = f"{machine.fingerprint()} {machine.threads()} {nbytes} "
    return sha256(place.encode() + head).hexdigest()


def _entries(cache: Path) -> dict[str, Any]:
    try:
        entries = json.loads((cache / _FILE).read_text(encoding="utf-8"))["tuning"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return entries if isinstance(entries, dict) else {}
