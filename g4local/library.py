"""The models on this disk: what a name means, and the GGUF that a checkpoint becomes.

A checkpoint folder is converted once; its GGUF is kept under the folder's name and the hash of its files, so a folder
that has changed is converted again.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from threading import Event
from typing import Literal

from g4local import __version__, catalog, hashing, naming, sidecars
from g4local.core import foreign
from g4local.core.errors import BadCheckpoint, BadGguf, Busy, Cancelled, G4Error, ModelNotFound, UsageError
from g4local.core.locks import is_locked
from g4local.core.progress import Progress, Report
from g4local.settings import Paths

DEMO = "demo"
DEFAULT_RECIPE = "Q4_K_M"
DEMO_RECIPE = "Q8_0"
"""A model this small needs no fewer bits: it is 7 MB, and 5 as Q4_K_M, which does as well (demo/README.md)."""

DRAFT = ".draft"
"""A folder beside a checkpoint that is being pulled, which has holes for weights; no repository has such a name."""

KEPT = ".kept"
"""An empty file beside a checkpoint that was pulled and is to stay."""

_CONTENT = ("*.json", "*.jinja", "*.safetensors", "*.model", "additional_chat_templates/*.jinja")
_LONGEST_NAME = 80
"""Characters of a name that are repeated in an error."""
_WAIT_SECONDS = 0.2

DRAFTER_RECIPE = "Q8_0"
"""A drafter is small, and each wrong guess costs more than its bits."""

_PARTS = (foreign.TOWERS, foreign.DRAFTER)
"""Architectures that only see and hear, or only draft, for the model that they lie beside."""


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
    """The model that a name means: `demo`, a file or folder, the name of a GGUF in the models folder.

    Or what was pulled or converted into that folder, as it was named then: `26b-a4b`, `e2b:q8_0`, `OWNER/REPO:q8_0`.
    ModelNotFound tells the names that there are.
    """
    if name == DEMO:
        return Model(DEMO, Path(str(files("g4local") / "demo")), "checkpoint")
    with suppress(OSError, RuntimeError):  # too long a name; a home of nobody
        path = Path(name).expanduser()
        if name and path.is_dir():
            return Model(path.resolve().name, path, "checkpoint")
        if path.is_file():
            return Model(path.stem, path, "gguf")
    for model in _in_models_folder(paths):
        if name in (model.name, model.path.name):
            return model
    if pulled := naming.pulled(name, paths.models):
        return Model(pulled.stem, pulled, "gguf")
    _expect_no_link(name, paths)
    known = [model.name for model in listed(paths)]
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
    can_be_pulled = f" `g4local pull {shown}` gets it." if catalog.is_size(name) else ""
    raise ModelNotFound(
        f"There is no model {shown!r} here.",
        f"{_meant(name, known)}Give a GGUF, a checkpoint folder, or one of: {', '.join(known)}.{can_be_pulled}",
    )


def away(paths: Paths) -> list[Path]:
    """Links in the models folder to files that are gone, or on a disk that is not there now."""
    return [path for path in sorted(paths.models.glob("*.gguf")) if path.is_symlink() and not path.exists()]


def _expect_no_link(name: str, paths: Paths) -> None:
    """ModelNotFound for a name that a link has whose file is not there now."""
    for path in away(paths):
        if name in (path.stem, path.name):
            raise ModelNotFound(
                f"{path.stem} is a link to {path.readlink()}, which is not there now.",
                f"Bring it back, such as by plugging its disk in; `g4local rm {path.stem}` removes the link.",
            )


def _meant(name: str, known: Sequence[str]) -> str:
    """A question whether a name near to it is meant."""
    stem = name.removesuffix(".gguf")
    near = [each for each in known if each == stem or each.endswith(f"-{stem}")]
    near = near or get_close_matches(stem, known, n=1, cutoff=0.7)
    return f"Did you mean {near[0]}? " if near and len(name) <= _LONGEST_NAME else ""


def listed(paths: Paths) -> list[Model]:
    """The models that have a name: the built-in one and the GGUFs in the models folder, but for parts of others.

    A GGUF in several files has the name of the first.
    """
    from g4convert import gguf, shards

    models = _in_models_folder(paths)
    whole = (model for model in models if not shards.is_later(model.path))
    return [find(DEMO, paths), *(model for model in whole if gguf.architecture(model.path) not in _PARTS)]


def left_over(paths: Paths) -> list[Path]:
    """What conversions and downloads left behind that were killed; nobody is writing these files."""
    return [path for path in sorted(paths.models.glob("*.part")) if path.is_file() and not is_locked(path)]


def gguf(
    model: Model, recipe: str | None, paths: Paths, report: Report, cancel: Event, *, drafter: bool = False
) -> Path:
    """The model's GGUF; a checkpoint is converted first, unless that was done before.

    `recipe` is for checkpoints only: UsageError for an unknown one, and for a GGUF, which is quantized already.
    BadCheckpoint for an assistant's folder where no `drafter` is wanted, and for another one where one is.
    Waits while another process converts the same checkpoint.
    """
    if model.kind == "gguf":
        if recipe:
            raise UsageError(f"{model.path} is a GGUF already and is run as it is.", "Leave out --quant.")
        return model.path
    recipe = (recipe or (DRAFTER_RECIPE if drafter else model.recipe)).upper()
    target = _converted(model, recipe, paths, report, cancel)
    while not _is_whole(target):
        _expect(model, drafter=drafter)
        from g4convert.convert import convert  # brings numpy

        _make_folder(target.parent)
        try:
            convert(model.path, target, recipe, report, cancel)
        except Busy:
            report(Progress("wait for another process", 0, 0))
            if cancel.wait(_WAIT_SECONDS):
                raise Cancelled("Stopped.") from None
    return target


def drafter(model: Path, warn: Callable[[str], None]) -> Path | None:
    """The GGUF of an assistant that lies beside a model and is made for one of its width and vocabulary.

    The smallest where there are some; None without any. Why the only one there is of no use is a warning, but for one
    that another model there may be the right one for.
    """
    drafters = sidecars.candidates(model.parent, "drafter")
    if not drafters:
        return None
    with suppress(G4Error):  # a model that can't be read is told of when it is loaded
        if found := sidecars.beside(sidecars.read(model), "drafter"):
            return found[0].path
        if complaint := _complaint(drafters, is_theirs=len(sidecars.candidates(model.parent, "model")) == 1):
            warn(f"The assistant beside the model is not used: {complaint}.")
    return None


def _complaint(drafters: Sequence[Path], *, is_theirs: bool) -> str:
    """Why none of the assistants is of use: one is damaged, or made for another model where there is only this one."""
    for path in drafters:
        try:
            sidecars.read(path)
        except G4Error as error:
            return error.message.removesuffix(".")
    return f"{drafters[0].name} is made for another one" if is_theirs else ""


@contextmanager
def borrowed(model: Model, recipe: str, paths: Paths, report: Report, cancel: Event) -> Iterator[Path]:
    """The model's GGUF for a while: what was converted only for this is deleted in the end; the errors of `gguf`.

    Who borrows it holds a lock, so that the last of several deletes it.
    """
    if model.kind == "gguf":
        yield model.path
        return
    target = _converted(model, recipe, paths, report, cancel)
    is_kept = _is_whole(target) and not is_locked(target)
    try:
        with gguf(model, recipe, paths, report, cancel).open("rb") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_SH)
            yield target
    finally:
        if not is_kept and not is_locked(target):
            with suppress(OSError):
                target.unlink()


def beside(target: Path, recipe: str, kind: str) -> Path:
    """Where the towers of a model go: `mmproj-NAME-KIND.gguf` beside it, with its name but for the recipe."""
    return target.with_name(f"mmproj-{target.stem.removesuffix(f'-{recipe}')}-{kind}.gguf")


def models_folder(paths: Paths) -> Path:
    """The folder for models that have a name, made if it is not there."""
    _make_folder(paths.models)
    return paths.models


def content_key(folder: Path, memo: Path, report: Report, cancel: Event) -> str:
    """A hash (SHA-256, hex) of everything that a conversion reads, and of our version.

    Hashing 10 GB takes a while, so each file's hash is kept in the file `memo` for as long as its size and time stay.
    """
    sources = sorted({path for pattern in _CONTENT for path in folder.glob(pattern) if path.is_file()})
    whole = sha256(__version__.encode())
    for path, digest in hashing.digests(sources, memo, report, cancel).items():
        whole.update(os.fsencode(path.relative_to(folder)) + f"\0{digest}\0".encode())
    return whole.hexdigest()


def gguf_hash(path: Path, paths: Paths, report: Report, cancel: Event) -> str:
    """A GGUF's SHA-256 in hex, remembered for as long as its size and time stay; of several files, that of theirs.

    ModelNotFound or BadGguf when it is none.
    """
    from g4convert import shards

    files = [file.path for file in shards.read(path, 0)]
    hashes = list(hashing.digests(files, paths.cache / hashing.MEMO, report, cancel).values())
    return hashes[0] if len(hashes) == 1 else sha256("".join(hashes).encode()).hexdigest()


def _converted(model: Model, recipe: str, paths: Paths, report: Report, cancel: Event) -> Path:
    """Where a checkpoint's conversion is kept."""
    key = content_key(model.path, paths.cache / hashing.MEMO, report, cancel)
    return paths.converted / f"{model.name}-{recipe}-{key[:16]}.gguf"


def _in_models_folder(paths: Paths) -> Iterator[Model]:
    for path in sorted(paths.models.glob("*.gguf")):
        if path.is_file():
            yield Model(path.name if path.stem == DEMO else path.stem, path, "gguf")


def _is_whole(target: Path) -> bool:
    """Whether a conversion is there and has all its bytes; a disk that was full or lost may have left less."""
    from g4convert.gguf import read

    try:
        read(target, longest=0)
    except (ModelNotFound, BadGguf):
        return False
    return True


def _expect(model: Model, *, drafter: bool) -> None:
    """BadCheckpoint for a folder of the wrong kind, before it is converted."""
    from g4convert import architectures, checkpoint

    if architectures.is_drafter(checkpoint.read(model.path).config) == drafter:
        return
    if drafter:
        raise BadCheckpoint(
            f"{model.path} holds no drafter.", "Give an -assistant checkpoint, or the GGUF that g4local makes of it."
        )
    raise foreign.drafter(model.path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise G4Error(
            f"The folder {folder} can't be made: {error.strerror}.",
            "Set G4LOCAL_HOME to a folder that you may write to.",
        ) from error
