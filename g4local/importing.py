"""`import`: GGUFs that lie elsewhere get a name here, by a link, a copy or a move, and bring what belongs to them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Literal

from g4local import copying, hashing, library, pins, receipts, releases, sidecars
from g4local.catalog import Kind
from g4local.copying import Copy
from g4local.core import split, stamps
from g4local.core.errors import G4Error, UsageError, reason
from g4local.core.progress import Progress, Report
from g4local.releases import Release
from g4local.settings import Paths
from g4local.sidecars import Part

Way = Literal["link", "copy", "move"]
Brought = Literal[Way, "here"]
"""`here`: it was imported before, or always lay here."""

_LONGEST = 200
"""Characters of a name; file systems take 255 bytes, and endings come behind it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How files are imported."""

    way: Way = "link"
    sidecars: bool = True
    """Bring the towers and the drafter that lie beside a model."""
    name: str | None = None
    """What the model is to be called; None: as its file."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A GGUF that is here now."""

    path: Path
    """In the models folder; the first of its files."""
    source: Path
    kind: Kind
    nbytes: int
    way: Brought
    fits: tuple[str, ...]
    """For towers and drafters: the models here that they are made for."""
    release: Release | None
    """Which known file it is, where its hash is known."""
    alike: Release | None
    """Which one it may be by its size, where it is not."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A GGUF, and where its files go."""

    part: Part
    targets: tuple[Path, ...]
    for_model: str = ""
    """The stem of the model that it comes with."""

    @property
    def pairs(self) -> list[tuple[Path, Path]]:
        """Each file with its target, the receipt last; those that are there already left out."""
        pairs = [*zip(self.part.files, self.targets, strict=True), *self._receipt()]
        return [(file, target) for file, target in pairs if not _is_same(file, target)]

    def _receipt(self) -> Iterator[tuple[Path, Path]]:
        """The receipt, where there is one of its own, and none at its place."""
        file, target = receipts.place(self.part.path), receipts.place(self.targets[0])
        if receipts.kept(self.part.path) and not file.is_symlink() and not os.path.lexists(target):
            yield file, target


def bring(files: Sequence[Path], wish: Wish, paths: Paths, report: Report, cancel: Event) -> list[Imported]:
    """Import GGUFs, given the first files of those that are split; all of them, or none.

    The errors of `sidecars.read`; UsageError for a name that is taken or can't be one, and for a link that is to be
    moved; G4Error when the disk has too little room or can't hold links; Cancelled.
    """
    models = library.models_folder(paths)
    places = [_placed(part, models, wish, alone) for part, alone in _parts(files, wish, report, cancel)]
    _expect_free(places)
    if cancel.is_set():
        raise hashing.stopped()
    pairs = [place.pairs for place in places]
    for _, target in (pair for each in pairs for pair in each):
        pins.forget_packed(target)
    _come([(file.resolve(), target) for each in pairs for file, target in each], wish.way, paths, report, cancel)
    there = list(sidecars.readable(sidecars.candidates(models, "model")))
    known = stamps.known([place.targets[0] for place in places], paths.cache / hashing.MEMO)
    releases.pin(known, models)
    ways: list[Brought] = [wish.way if fresh else "here" for fresh in pairs]
    return [_imported(place, way, there, known.get(place.targets[0])) for place, way in zip(places, ways, strict=True)]


def _parts(files: Sequence[Path], wish: Wish, report: Report, cancel: Event) -> Iterator[tuple[Part, str]]:
    """What was named, and what comes with it: each with the stem of the model that it comes with, if it does."""
    named: dict[Path, Part] = {}
    for count, file in enumerate(files):
        report(Progress("read what they hold", count, len(files)))
        if cancel.is_set():
            raise hashing.stopped()
        if file.is_dir():
            raise UsageError(
                f"{file} is a folder.", "Name the GGUFs in it; `g4local convert` makes one of a checkpoint."
            )
        part = sidecars.read(file)
        named.setdefault(file.resolve(), part)
    models = [part for part in named.values() if part.kind == "model"]
    if wish.name is not None and len(models) != 1:
        raise UsageError("--name is for one model.", "Import one model at a time to name it.")
    yield from ((part, "") for part in named.values())
    for model in models if wish.sidecars else ():
        yield from ((part, model.path.stem) for part in _coming_with(model, named))


def _coming_with(model: Part, named: dict[Path, Part]) -> Iterator[Part]:
    """The towers and the drafter beside a model, unless such were named; they count as named from then on."""
    given = {part.kind for part in named.values() if part.fits(model)}
    for part in sidecars.best(sidecars.beside(model, "mmproj", "drafter")):
        if part.kind not in given:
            named[part.path.resolve()] = part
            yield part


def _placed(part: Part, models: Path, wish: Wish, for_model: str) -> _Place:
    """Where a GGUF goes: under its own name, or, for what comes with a model and finds it taken, with the model's."""
    if wish.way == "move" and any(file.is_symlink() for file in part.files):
        raise UsageError(
            f"{part.path} is a link to a file that belongs elsewhere.", "Import it without --move, or with --copy."
        )
    names = [file.name for file in part.files]
    if part.kind == "model" and wish.name is not None:
        names = _named(_checked(wish.name), len(names))
    elif part.path.suffix != ".gguf":
        names = [f"{name}.gguf" for name in names]
    plain = _Place(part, tuple(models / name for name in names), for_model)
    if for_model and _in_the_way(plain):
        return replace(plain, targets=tuple(models / f"{for_model}-{name}" for name in names))
    return plain


def _named(stem: str, count: int) -> list[str]:
    """The names of a GGUF's files."""
    if count == 1:
        return [f"{stem}.gguf"]
    return [split.Part(stem, 1, count).name(number) for number in range(1, count + 1)]


def _checked(name: str) -> str:
    """A name as it can be a file's and a model's; UsageError for another one."""
    name = name.removesuffix(".gguf")
    if not name.isprintable() or not 0 < len(name) <= _LONGEST or name[0] in ".-" or set(name) & set("/\\:"):
        raise UsageError(f"{name!r} can't be the name of a model.", "Give letters, digits, dots and dashes.")
    if name == library.DEMO:
        raise UsageError(f"{name} is the built-in model.", "Give another name.")
    return name


def _expect_free(places: Sequence[_Place]) -> None:
    """UsageError when something has one of the names, or two files want the same."""
    wanted: dict[Path, Path] = {}
    for place in places:
        for file, target in place.pairs:
            other = wanted.setdefault(target, file)
            if other != file:
                raise UsageError(f"{other} and {file} would both be {target.name}.", "Import them one by one.")
        if there := _in_the_way(place):
            raise UsageError(f"{there} is there already, and is another file.", "--name gives another name.")


def _in_the_way(place: _Place) -> Path | None:
    return next((target for _, target in place.pairs if os.path.lexists(target)), None)


def _is_same(file: Path, target: Path) -> bool:
    try:
        return file.samefile(target)
    except OSError:
        return False


def _come(pairs: Sequence[tuple[Path, Path]], way: Way, paths: Paths, report: Report, cancel: Event) -> None:
    """Bring files to their targets; what came is taken back when something fails."""
    far = [pair for pair in pairs if way == "copy" or (way == "move" and not _on_one_disk(*pair))]
    copied = [Copy(file, target, file.stat().st_size) for file, target in far]
    memo = paths.cache / hashing.MEMO
    known = stamps.known([file for file, _ in pairs], memo)
    done: list[tuple[Path, Path]] = []
    try:
        with copying.copies(copied, report, cancel) as digests:
            for file, target in pairs:
                if (file, target) not in far:
                    _lay(file, target, way)
                    done.append((file, target))
    except BaseException:
        for file, target in reversed(done):
            _take_back(file, target, way)
        raise
    stamps.remember({**{target: known[file] for file, target in pairs if file in known}, **digests}, memo)
    if way == "move":
        for file, _ in far:
            _remove(file)


def _lay(file: Path, target: Path, way: Way) -> None:
    """Link or rename a file to its target."""
    try:
        if way == "move":
            file.rename(target)
        else:
            target.symlink_to(file)
    except OSError as error:
        hint = "Check your rights there." if way == "move" else "--copy copies it, where the disk takes no links."
        raise G4Error(f"{target} can't be made: {reason(error)}.", hint) from error


def _take_back(file: Path, target: Path, way: Way) -> None:
    if way == "move":
        target.rename(file)
    else:
        target.unlink(missing_ok=True)


def _remove(file: Path) -> None:
    try:
        file.unlink()
    except OSError as error:
        raise G4Error(
            f"{file} was copied, but can't be removed: {reason(error)}.", "Remove it yourself; the copy is whole."
        ) from error


def _on_one_disk(file: Path, target: Path) -> bool:
    return file.stat().st_dev == target.parent.stat().st_dev


def _imported(place: _Place, way: Brought, there: Sequence[Part], digest: str | None) -> Imported:
    part = place.part
    fits = tuple(model.path.stem for model in there if part.fits(model))
    release = releases.release(part.nbytes, digest) if digest else None
    alike = None if digest else releases.alike(part.nbytes)
    return Imported(place.targets[0], part.path, part.kind, part.nbytes, way, fits, release, alike)
