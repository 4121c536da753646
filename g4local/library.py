"""The models on this disk: what a name means, and the GGUF that a checkpoint becomes.

A checkpoint folder is converted once; its GGUF is kept under the hash of its files, so a copy of the folder under
another name finds it too and a changed one does not.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event
from typing import Literal

from g4local import __version__
from g4local.core.errors import Cancelled, ModelNotFound, UsageError
from g4local.core.progress import Progress, Report
from g4local.settings import Paths

DEMO = "demo"
DEFAULT_RECIPE = "Q4_K_M"
DEMO_RECIPE = "Q8_0"
"""A model this small loses what it knows in fewer bits (demo/README.md), and a few megabytes more hurt nobody."""

_CONTENT = ("*.json", "*.jinja", "*.safetensors", "*.model")
_HASHES = "checkpoint-hashes.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Model:
    """What a name on the command line leads to."""

    name: str
    path: Path
    kind: Literal["gguf", "checkpoint"]

    @property
    def recipe(self) -> str:
        """How it is quantized when nobody says how."""
        return DEMO_RECIPE if self.name == DEMO else DEFAULT_RECIPE


def find(name: str, paths: Paths) -> Model:
    """The model that a name means: `demo`, a file or folder, or the name of a GGUF in the models folder.

    ModelNotFound tells the names that there are.
    """
    if name == DEMO:
        return Model(DEMO, Path(str(files("g4local") / "demo")), "checkpoint")
    path = Path(name).expanduser()
    if path.is_dir():
        return Model(path.resolve().name, path, "checkpoint")
    if path.is_file():
        return Model(path.stem, path, "gguf")
    if os.sep not in name:
        for model in _in_models_folder(paths):
            if name in (model.name, model.path.name):
                return model
    known = ", ".join(model.name for model in listed(paths))
    raise ModelNotFound(f"There is no model {name!r} here.", f"Give a GGUF, a checkpoint folder, or one of: {known}.")


def listed(paths: Paths) -> list[Model]:
    """The models that have a name: the built-in one and the GGUFs in the models folder."""
    return [find(DEMO, paths), *_in_models_folder(paths)]


def gguf(model: Model, recipe: str | None, paths: Paths, report: Report, cancel: Event) -> Path:
    """The model's GGUF; a checkpoint is converted first, unless that was done before.

    `recipe` is for checkpoints only: UsageError for an unknown one, and for a GGUF, which is quantized already.
    """
    if model.kind == "gguf":
        if recipe:
            raise UsageError(f"{model.path} is a GGUF already and is run as it is.", "Leave out --quant.")
        return model.path
    from g4convert.convert import convert  # brings numpy

    recipe = (recipe or model.recipe).upper()
    key = content_key(model.path, paths.cache / _HASHES, report, cancel)
    target = paths.converted / f"{model.name}-{recipe}-{key[:16]}.gguf"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        convert(model.path, target, recipe, report, cancel)
    return target


def content_key(folder: Path, memo: Path, report: Report, cancel: Event) -> str:
    """A hash (SHA-256, hex) of everything that a conversion reads, and of our version.

    Hashing 10 GB takes a while, so each file's hash is kept in the file `memo` for as long as its size and time stay.
    """
    known = _read_memo(memo)
    sources = sorted({path.resolve() for pattern in _CONTENT for path in folder.glob(pattern) if path.is_file()})
    stamps = {path: [path.stat().st_size, path.stat().st_mtime_ns] for path in sources}
    total = sum(size for size, _ in stamps.values())
    whole = sha256(__version__.encode())
    done = 0
    fresh = dict(known)
    for path in sources:
        entry = known.get(str(path))
        if entry is None or entry[:2] != stamps[path]:
            entry = [
                *stamps[path],
                _hash(path, lambda count: report(Progress("hash", count, total, "bytes")), done, cancel),
            ]
        fresh[str(path)] = entry
        whole.update(f"{path.name}\0{entry[2]}\0".encode())
        done += stamps[path][0]
    if fresh != known:
        _write_memo(memo, fresh)
    return whole.hexdigest()


def _in_models_folder(paths: Paths) -> Iterator[Model]:
    for path in sorted(paths.models.glob("*.gguf")):
        yield Model(path.stem, path, "gguf")


def _hash(path: Path, report: Callable[[int], None], before: int, cancel: Event) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if cancel.is_set():
                raise Cancelled("Stopped.")
            digest.update(chunk)
            before += len(chunk)
            report(before)
    return digest.hexdigest()


def _read_memo(memo: Path) -> dict[str, list[int | str]]:
    try:
        entries = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {name: entry for name, entry in entries.items() if isinstance(entry, list) and len(entry) == 3}


def _write_memo(memo: Path, entries: dict[str, list[int | str]]) -> None:
    memo.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=memo.parent, suffix=".part", delete=False) as part:
        json.dump(entries, part)
    Path(part.name).replace(memo)
