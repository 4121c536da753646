"""`pull --from-checkpoint`: a checkpoint comes from the hub and becomes a GGUF, also where the disk can't hold both.

What a conversion needs to know lies in small files and in the first bytes of the large ones. Those come first, so that
a model that can't be converted, and a disk that is too small, are known before the weights are downloaded.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from g4local import library, pins
from g4local.catalog import Reference
from g4local.core import files
from g4local.core.errors import Busy, Cancelled, G4Error, NetworkError, UsageError
from g4local.core.locks import locked
from g4local.core.progress import Progress
from g4local.core.units import human_bytes
from g4local.hub import cache
from g4local.hub.downloading import download, remaining
from g4local.hub.listing import Remote, Repository, listing
from g4local.hub.transfer import Wanted, beginning, writing
from g4local.pins import Pin
from g4local.pulling import Context, Pulled

if TYPE_CHECKING:
    from g4convert.convert import Job, Options
    from g4convert.plan import Plan

_SHARD = ".safetensors"
_FIRST_BYTES = 1 << 20
"""Of a shard; its header is seldom longer."""
_MOST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library."""
_QAT = "QAT"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of a checkpoint."""

    quant: str | None = None
    mmproj: bool = False
    keep: bool = False
    """Leave the checkpoint on the disk, for other quants, which leave it there, too."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A checkpoint on the hub, and where its files go."""

    repository: Repository
    files: tuple[Wanted, ...]
    folder: Path
    beginnings: dict[str, bytes]
    """The first bytes of each shard, up to its data."""

    @property
    def shards(self) -> list[Wanted]:
        return [wanted for wanted in self.files if wanted.file.path.endswith(_SHARD)]


def make(reference: Reference, wish: Wish, context: Context) -> list[Pulled]:
    """Download a checkpoint and convert it; the GGUF, and the one with its towers if that was asked for.

    UsageError when they are here already, Busy while another process makes one of it. The errors of `listing`,
    `download` and `convert.convert`; G4Error when the disk can hold neither the checkpoint and the GGUF, nor the GGUF
    and one file of the checkpoint.
    """
    from g4convert.convert import Options

    repo, quant, called = _asked(reference, wish)
    models = library.models_folder(context.paths)
    name = repo.rpartition("/")[2]
    target = models / f"{name}-{quant}.gguf"
    options = Options(mmproj=library.beside(target, quant, "BF16") if wish.mmproj else None)
    for path in filter(None, (target, options.mmproj)):
        if path.exists():
            raise UsageError(f"{path} is there already.", "Delete it or move it away to make it anew.")
    context.report(Progress("ask the hub", 0, 0))
    repository = listing(repo, reference.revision, context.cancel)
    place = context.paths.checkpoints / repository.commit[:12]
    with _alone(place), _stoppable():
        source = _begun(repository, place / name, context)
        with _draft(source) as draft:
            jobs = _jobs(draft, quant, target, options.mmproj)
            if is_whole := _has_room(source, jobs, models):
                _whole(source, quant, target, options, context)
            else:
                _piece_by_piece(source, jobs, context)
        if wish.keep and is_whole:
            (place / library.KEPT).touch()
        elif not (place / library.KEPT).exists():
            shutil.rmtree(place)
    size = reference.known.name if reference.known else ""
    pin = Pin("", repo, "", repository.commit, 0, "", size, called, revision=reference.revision or "")
    made = [_made(replace(pin, name=target.name), target)]
    if options.mmproj:
        made.append(_made(replace(pin, name=options.mmproj.name, quant="", kind="mmproj"), options.mmproj))
    pins.remember(models, (each.pin for each in made))
    return made


def _asked(reference: Reference, wish: Wish) -> tuple[str, str, str]:
    """The repository that is meant, the quant as the converter spells it, and as it is asked for."""
    quant = (wish.quant or reference.quant or library.DEFAULT_RECIPE).upper()
    is_qat = quant.split("-")[0] == _QAT
    if reference.known:
        repo = reference.known.qat_checkpoint if is_qat else reference.known.checkpoint
    else:
        repo = reference.repo
    recipe = (quant.partition("-")[2] or "Q4_0") if is_qat else quant
    return repo, recipe, f"{_QAT}-{recipe}" if is_qat else quant


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a folder from others that would fill it, and from `prune`; Busy while another process has it."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) as is_ours:
        if not is_ours:
            raise Busy("Another process makes a model of this checkpoint.", "Wait for it, and ask again.")
        yield


@contextmanager
def _stoppable() -> Iterator[None]:
    """Tell somebody who stops it what is left."""
    try:
        yield
    except Cancelled as stopped:
        raise Cancelled(
            stopped.message, "What came of the checkpoint is kept: pull again to go on, `g4local prune` removes it."
        ) from stopped


def _begun(repository: Repository, folder: Path, context: Context) -> _Source:
    """The checkpoint's small files, and the beginnings of its large ones."""
    files = tuple(Wanted(file, folder / file.path) for file in repository.checkpoint())
    small = [wanted for wanted in files if not wanted.file.path.endswith(_SHARD)]
    _bring(small, context)
    context.report(Progress("read what it holds", 0, 0))
    beginnings = {
        wanted.file.path: _beginning(wanted.file, context) for wanted in files if wanted.file.path.endswith(_SHARD)
    }
    return _Source(repository, files, folder, beginnings)


def _beginning(file: Remote, context: Context) -> bytes:
    """A shard's header, with the eight bytes before it that tell its length."""
    first = beginning(file, _FIRST_BYTES, context.cancel)
    length = 8 + int.from_bytes(first[:8], "little")
    if length > min(file.nbytes, _MOST_HEADER):
        raise NetworkError(f"{file.repo}/{file.path} is no safetensors file.", "Name the repository of a checkpoint.")
    return first[:length] if len(first) >= length else beginning(file, length, context.cancel)


@contextmanager
def _draft(source: _Source) -> Iterator[Path]:
    """A folder that looks like the checkpoint but has holes for weights."""
    draft = source.folder.with_name(library.DRAFT) / source.folder.name
    shutil.rmtree(draft.parent, ignore_errors=True)
    for wanted in source.files:
        path = draft / wanted.file.path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if begin := source.beginnings.get(wanted.file.path):
                with path.open("wb") as file:
                    file.write(begin)
                    file.truncate(wanted.file.nbytes)
            else:
                path.symlink_to(wanted.target)
    try:
        yield draft
    finally:
        shutil.rmtree(draft.parent, ignore_errors=True)


def _jobs(draft: Path, quant: str, target: Path, mmproj: Path | None) -> list[tuple["Job", Path]]:
    """What is to be written, as far as it is known without weights."""
    from g4convert import convert
    from g4convert.convert import Options

    blind = Options(qat="off")
    jobs = [(convert.prepare(draft, quant, blind), target)]
    return [*jobs, (convert.prepare_towers(draft, blind), mmproj)] if mmproj else jobs


def _has_room(source: _Source, jobs: Sequence[tuple["Job", Path]], models: Path) -> bool:
    """Whether the disk takes checkpoint and GGUF; False when only one file of the checkpoint fits beside it."""
    made = sum(job.plan.nbytes for job, _ in jobs)
    rest = remaining(source.shards)
    largest = max(wanted.file.nbytes for wanted in source.shards)
    free = files.free(models)
    if free >= rest + made:
        return True
    if free < largest + made:
        raise G4Error(
            f"{human_bytes(rest)} of weights are still to come and become {human_bytes(made)}; "
            f"{models} has {human_bytes(free)} free, and {human_bytes(largest + made)} is the least.",
            "Make room, take a smaller quant, or pull a file that is quantized already.",
        )
    if _QAT in source.repository.name.upper():
        raise G4Error(
            f"{models} has {human_bytes(free)} free, and {human_bytes(rest + made)} are needed.",
            "A checkpoint that was trained for Q4_0 can't be converted piece by piece; make room.",
        )
    return False


def _whole(source: _Source, quant: str, target: Path, options: "Options", context: Context) -> None:
    """Download all of it, then convert it as any other folder."""
    from g4convert import convert

    _bring(source.shards, context)

    def tell(plan: "Plan") -> None:
        for warning in plan.warnings:
            context.tell(warning)

    wanted = replace(options, tell=tell)
    convert.convert(source.folder, target, quant, context.report, context.cancel, wanted)


def _piece_by_piece(source: _Source, jobs: list[tuple["Job", Path]], context: Context) -> None:
    """Convert one file after the other, of which only one is here at a time."""
    from g4convert import piecewise

    context.tell("The disk is too small for the whole checkpoint: it is converted file by file, each deleted after it.")
    by_name = {wanted.target.name: wanted for wanted in source.shards}

    @contextmanager
    def bring(hole: Path) -> Iterator[None]:
        wanted = by_name[hole.name]
        _bring([wanted], context)
        with wanted.target.open("rb") as file:
            begin = source.beginnings[wanted.file.path]
            if file.read(len(begin)) != begin:
                raise NetworkError(f"{wanted.file.path} did not begin as it does now.", "Pull again.")
        wanted.target.replace(hole)
        try:
            yield
        finally:
            hole.unlink()

    piecewise.convert(jobs, bring, context.report, context.cancel)


def _bring(wanted: Sequence[Wanted], context: Context) -> None:
    """Link or download files that are not here."""
    missing = [each for each in wanted if not each.is_here and not cache.link(each, context.cancel)]
    download(missing, context.report, context.cancel)


def _made(pin: Pin, path: Path) -> Pulled:
    return Pulled(replace(pin, nbytes=path.stat().st_size), path, "checkpoint", is_first=False)
