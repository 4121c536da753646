"""`g4local doctor`: what this machine can do, and whether llama.cpp runs on it."""

import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from os import environ
from pathlib import Path
from textwrap import wrap

import typer

from g4local import __version__
from g4local.cli import options, output
from g4local.core import files, offline
from g4local.core.errors import EngineError
from g4local.core.messages import Json
from g4local.settings import Paths, paths, snapshot_bytes

SCHEMA = "g4local.doctor/1"
"""The name and version of the object that --json prints."""

_WIDEST = 100
_LABELS = {"extra_buffers": "start probe", "llama_cpp": "llama.cpp", "memory_bytes": "memory"}
_LEFT_OUT = (
    *("available_memory_bytes", "free_disk_bytes", "sockets_refused"),
    *("snapshot_files", "snapshots_bytes", "snapshots_limit_bytes"),
)
"""Values that are told behind others."""


def doctor(as_json: options.AsJson = False) -> None:
    """Check that models can run here; say where everything lies."""
    places = paths(environ)
    report = {"g4local": __version__, "python": platform.python_version(), "system": platform.platform()}
    network: dict[str, Json] = {"offline": offline.holds()}
    checks: dict[str, Json] = {**report, **network, **_machine(), **_engine(places), **_folders(places)}
    if as_json:
        output.json_line({"schema": SCHEMA, **checks})
    else:
        _print(checks)
    if checks["error"]:
        raise typer.Exit(EngineError.exit_code)


def _machine() -> dict[str, Json]:
    from g4local.backend.host import machine, ram

    memory = ram.memory()
    return {
        "processor": machine.processor(),
        "threads": machine.threads(),
        "memory_bytes": memory.total if memory else None,
        "available_memory_bytes": memory.available if memory else None,
    }


def _engine(places: Paths) -> dict[str, Json]:
    """What llama.cpp says, and whether it survives here with its repacked weights, or at all."""
    from g4local.backend import tuning
    from g4local.backend.host import machine

    try:
        facts = machine.facts()
        extra_buffers = machine.extra_buffers(places.cache)
    except EngineError as error:
        return {"error": f"{error.message} {error.hint}"}
    return {
        "llama_cpp_python": facts.package,
        "llama_cpp": facts.llama_cpp,
        "ggml": facts.ggml,
        "cpu_features": list[Json](facts.cpu_features),
        "gpu_offload": facts.gpu_offload,
        "devices": [dict(asdict(device)) for device in facts.devices],
        "extra_buffers": extra_buffers,
        "sockets": facts.sockets,
        "sockets_refused": facts.offline,
        "tuned_models": tuning.count(places.cache),
        "error": None,
    }


def _folders(places: Paths) -> dict[str, Json]:
    snapshots = list(_sizes(places.snapshots))
    names = [field.name for field in fields(places)]
    return {
        **{name: str(getattr(places, name)) for name in names},
        "snapshot_files": len(snapshots),
        "snapshots_bytes": sum(snapshots),
        "snapshots_limit_bytes": snapshot_bytes(environ),
        "free_disk_bytes": {name: _free(getattr(places, name)) for name in names},
    }


def _sizes(folder: Path) -> Iterator[int]:
    """The bytes of each snapshot below a folder; those that vanish meanwhile left out."""
    from g4local.backend.state.snapshots import SUFFIX

    for path in folder.rglob(f"*{SUFFIX}"):
        with suppress(OSError):
            if path.is_file():
                yield path.stat().st_size


def _free(path: Path) -> int | None:
    """The room on the disk of the nearest folder above that exists; None where it can't be looked at."""
    try:
        return files.free(path)
    except OSError:
        return None


def _print(checks: dict[str, Json]) -> None:
    shown = {name: value for name, value in checks.items() if value is not None and name not in _LEFT_OUT}
    labels = {name: _LABELS.get(name, name.replace("_", " ")) for name in shown}
    width = max(map(len, labels.values())) + 2
    for name, value in shown.items():
        lines = wrap(_text(name, value, checks), _WIDEST - width, break_long_words=False, break_on_hyphens=False)
        for label, line in zip([labels[name], *[""] * len(lines)], lines, strict=False):
            output.line(f"{label:<{width}}{line}")


def _text(name: str, value: Json, checks: dict[str, Json]) -> str:
    free = checks["free_disk_bytes"]
    assert isinstance(free, dict)
    match name, value:
        case "extra_buffers", bool():
            return f"repacked weights {'run' if value else 'fault, so they are off'} here"
        case "offline", bool():
            return (
                "yes, every connection is refused"
                if value
                else "no: `pull` may open connections (--offline forbids it)"
            )
        case "sockets", int():
            refused = ", which was refused one" if checks["sockets_refused"] else ""
            return f"{value or 'none'} opened by llama.cpp's process{refused}"
        case "memory_bytes", int():
            return f"{_bytes(value)}, {_bytes(checks['available_memory_bytes'])} of it free for models"
        case "snapshots", str():
            files, nbytes = checks["snapshot_files"], checks["snapshots_bytes"]
            limit = _bytes(checks["snapshots_limit_bytes"])
            return f"{value} ({files} files, {_bytes(nbytes)} of {limit} at most; {_bytes(free[name])} free)"
        case _, str() if name in free:
            return f"{value} ({_bytes(free[name])} free)"
        case _:
            return _plain(value)


def _plain(value: Json) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_plain, value)) or "none"
        case {"name": name, "description": description, "free_bytes": free, "total_bytes": total}:
            return f"{name} ({description}, {_bytes(free)} of {_bytes(total)} free)"
        case _:
            return str(value)


def _bytes(value: Json) -> str:
    return output.human_bytes(value) if isinstance(value, int) else "unknown"
