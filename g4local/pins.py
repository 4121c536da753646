"""What was pulled, and which bytes it had: a file in the models folder that remembers each file of the hub.

The hash that a file had at its first pull is the one it must have ever after, unless the user says otherwise. What was
imported and is known to be a file of the hub is remembered, too, and what was made of a checkpoint of the hub.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from g4local.core import split
from g4local.core.errors import G4Error
from g4local.core.files import read_json, write_whole
from g4local.core.locks import alone

_FILE = "pulled.json"


@dataclass(frozen=True, slots=True)
class Pin:
    """A file of the hub as it was pulled."""

    name: str
    """Its file here, in the models folder."""
    repo: str
    """Empty for what came in a pack."""
    path: str
    """Empty for what was made of a checkpoint."""
    commit: str
    """Empty for what was imported."""
    nbytes: int
    digest: str
    """SHA-256 in hex, or git's SHA-1 of a small file; empty for what was made of a checkpoint."""
    size: str = ""
    """The size of the family that it was pulled as, if it was."""
    quant: str = ""
    """The quant that it was pulled as, in capitals."""
    kind: str = "model"
    revision: str = ""
    """The revision that was asked for, if one was."""
    asked: str | None = None
    """The quant that was asked for, in capitals, empty where none was; None where the file was named."""

    @property
    def key(self) -> str:
        """What it is remembered under: `key` of the file on the hub, which no other file has."""
        return key(self.repo, self.revision, self.path or f"/{self.name}")

    @property
    def source(self) -> str:
        """Where it came from: a file of the hub, or the repository of the checkpoint that it was made of."""
        return key(self.repo, self.revision, self.path).removesuffix("/")

    @property
    def called(self) -> str:
        """What it can be asked for by: SIZE:QUANT, or OWNER/REPO with the quant, if that is known."""
        name = self.size or _at(self.repo, self.revision)
        return f"{name}:{self.quant.lower()}" if self.quant else name

    @property
    def part(self) -> int:
        """Which of a model's several files this is; 1 if it has only this one."""
        part = split.part(self.path)
        return part.number if part else 1

    @property
    def parts(self) -> int:
        """In how many files the model is."""
        part = split.part(self.path)
        return part.count if part else 1


def key(repo: str, revision: str | None, path: str) -> str:
    """What a file is called on the hub, with the revision if one was asked for."""
    return f"{_at(repo, revision)}/{path}"


def read(models: Path) -> dict[str, Pin]:
    """What is remembered, by `Pin.key`; nothing when the file is missing, or no such file."""
    content = read_json(models / _FILE)
    entries = content.get("files") if isinstance(content, dict) else None
    pins = map(_pin, entries) if isinstance(entries, list) else ()
    return {pin.key: pin for pin in pins if pin}


def remember(models: Path, pins: Iterable[Pin]) -> None:
    """Add files to what is remembered; what other processes add at the same time is kept."""
    fresh = {pin.key: pin for pin in pins}
    if not fresh:
        return
    try:
        with alone(models / _FILE):
            _write(models, {**read(models), **fresh})
    except OSError as error:
        raise G4Error(f"{models / _FILE} can't be written: {error.strerror}.", "Check your rights there.") from error


def forget_packed(path: Path) -> None:
    """Forget what a file was in a pack: it is gone from the models folder, or another one has its name."""
    kept = {key: pin for key, pin in read(path.parent).items() if pin.repo or pin.name != path.name}
    if len(kept) != len(read(path.parent)):
        with suppress(OSError), alone(path.parent / _FILE):
            _write(path.parent, kept)


def here(models: Path, pin: Pin) -> bool:
    """Whether the file is still there, with its size."""
    path = models / pin.name
    return path.is_file() and path.stat().st_size == pin.nbytes


def name_in(models: Path, path: Path) -> str | None:
    """The name that a file has in the models folder, however its path leads there; None for one that lies elsewhere."""
    folder = models.resolve()
    return next((each.name for each in (path, path.resolve()) if each.parent.resolve() == folder), None)


def of(path: Path) -> Pin | None:
    """Where a file in the models folder came from, as long as it has that size; None for one of which nobody knows."""
    found = (pin for pin in read(path.parent).values() if pin.name == path.name and pin.repo)
    return next((pin for pin in found if here(path.parent, pin)), None)


def _write(models: Path, pins: Mapping[str, Pin]) -> None:
    content = {"schema": "g4local.pulled/1", "files": [asdict(pins[key]) for key in sorted(pins)]}
    write_whole(models / _FILE, json.dumps(content, indent=1) + "\n")


def _pin(entry: object) -> Pin | None:
    """One entry of the file, if it is sound."""
    if not isinstance(entry, dict):
        return None
    try:
        pin = Pin(**entry)
    except TypeError:
        return None
    texts = [value for name, value in asdict(pin).items() if name != "nbytes" and (name, value) != ("asked", None)]
    is_sound = isinstance(pin.nbytes, int) and all(isinstance(text, str) for text in texts)
    return pin if is_sound and pin.name == Path(pin.name).name != "" else None


def _at(repo: str, revision: str | None) -> str:
    return f"{repo}@{revision}" if revision else repo
