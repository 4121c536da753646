"""`verify`: files are read again from the disk, and compared with all that is known of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

from g4local import hashing, library, pins, receipts, releases, sidecars, templates
from g4local.core import stamps
from g4local.core.errors import G4Error, UsageError
from g4local.core.progress import Report
from g4local.pins import Pin
from g4local.settings import Paths

Source = Literal["pull", "pack", "receipt", "earlier"]
"""Where a hash is known from: the file came so from the hub or in a pack, a receipt names it, or it was hashed then."""

_WHERE: dict[Source, str] = {
    "pull": "with which it came",
    "pack": "with which it was packed",
    "receipt": "as its receipt says",
    "earlier": "as it had before, with the same size and time: the disk may be failing",
}
_FOUND: dict[Source, str] = {
    "pull": "as it came",
    "pack": "as it was packed",
    "receipt": "as in its receipt",
    "earlier": "as before",
}
_SHA256_DIGITS = 64
_SHOWN = 16
"""Digits of a hash in a sentence."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the look at one file."""

    path: Path
    nbytes: int
    digest: str
    """SHA-256 in hex; empty for a file that can't be read."""
    against: tuple[Source, ...]
    """What it was compared with."""
    problems: tuple[str, ...]
    """What differs, as ends of a sentence that begins with the file's name."""
    notes: tuple[str, ...]
    """What else is to be known of it, likewise."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing differs."""
        return not self.problems

    @property
    def state(self) -> str:
        """In a few words: that it differs, or what it is the same as."""
        if self.problems:
            return "differs"
        return ", ".join(_FOUND[source] for source in self.against) or "first look: nothing to compare with"


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a file before it is read."""

    pin: Pin | None
    digests: dict[Source, str]


def verify(name: str | None, paths: Paths, report: Report, cancel: Event) -> list[Verdict]:
    """Look at a model and what fits it beside it, or at all GGUFs in the models folder.

    What differs is no error here; what is whole is remembered. ModelNotFound; UsageError for a checkpoint; Cancelled.
    """
    files = list(dict.fromkeys(_files(name, paths)))
    there = [file for file in files if file.is_file()]
    memo = paths.cache / hashing.MEMO
    known = {file: _known(file, paths) for file in there}
    found = hashing.fresh(there, report, cancel)
    verdicts = [_verdict(file, found.get(file, ""), known.get(file)) for file in files]
    whole = {each.path: each.digest for each in verdicts if each.is_whole}
    stamps.remember(whole, memo)
    releases.pin(whole, paths.models)
    return verdicts


def _files(name: str | None, paths: Paths) -> Iterator[Path]:
    """What is to be looked at, links that lead nowhere included."""
    if name is None:
        yield from (path for path in sorted(paths.models.glob("*.gguf")) if not path.is_dir())
        return
    model = library.find(name, paths)
    if model.kind != "gguf":
        raise UsageError(f"{name} is a checkpoint, and no GGUF.", "Name a model that `g4local ls` shows, or a GGUF.")
    from g4convert import shards

    yield from shards.present(model.path)
    try:
        part = sidecars.read(model.path)
    except G4Error:
        return  # told when it is looked at
    for other in sidecars.beside(part, "mmproj", "drafter"):
        yield from other.files


def _known(file: Path, paths: Paths) -> _Known:
    """What a file should be, from all who can know."""
    remembered = stamps.known([file], paths.cache / hashing.MEMO)
    digests: dict[Source, str] = {"earlier": remembered[file]} if remembered else {}
    name = pins.name_in(paths.models, file)
    came = [each for each in pins.read(paths.models).values() if each.name == name]
    pin = next((each for each in came if each.repo), None)
    if pin and len(pin.digest) == _SHA256_DIGITS:
        digests["pull"] = pin.digest
    packed = next((each for each in came if not each.repo), None)
    if packed:
        digests["pack"] = packed.digest
    receipt = receipts.kept(file)
    if receipt and receipt.model_sha256 and len(_parts(file)) == 1:
        digests["receipt"] = receipt.model_sha256
    return _Known(pin, digests)


def _parts(file: Path) -> Sequence[Path]:
    from g4convert import shards

    return shards.present(file)


def _verdict(file: Path, digest: str, known: _Known | None) -> Verdict:
    if known is None:
        what = "is no file" if file.exists() else f"is a link to {file.readlink()}, which is not there"
        return Verdict(file, 0, "", (), (what,), ())
    nbytes = file.stat().st_size
    problems = [
        f"has the SHA-256 {digest[:_SHOWN]}… instead of {expected[:_SHOWN]}…, {_WHERE[source]}"
        for source, expected in known.digests.items()
        if expected != digest
    ]
    if known.pin and known.pin.path and known.pin.nbytes != nbytes:
        problems.append(f"has {nbytes:,} bytes instead of {known.pin.nbytes:,}, with which it came")
    unreadable, notes = _inside(file)
    if release := releases.release(nbytes, digest):
        notes.append(f"is {release.told}")
    return Verdict(file, nbytes, digest, tuple(known.digests), (*problems, *unreadable), tuple(notes))


def _inside(file: Path) -> tuple[list[str], list[str]]:
    """What is wrong with a GGUF's header, and what its template is."""
    from g4convert import gguf, shards

    try:
        header = gguf.read(file, longest=0)
        if not shards.is_later(file):
            shards.read(file, longest=0)
    except G4Error as error:
        return [f"can't be used: {error.message}"], []
    template = header.keys.get("tokenizer.chat_template")
    said = templates.told(template.data) if template and isinstance(template.data, str) else ""
    return [], [said] if said else []
