"""`pull`: what a reference names comes from the hub into the models folder, under a name that a person can read.

Nothing is trusted but hashes: those that the catalog knows, those that the first pull has pinned, and where there is
neither, the one that the hub announces, which is pinned then.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Literal

from g4local import library, pins, placing, sidecars
from g4local.catalog import Entry, Kind, Reference
from g4local.core import foreign, split
from g4local.core.errors import BadGguf, G4Error, NetworkError
from g4local.core.progress import Progress, Report
from g4local.core.units import human_bytes
from g4local.hub import cache
from g4local.hub.downloading import download
from g4local.hub.listing import Remote, Repository, listing
from g4local.hub.transfer import Wanted, git_or_sha256
from g4local.pins import Pin
from g4local.settings import Paths

Origin = Literal["download", "cache", "here", "checkpoint"]
"""Whether a file was downloaded, lies in Hugging Face's cache, was here before, or was made of a checkpoint."""

_HOW: dict[Origin, str] = {
    "here": "was here already",
    "cache": "lies in Hugging Face's cache",
    "download": "was downloaded",
    "checkpoint": "was made of its checkpoint",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be pulled of what a reference names."""

    mmproj: bool = False
    drafter: bool = False
    update: bool = False
    """Take what the hub has now, also where that is another file than the one that is pinned or known."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A file that is here now."""

    pin: Pin
    path: Path
    origin: Origin
    is_first: bool
    """Its hash is pinned from now on."""

    @property
    def told(self) -> str:
        """Which file it is, and how it came here."""
        return f"{self.pin.name}, {human_bytes(self.pin.nbytes)}, {_HOW[self.origin]} ({self.pin.repo})"


@dataclass(frozen=True, slots=True)
class Target:
    """A file that is wanted, as far as the reference says it."""

    entry: Entry
    revision: str | None = None
    size: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What all steps of a pull need."""

    paths: Paths
    report: Report
    cancel: Event
    tell: Callable[[str], None]
    """Is told what the user should know, a sentence at a time."""


def pull(reference: Reference, choice: Choice, context: Context) -> list[Pulled]:
    """Bring the files that a reference names; those that are here already are left alone, without asking the hub.

    The errors of `listing` and `download`; NetworkError when the hub has another file than the one that is known;
    UsageError when another file has the name; BadGguf for one that begins as none that can be used. Files that came
    before another error stay.
    """
    models = library.models_folder(context.paths)
    known = pins.read(models)
    wanted: list[tuple[Pin, Wanted | None]] = []
    listings: dict[tuple[str, str | None], Repository] = {}
    for target in _targets(reference, choice):
        if not choice.update and (found := _here(target, known, models)):
            wanted += [(pin, None) for pin in found]
            continue
        place = (target.entry.repo, target.revision)
        if place not in listings:
            context.report(Progress("ask the hub", 0, 0))
            listings[place] = listing(*place, context.cancel)
        files = _files(target.entry, listings[place])
        if not choice.update:
            for file in files:
                _expect_same(file, target, known, context)
        wanted += _placed(files, target, models, known, context)
    return _bring(wanted, known, models, context)


def _targets(reference: Reference, choice: Choice) -> Iterator[Target]:
    """What a reference means: the model, and what was asked for beside it."""
    size = reference.known
    if size:
        yield Target(size.entry(reference.quant), size=size.name)
    else:
        entry = Entry("model", (reference.quant or "").upper(), reference.repo, reference.file, None, "", None)
        yield Target(entry, reference.revision)
    beside: tuple[tuple[Kind, bool], ...] = (("mmproj", choice.mmproj), ("drafter", choice.drafter))
    for kind, is_wanted in beside:
        if is_wanted and size:
            yield Target(size.sidecar(kind), size=size.name)
        elif is_wanted:
            yield Target(Entry(kind, "", reference.repo, None, None, "", None), reference.revision)


def _here(target: Target, known: dict[str, Pin], models: Path) -> list[Pin]:
    """The files, when they were pulled as this before and are all still here."""
    found = [pin for pin in known.values() if pin.path and _is_meant(pin, target)]
    is_whole = bool(found) and len(found) == found[0].parts
    return found if is_whole and all(pins.here(models, pin) for pin in found) else []


def _is_meant(pin: Pin, target: Target) -> bool:
    """Whether a file was pulled as this, so that the hub need not be asked which one it is."""
    entry = target.entry
    if target.size and (pin.size, pin.kind, pin.quant) == (target.size, entry.kind, entry.quant):
        return True
    if (pin.repo, pin.revision) != (entry.repo, target.revision or ""):
        return False
    if entry.file:
        first = _first(pin.path)
        return _first(entry.file) in (first, Path(first).name)
    return pin.kind == entry.kind and (pin.asked == entry.quant or (pin.asked == "" and pin.quant == entry.quant))


def _first(path: str) -> str:
    """The first of a GGUF's files."""
    part = split.part(path)
    return part.name(1) if part else path


def _files(entry: Entry, repository: Repository) -> Sequence[Remote]:
    """The files on the hub that an entry means."""
    if entry.file:
        first = repository.file(entry.file)
        return repository.whole(first)
    if entry.kind == "model":
        return repository.model(entry.quant or None)
    return (repository.sidecar(entry.kind),)


def _expect_same(file: Remote, target: Target, known: dict[str, Pin], context: Context) -> None:
    """NetworkError when the hub has another file now than the one that was pulled, or whose hash the catalog knows.

    Where the catalog knows a size and no hash, another size is only told.
    """
    entry, pin = target.entry, known.get(pins.key(file.repo, target.revision, file.path))
    if pin and pin.digest != file.digest:
        known_as = f"the one that was pulled before ({pin.digest[:8]}…, now {file.digest[:8]}…)"
    elif not file.digest.startswith(entry.sha256):
        known_as = f"the one that is known ({entry.sha256}…, now {file.digest[:8]}…)"
    else:
        if not pin and not entry.sha256 and entry.nbytes not in (None, file.nbytes):
            context.tell(
                f"{file.repo}/{file.path} has {file.nbytes} bytes; it had {entry.nbytes} when it was last seen."
            )
        return
    raise NetworkError(
        f"{file.repo}/{file.path} is another file now than {known_as}.", "--update takes it as it is now."
    )


def _placed(
    files: Sequence[Remote], target: Target, models: Path, known: dict[str, Pin], context: Context
) -> Iterator[tuple[Pin, Wanted]]:
    """Each file with its place, and with what is to be remembered of it."""
    before = [known.get(pins.key(file.repo, target.revision, file.path)) for file in files]

    def is_same(path: Path, file: Remote) -> bool:
        return _is(path, file, context)

    places = placing.placed(files, before, models, is_same, target.revision)
    for wanted, pin in zip(places, before, strict=True):
        fresh = _pin(wanted, target, pin)
        yield fresh, replace(wanted, expect=partial(_expect_use, wanted.file, fresh)) if fresh.part == 1 else wanted


def _pin(wanted: Wanted, target: Target, before: Pin | None) -> Pin:
    """What is to be remembered of a file; the widest that it was ever asked for as."""
    file, entry = wanted.file, target.entry
    asked = None if entry.file else entry.quant
    if before and before.asked is not None and (asked is None or before.asked == ""):
        asked = before.asked
    return Pin(
        wanted.target.name,
        file.repo,
        file.path,
        file.commit,
        file.nbytes,
        file.digest,
        target.size,
        entry.quant or file.quant,
        file.kind if entry.file and not target.size and file.kind != "other" else entry.kind,
        target.revision or "",
        asked,
    )


def _is(path: Path, file: Remote, context: Context) -> bool:
    """Whether a file that is here is the one on the hub."""
    if not path.is_file() or path.stat().st_size != file.nbytes:
        return False
    context.report(Progress("hash", 0, 0))
    return git_or_sha256(path, file, context.cancel) == file.digest


def _bring(
    wanted: Sequence[tuple[Pin, Wanted | None]], known: dict[str, Pin], models: Path, context: Context
) -> list[Pulled]:
    """Link or download what is not here, pin what came, and look into it."""
    origins: dict[str, Origin] = {}
    missing = []
    for pin, file in wanted:
        if file is None or file.is_here:
            origins[pin.name] = "here"
        elif cache.link(file, context.cancel):
            origins[pin.name] = "cache"
        else:
            origins[pin.name] = "download"
            missing.append(file)
    fresh = [(pin, file) for pin, file in wanted if file]
    try:
        download(missing, context.report, context.cancel)
    except BadGguf:
        for file in missing:
            file.part.unlink(missing_ok=True)
        raise
    finally:
        pins.remember(models, (_as_it_is(pin, file.target) for pin, file in fresh if file.is_here))
    pulled = [
        Pulled(_as_it_is(pin, models / pin.name), models / pin.name, origins[pin.name], is_first=pin.key not in known)
        for pin, _ in wanted
    ]
    for each in pulled:
        _look_into(each, context)
    return pulled


def _expect_use(file: Remote, pin: Pin, begin: bytes) -> None:
    """BadGguf for a file that begins as none that it can be pulled for; one that was named may be of any kind."""
    from g4convert.gguf import MAGIC, architecture_in

    path, found = Path(f"{file.repo}/{file.path}"), architecture_in(begin)
    kind, is_named = sidecars.KINDS.get(found), pin.asked is None and not pin.size
    if not begin.startswith(MAGIC):
        raise BadGguf(f"{path} is no GGUF, whatever it is called.", "Name another file, or another repository.")
    if found and (kind is None or (kind != pin.kind and not is_named)):
        raise (
            foreign.refused(path, found, "")
            if pin.kind == "model"
            else BadGguf(
                f"{path} is no {pin.kind} but a GGUF of the architecture {found!r}.", "Name another repository."
            )
        )


def _as_it_is(pin: Pin, path: Path) -> Pin:
    """What is to be remembered of a file that came: for what it is, not for what its name says."""
    from g4convert.gguf import architecture

    kind = sidecars.KINDS.get(architecture(path)) if pin.part == 1 and not pin.size else None
    return replace(pin, kind=kind) if kind else pin


def _look_into(pulled: Pulled, context: Context) -> None:
    """Tell it when a file can't be used."""
    from g4convert import gguf

    if pulled.pin.part > 1:
        return
    try:
        header = gguf.read(pulled.path, longest=0)
    except G4Error as error:
        context.tell(f"{pulled.path.name} can't be used: {error.message}")
        return
    keys = ("general.architecture", "general.type")
    found, kind = (header.keys[key].data if key in header.keys else "" for key in keys)
    if sidecars.KINDS.get(str(found)) is None:
        context.tell(foreign.refused(pulled.path, found, kind).message)
