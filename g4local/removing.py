"""What leaves this disk: models with what belongs to them alone, and what nothing uses any more.

A link is removed and never followed, so that a file that belongs elsewhere stays as it is.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

from g4local import hashing, library, naming, pins, receipts, sidecars
from g4local.backend.state import owners, snapshots
from g4local.catalog import Kind
from g4local.core import split, stamps
from g4local.core.errors import G4Error, ModelNotFound, UsageError, reason
from g4local.core.locks import is_locked, is_written, locked
from g4local.core.progress import Report
from g4local.settings import Paths
from g4local.sidecars import Part

_RECEIPT = ".receipt.json"
_BLOCK = 512
"""Bytes of what `st_blocks` counts."""
_PLACE = re.compile(r"[0-9a-f]{12}")
"""The name of a folder in which a checkpoint comes: its commit."""
_CONVERTED = re.compile(r"(.+)-[A-Z0-9_]+-([0-9a-f]{16})")
"""The name of a conversion: of the folder, the recipe, and of all that went into it."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A file or folder that is to be removed."""

    path: Path
    kind: Kind | Literal["receipt", "part", "snapshots", "conversion", "checkpoint"]
    nbytes: int
    """What the disk gets back: nothing for a link, and for a file that has a second name elsewhere."""
    why: str


def models(names: Sequence[str], paths: Paths) -> list[Leaving]:
    """What goes with models: their files and receipts, and the sidecars that fit no other model here.

    Where a file beside them can't be read, sidecars stay: they may be its own. ModelNotFound, and UsageError for a
    model that does not lie in the models folder.
    """
    firsts = list(dict.fromkeys(_first(name, paths) for name in names))
    files = [file for first in firsts for file in _files(first)]
    going = [_leaving(file, _kind(file), "was named") for file in files]
    parts = list(sidecars.readable(firsts))
    staying = _whole(paths.models, without=files)
    if staying is not None:
        going += [
            _leaving(file, part.kind, "fits no other model here")
            for part in staying
            if part.kind != "model" and any(part.fits(model) for model in parts) and not _is_used(part, staying)
            for file in reversed(part.files)
        ]
    return [*going, *_receipts(going)]


def unused(paths: Paths, report: Report, cancel: Event) -> list[Leaving]:
    """What nothing uses: halves, checkpoints whose conversion did not end, conversions of checkpoints that are
    gone, snapshots of such models, orphans.

    A checkpoint that has changed is hashed for that; Cancelled.
    """
    staying = _whole(paths.models, without=()) or []
    orphans = [
        _leaving(file, part.kind, "fits no model here")
        for part in staying
        if part.kind != "model" and not _is_used(part, staying)
        for file in reversed(part.files)
    ]
    alone = [
        _leaving(path, "receipt", "its model is gone")
        for path in sorted(paths.models.glob(f"*{_RECEIPT}"))
        if not os.path.lexists(path.with_name(path.name.removesuffix(_RECEIPT) + ".gguf"))
    ]
    return [
        *_halves(paths),
        *_unconverted(paths),
        *_outdated(paths, report, cancel),
        *_forgotten(paths),
        *orphans,
        *alone,
    ]


def remove(leaving: Leaving) -> bool:
    """Remove it; False for what somebody writes after all. G4Error when that can't be."""
    path = leaving.path
    try:
        if leaving.kind in ("part", "checkpoint"):
            is_part = leaving.kind == "part" and path.is_dir() and not path.is_symlink()
            return _remove_locked(path, path.parent if is_part else path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
            pins.forget_packed(path)
    except OSError as error:
        raise G4Error(f"{path} can't be removed: {reason(error)}.", "Check your rights there.") from error
    return True


def _first(name: str, paths: Paths) -> Path:
    """The file in the models folder that a name means, links that lead nowhere included."""
    if name == library.DEMO:
        raise UsageError(
            "The demo model is built in and can't be removed.", "Name another one; `g4local ls` lists them."
        )
    for path in sorted(paths.models.glob("*.gguf")):
        if name in (path.stem, path.name) and not path.is_dir():
            return _of_all(path)
    if pulled := naming.pulled(name, paths.models):
        return pulled
    found = _found(name, paths)
    inside = paths.models / found.path.name
    if found.kind == "gguf" and found.path.parent.resolve() == paths.models.resolve() and os.path.lexists(inside):
        return _of_all(inside)
    raise UsageError(
        f"{found.path} does not lie in the models folder.", "Delete it yourself; g4local removes only what it keeps."
    )


def _found(name: str, paths: Paths) -> library.Model:
    try:
        return library.find(name, paths)
    except ModelNotFound as error:
        raise ModelNotFound(
            error.message, "`g4local ls` lists the models that can be removed, but for demo."
        ) from error


def _of_all(path: Path) -> Path:
    """The first of a GGUF's files, if it is there."""
    part = split.part(path.name)
    first = path.with_name(part.name(1)) if part else path
    return first if os.path.lexists(first) else path


def _files(first: Path) -> list[Path]:
    """All files of a GGUF that are there, the first one last: as long as it is there, the rest is found again."""
    part = split.part(first.name)
    names = [part.name(number) for number in range(part.count, 0, -1)] if part else [first.name]
    return [path for name in names if os.path.lexists(path := first.with_name(name))]


def _whole(folder: Path, without: Sequence[Path]) -> list[Part] | None:
    """The GGUFs of the family in a folder; None where one can't be read, which may be anything."""
    from g4convert import gguf, shards

    found = []
    for path in sorted(folder.glob("*.gguf")):
        if path in without or shards.is_later(path) or path.is_dir():
            continue
        try:
            found.append(sidecars.read(path))
        except G4Error:
            try:
                gguf.read(path, 0)  # of another family
            except G4Error:
                return None
    return found


def _is_used(part: Part, among: Sequence[Part]) -> bool:
    return any(part.fits(model) for model in among if model.kind == "model")


def _kind(file: Path) -> Kind:
    from g4convert.gguf import architecture

    return sidecars.KINDS.get(architecture(file), "model")


def _receipts(going: Sequence[Leaving]) -> Iterator[Leaving]:
    for each in going:
        if os.path.lexists(path := receipts.place(each.path)):
            yield _leaving(path, "receipt", "goes with its model")


def _halves(paths: Paths) -> Iterator[Leaving]:
    """What downloads, conversions and writers of small files left behind that were killed."""
    folders = (paths.models, paths.converted, paths.cache)
    found = [path for folder in folders for path in sorted(folder.glob("*.part"))]
    for path in found:
        if path.is_file() and not path.is_symlink() and not is_written(path):
            yield _leaving(path, "part", "what wrote it was killed")
    for folder in sorted(paths.snapshots.glob("*/")):
        yield from (_leaving(path, "part", "what wrote it was killed") for path in snapshots.abandoned(folder))


def _unconverted(paths: Paths) -> Iterator[Leaving]:
    """What came of checkpoints whose conversion did not end; of one that is to stay, what is half only."""
    for place in sorted(paths.checkpoints.glob("*/")):
        if not _PLACE.fullmatch(place.name) or place.is_symlink() or is_locked(place):
            continue
        if not (place / library.KEPT).exists():
            yield Leaving(place, "checkpoint", _filled_nbytes(place), "its conversion did not end")
            continue
        for part in sorted(place.rglob("*.part")):
            if part.is_file() and not part.is_symlink() and not is_written(part):
                yield _leaving(part, "part", "what wrote it was killed")
        if (draft := place / library.DRAFT).is_dir() and not draft.is_symlink():
            yield Leaving(draft, "part", _filled_nbytes(draft), "what made it was killed")


def _outdated(paths: Paths, report: Report, cancel: Event) -> Iterator[Leaving]:
    """Conversions of checkpoints that are gone, or have changed since; of one that nobody knows, nothing is said."""
    memo = paths.cache / hashing.MEMO
    known = stamps.folders(memo)

    def is_made_of(folder: Path, key: str) -> bool:
        if folder.is_dir():
            return library.content_key(folder, memo, report, cancel).startswith(key)
        return not folder.parent.is_dir()  # on a disk that is not there now

    for path in sorted(paths.converted.glob("*.gguf")):
        named = _CONVERTED.fullmatch(path.stem)
        sources = [folder for folder in known if named and folder.name == named[1]]
        if named and sources and not any(is_made_of(folder, named[2]) for folder in sources):
            yield _leaving(path, "conversion", "its checkpoint is gone or has changed")


def _forgotten(paths: Paths) -> Iterator[Leaving]:
    """Folders of snapshots whose model is gone."""
    known = [path for folder in (paths.models, paths.converted) for path in folder.glob("*.gguf")]
    for folder in owners.without_owner(paths.snapshots, known):
        yield Leaving(folder, "snapshots", _all_nbytes(folder), "their model is gone")


def _remove_locked(path: Path, lock: Path) -> bool:
    """Remove a half, or what came of a checkpoint, while nobody else can lock it or the folder that it is made in."""
    with suppress(FileNotFoundError), locked(lock) as is_ours:
        if not is_ours:
            return False
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return True


def _leaving(path: Path, kind: Kind | Literal["receipt", "part", "conversion"], why: str) -> Leaving:
    return Leaving(path, kind, _nbytes(path), f"{why}: only the link goes" if path.is_symlink() else why)


def _nbytes(path: Path) -> int:
    with suppress(OSError):
        stat = path.lstat()
        return stat.st_size if stat.st_nlink == 1 and not path.is_symlink() and not path.is_dir() else 0
    return 0


def _all_nbytes(folder: Path) -> int:
    return sum(_nbytes(each) for each in folder.rglob("*"))


def _filled_nbytes(folder: Path) -> int:
    """The same of files that have holes."""
    stats = [path.lstat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(min(stat.st_size, stat.st_blocks * _BLOCK) for stat in stats)
