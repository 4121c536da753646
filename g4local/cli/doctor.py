"""`g4local doctor`: what this machine can do, and whether llama.cpp runs on it."""

import platform
import shutil
from dataclasses import asdict
from os import environ
from pathlib import Path

import typer

from g4local import __version__
from g4local.cli import options, output
from g4local.core.errors import EngineError
from g4local.core.messages import Json
from g4local.settings import Paths, paths

SCHEMA = "g4local.doctor/1"
"""The name and version of the object that --json prints."""


def doctor(as_json: options.AsJson = False) -> None:
    """Check that models can run here, and say where everything lives."""
    places = paths(environ)
    report = {"g4local": __version__, "python": platform.python_version(), "system": platform.platform()}
    checks: dict[str, Json] = {**report, **_machine(), **_engine(places), **_folders(places)}
    if as_json:
        output.json_line({"schema": SCHEMA, **checks})
    else:
        output.fields(
            {
                name.removesuffix("_bytes").replace("_", " "): _text(name, value)
                for name, value in checks.items()
                if value is not None
            }
        )
    if checks["error"]:
        raise typer.Exit(EngineError.exit_code)


def _machine() -> dict[str, Json]:
    from g4local.backend import machine

    return {"processor": machine.processor(), "threads": machine.threads()}


def _engine(places: Paths) -> dict[str, Json]:
    """What llama.cpp says, and whether it survives here with its repacked weights, or at all."""
    from g4local.backend import machine, tuning

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
        "tuned_models": tuning.count(places.cache),
        "error": None,
    }


def _folders(places: Paths) -> dict[str, Json]:
    snapshots = [path.stat().st_size for path in places.snapshots.rglob("*") if path.is_file()]
    return {
        "models": str(places.models),
        "converted": str(places.converted),
        "cache": str(places.cache),
        "logs": str(places.logs),
        "snapshots": str(places.snapshots),
        "snapshot_files": len(snapshots),
        "snapshots_bytes": sum(snapshots),
        "sessions": str(places.sessions),
        "free_disk_bytes": shutil.disk_usage(_existing(places.models)).free,
    }


def _existing(path: Path) -> Path:
    """The nearest folder above that exists."""
    return path if path.exists() else _existing(path.parent)


def _text(key: str, value: Json) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if key.endswith("bytes"):
            return output.human_bytes(value)
        case list():
            return ", ".join(_text(key, item) for item in value) or "none"
        case {"name": name, "description": description, "free_bytes": int(free), "total_bytes": int(total)}:
            return f"{name} ({description}, {output.human_bytes(free)} of {output.human_bytes(total)} free)"
        case _:
            return str(value)
