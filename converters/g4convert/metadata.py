"""The `general.*` keys: what the model is called, and how its makers sample from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from g4convert.checkpoint import read_json
from g4convert.gguf import Value, f32, i32, i32s, string

NAMING_KEYS = (
    "general.name",
    "general.author",
    "general.version",
    "general.organization",
    "general.finetune",
    "general.basename",
    "general.description",
    "general.quantized_by",
    "general.size_label",
    "general.license",
    "general.license.name",
    "general.license.link",
    "general.url",
    "general.doi",
    "general.uuid",
    "general.repo_url",
    "general.source.",
    "general.base_model.",
    "general.dataset.",
    "general.tags",
    "general.languages",
)
"""Keys, or their beginnings, that llama.cpp's converter guesses from the folder's name and the README.

They change nothing that a model says. Of these, only `general.name` is written here; all other keys are the same.
"""

_SAMPLING = (
    ("sequence", ("sequence",), str),
    ("top_k", ("top_k",), int),
    ("top_p", ("top_p",), float),
    ("min_p", ("min_p",), float),
    ("xtc_probability", ("xtc_probability",), float),
    ("xtc_threshold", ("xtc_threshold",), float),
    ("temp", ("temperature",), float),
    ("penalty_last_n", ("penalty_last_n",), int),
    ("penalty_repeat", ("penalty_repeat", "repetition_penalty"), float),
    ("mirostat", ("mirostat",), int),
    ("mirostat_tau", ("mirostat_tau",), float),
    ("mirostat_eta", ("mirostat_eta",), float),
)
"""Keys of `general.sampling.*`, the names in generation_config.json, the first that is there counts, and the type."""


def keys(folder: Path, architecture: str, kind: Literal["model", "mmproj"] = "model") -> dict[str, Value]:
    """The first keys of the file, in the order of llama.cpp's converter; `mmproj` is a file of towers."""
    return {
        "general.architecture": string(architecture),
        "general.type": string(kind),
        **_sampling(_generation_config(folder)),
        "general.name": string(name(folder)),
    }


def name(folder: Path) -> str:
    """What the model is called: the folder's name, or the repository's where the folder is in Hugging Face's cache."""
    called = repository(folder).rpartition("/")[2] or folder.resolve().name
    return called.encode(errors="replace").decode() or "model"


def repository(folder: Path) -> str:
    """The repository of a folder in Hugging Face's cache, such as google/gemma-4-E2B-it; empty for other folders."""
    folder = folder.resolve()
    cached = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not cached.startswith("models--"):
        return ""
    return cached.removeprefix("models--").replace("--", "/", 1).encode(errors="replace").decode()


def suppressed(folder: Path) -> dict[str, Value]:
    """The tokens that must never be said, such as those of media, where generation_config.json lists any."""
    tokens = _generation_config(folder).get("suppress_tokens")
    if not isinstance(tokens, list) or not all(type(token) is int and 0 <= token < 2**31 for token in tokens):
        return {}
    return {"tokenizer.ggml.suppress_tokens": i32s(tokens)} if tokens else {}


def _generation_config(folder: Path) -> dict[str, Any]:
    path = folder / "generation_config.json"
    return read_json(path) if path.is_file() else {}


def _sampling(config: Mapping[str, Any]) -> dict[str, Value]:
    entries: dict[str, Value] = {}
    for key, names, kind in _SAMPLING:
        given: Any = next((config[name] for name in names if name in config), None)
        if kind is str and isinstance(given, str) and given:
            entries[f"general.sampling.{key}"] = string(given)
        elif type(given) in (kind, int) and abs(given) < 2**31:
            entries[f"general.sampling.{key}"] = i32(given) if kind is int else f32(float(given))
    return entries
