"""Which model a folder of snapshots is of, so that those of models that are gone can be found.

A model is known by its size and the beginning of its file, so it may be moved and renamed.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from g4local.core.files import known_by, read_json, write_whole

_FILE = "model.json"


def note(folder: Path, model: Path) -> None:
    """Write down in a folder of snapshots which model they are of; OSError."""
    entry = {"path": str(model.absolute()), "sign": _sign(model)}
    if _read(folder) != entry:
        write_whole(folder / _FILE, json.dumps(entry))


def without_owner(root: Path, models: Iterable[Path]) -> Iterator[Path]:
    """The folders below `root` whose model is neither where it was nor among `models`.

    A folder that does not tell its model is left out.
    """
    noted = {folder: entry for folder in sorted(root.glob("*/")) if (entry := _read(folder))}
    there = set(map(_sign, models)) if noted else set()
    for folder, entry in noted.items():
        if entry["sign"] not in there and _sign(Path(entry["path"])) != entry["sign"]:
            yield folder


def _sign(model: Path) -> str:
    """What a file is known by; empty for one that is gone."""
    with suppress(OSError):
        if model.is_file():
            return known_by(model)
    return ""


def _read(folder: Path) -> dict[str, str]:
    """What is noted in a folder; nothing when that is missing or broken."""
    try:
        entry = read_json(folder / _FILE)
        return {name: entry[name] for name in ("path", "sign")} if all(map(_is_text, entry.values())) else {}
    except (TypeError, KeyError, AttributeError):
        return {}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value
