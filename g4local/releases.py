"""Known releases: whether a file is one that the catalog knows, wherever it came from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from g4local import pins
from g4local.catalog import Entry, Known, catalog
from g4local.pins import Pin


@dataclass(frozen=True, slots=True)
class Release:
    """A file of a size of the family."""

    size: Known
    entry: Entry

    @property
    def called(self) -> str:
        """What it is asked for by, where it is a model."""
        return f"{self.size.name}:{self.entry.quant.lower()}"

    @property
    def told(self) -> str:
        """What it is, as the end of a sentence."""
        return f"{self.size.name}'s {self.entry.quant or self.entry.kind} as {self.entry.repo} has it"


def release(nbytes: int, digest: str) -> Release | None:
    """The release that a file is, by its size as far as that is known, and by how its SHA-256 begins."""
    for each in _releases():
        if each.entry.sha256 and each.entry.nbytes in (None, nbytes) and digest.startswith(each.entry.sha256):
            return each
    return None


def alike(nbytes: int) -> Release | None:
    """The release that has so many bytes, whose hash tells whether a file is it."""
    return next((each for each in _releases() if each.entry.sha256 and each.entry.nbytes == nbytes), None)


def pin(digests: Mapping[Path, str], models: Path) -> dict[Path, Release]:
    """Which files in the models folder are releases, by their hashes: they can be asked for as such from now on.

    What was pulled as one stays the one that is meant.
    """
    before, found, fresh = pins.read(models), {}, []
    for path, digest in digests.items():
        name, known = pins.name_in(models, path), release(path.stat().st_size, digest)
        if name and known:
            found[path] = known
            pin = _pin(models / name, known, digest)
            if pin.key not in before or not pins.here(models, before[pin.key]):
                fresh.append(pin)
    pins.remember(models, fresh)
    return found


def _releases() -> Iterator[Release]:
    return (Release(size, entry) for size in catalog().values() for entry in size.entries)


def _pin(path: Path, known: Release, digest: str) -> Pin:
    entry = known.entry
    file = entry.file or path.name
    return Pin(path.name, entry.repo, file, "", path.stat().st_size, digest, known.size.name, entry.quant, entry.kind)
