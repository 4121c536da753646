"""Where files of the hub go: into the models folder, under names that no other files have."""

from collections.abc import Callable, Sequence
from pathlib import Path

from g4local import pins
from g4local.core.errors import UsageError
from g4local.hub.listing import Remote
from g4local.hub.transfer import Wanted
from g4local.pins import Pin

IsSame = Callable[[Path, Remote], bool]
"""Whether a file that is here is the one on the hub."""


def placed(
    files: Sequence[Remote], before: Sequence[Pin | None], models: Path, is_same: IsSame, revision: str | None = None
) -> list[Wanted]:
    """The places of the files of one GGUF: all with the hub's names, or all with the same longer ones.

    `before` is what each was pulled as, if it was. UsageError when other files have each of the names.
    """
    choices = _choices(files, before, revision)
    for names in choices:
        wanted: list[Wanted] = []
        for file, name, pin in zip(files, names, before, strict=True):
            own = pin if pin and pin.name == name and pins.here(models, pin) else None
            if (place := _place(file, models / name, own, is_same)) is None:
                break
            wanted.append(place)
        else:
            return wanted
    taken = next((models / name for name in _plain(files) if (models / name).exists()), models)
    raise UsageError(f"{taken} is there already, and is another file.", "Move it away, or rename it.")


def _choices(files: Sequence[Remote], before: Sequence[Pin | None], revision: str | None) -> list[list[str]]:
    """The names to try, those first that most of the files have already."""
    plain, owner = _plain(files), files[0].repo.partition("/")[0]
    starts = ["", f"{owner}-", *([f"{owner}-{_in_a_name(revision)}-"] if revision else ())]
    choices = [[start + name for name in plain] for start in starts]
    pinned = [pin.name if pin else "" for pin in before]
    if all(pinned):
        choices.insert(0, pinned)
    return sorted(choices, key=lambda names: -sum(map(str.__eq__, names, pinned)))


def _plain(files: Sequence[Remote]) -> list[str]:
    """The hub's names, behind the repository's where they don't tell the model."""
    model = files[0].repo.rpartition("/")[2].removesuffix("-GGUF").removesuffix("-gguf")
    return [file.name if "gemma" in file.name.lower() else f"{model}-{file.name}" for file in files]


def _in_a_name(revision: str) -> str:
    return revision.replace("/", "-").lstrip(".-")[:12]


def _place(file: Remote, place: Path, own: Pin | None, is_same: IsSame) -> Wanted | None:
    """A file's place, if it is free or holds this very file, or what was pulled as it; None where it is taken."""
    if not place.exists() or (own and own.digest == file.digest) or is_same(place, file):
        return Wanted(file, place)
    if own:
        about = place.stat()
        return Wanted(file, place, replaces=(about.st_dev, about.st_ino))
    return None
