"""`pack` and `unpack`: a model and what belongs to it in one folder, for a disk that is carried elsewhere."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from g4local import copying, hashing, library, manifest, pins, receipts, sidecars
from g4local.copying import Copy
from g4local.core import split, stamps
from g4local.core.errors import G4Error, UnusableFile, UsageError, reason
from g4local.core.progress import Report
from g4local.manifest import Entry, Manifest, PackedKind
from g4local.pins import Pin
from g4local.settings import Paths
from g4local.sidecars import Part

_SHOWN = 16
"""Digits of a hash in a sentence."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be packed."""

    model: str
    quant: str | None = None
    """Of a checkpoint, which is converted first."""
    sidecars: bool = True
    """Pack the towers and the drafter that lie beside the model."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file of a pack that is here now."""

    entry: Entry
    path: Path
    was_here: bool


@dataclass(frozen=True, slots=True)
class _Item:
    """A file that is to be packed under a name."""

    source: Path
    name: str
    kind: PackedKind


def pack(wish: Wish, folder: Path, paths: Paths, report: Report, cancel: Event) -> Manifest:
    """Copy a model, what fits it beside it and its receipt into a folder, with a manifest, or nothing of it.

    The errors of `library.find`, `library.gguf` and `copying.copies`; UsageError where there is a pack already.
    """
    items = list(_items(wish, paths, report, cancel))
    if os.path.lexists(folder / manifest.NAME):
        raise UsageError(f"{folder} holds a pack already.", "Give another folder.")
    wanted = [Copy(item.source, folder / item.name, item.source.stat().st_size) for item in items]
    copying.expect_room(wanted)
    with _made(folder):
        with copying.copies(wanted, report, cancel) as digests:
            pass
        files = [
            Entry(item.name, item.kind, copy.nbytes, digests[copy.target])
            for item, copy in zip(items, wanted, strict=True)
        ]
        made = Manifest(Path(items[0].name).stem, tuple(files))
        try:
            manifest.write(folder, made)
        except BaseException:
            for copy in wanted:
                copy.target.unlink(missing_ok=True)
            raise
    return made


def unpack(folder: Path, paths: Paths, report: Report, cancel: Event) -> list[Unpacked]:
    """Copy a pack's files into the models folder, where they appear once all of them have the right hashes.

    The errors of `manifest.read` and `copying.copies`; UnusableFile for a file that is not what was packed; UsageError
    where another file has a name.
    """
    found = manifest.read(folder)
    _expect_models(folder, found)
    models = library.models_folder(paths)
    here = [entry for entry in found.files if _is_here(models / entry.name, entry, paths, report, cancel)]
    missing = [entry for entry in found.files if entry not in here]
    wanted = [Copy(folder / entry.name, models / entry.name, entry.bytes) for entry in missing]
    with copying.copies(wanted, report, cancel) as digests:
        for entry, copy in zip(missing, wanted, strict=True):
            if digests[copy.target] != entry.sha256:
                raise UnusableFile(
                    f"{copy.source} is not what was packed: its SHA-256 is {digests[copy.target][:_SHOWN]}… instead of "
                    f"{entry.sha256[:_SHOWN]}….",
                    "Copy the pack again, or make it again; nothing of it came here.",
                )
    stamps.remember(digests, paths.cache / hashing.MEMO)
    pins.remember(models, (_pin(entry) for entry in found.files if entry.kind != "receipt"))
    return [Unpacked(entry, models / entry.name, entry in here) for entry in found.files]


def _items(wish: Wish, paths: Paths, report: Report, cancel: Event) -> Iterator[_Item]:
    """What belongs to a pack, the model first."""
    model = library.find(wish.model, paths)
    path = library.gguf(model, wish.quant, paths, report, cancel)
    part = sidecars.read(path)
    if part.kind != "model":
        raise UsageError(f"{path} only belongs to a model.", "Name the model; what fits it comes with it.")
    names = [file.name for file in part.files]
    if model.kind == "checkpoint":
        names = [f"{model.name}-{(wish.quant or model.recipe).upper()}.gguf"]
    yield from _of(part, names)
    if receipts.kept(path):
        yield _Item(receipts.place(path).resolve(), receipts.place(Path(names[0])).name, "receipt")
    for other in sidecars.best(sidecars.beside(part, "mmproj", "drafter")) if wish.sidecars else ():
        yield from _of(other, [file.name for file in other.files])


def _of(part: Part, names: Sequence[str]) -> Iterator[_Item]:
    for file, name in zip(part.files, names, strict=True):
        if not manifest.is_plain(name):
            raise UsageError(f"{name!r} can't be a name on every disk.", "Rename the file to pack it.")
        yield _Item(file.resolve(), name, part.kind)


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder, which is removed when the block fails and nothing is in it; G4Error when it can't be made."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise G4Error(f"{folder} can't be made: {reason(error)}.", "Give a folder that you may write to.") from error
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise


def _expect_models(folder: Path, found: Manifest) -> None:
    """UnusableFile where a GGUF is not what the manifest calls it, or one of its files is not in the manifest."""
    from g4convert import shards

    kinds = {entry.name: entry.kind for entry in found.files}
    for name, kind in kinds.items():
        if shards.is_later(Path(name)):
            continue
        if kind == "receipt":
            _expect_receipt(folder / name, found)
            continue
        part = sidecars.read(folder / name)
        if part.kind != kind or any(kinds.get(file.name) != kind for file in part.files):
            raise UnusableFile(f"{folder / name} is not what the pack's manifest says.", "Make the pack again.")


def _expect_receipt(path: Path, found: Manifest) -> None:
    """UnusableFile for a receipt that is none, or none of a model in the pack."""
    for entry in found.files:
        if entry.kind == "model" and receipts.place(path.with_name(entry.name)) == path:
            receipt = receipts.kept(path.with_name(entry.name))
            if receipt and (split.part(entry.name) or receipt.model_sha256 == entry.sha256):
                return
    raise UnusableFile(f"{path} is no receipt of the model in the pack.", "Make the pack again.")


def _pin(entry: Entry) -> Pin:
    assert entry.kind != "receipt"
    return Pin(entry.name, "", "", "", entry.bytes, entry.sha256, kind=entry.kind)


def _is_here(target: Path, entry: Entry, paths: Paths, report: Report, cancel: Event) -> bool:
    """Whether the file was here before; UsageError when another one has its name."""
    if not os.path.lexists(target):
        return False
    if target.is_file() and target.stat().st_size == entry.bytes:
        digests = hashing.digests([target], paths.cache / hashing.MEMO, report, cancel)
        if digests[target] == entry.sha256:
            return True
    raise UsageError(f"{target} is there already, and is another file.", "Rename it, or remove it with `g4local rm`.")
