"""The models that there are, as lists tell of them: those that lie here, and those that can be pulled by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from g4local import catalog, library, pins
from g4local.catalog import Entry, Known
from g4local.core import stamps
from g4local.core.errors import UnusableFile
from g4local.library import Model
from g4local.settings import Paths

if TYPE_CHECKING:
    from g4convert.gguf import Gguf
    from g4local.backend.engine import LoadOptions
    from g4local.backend.fit.fitting import Fit, Resources
    from g4local.planner import Candidate

_MEMO = "quants.json"
"""The file in the cache folder that remembers the quants of GGUFs."""

UNREADABLE, AWAY = "unreadable", "not there now"
"""The quant of a model whose file can't be read, and of a link whose file is gone, or on a disk that is."""


@dataclass(frozen=True, slots=True)
class Local:
    """A model that has a name here."""

    model: Model
    quant: str
    nbytes: int
    """Of a checkpoint, before it is quantized."""
    modified: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that can be pulled."""

    size: Known
    entry: Entry
    nbytes: int
    """As far as it is known or can be reckoned, else 0."""
    is_exact: bool
    """False: it is what g4local's own quantization would have."""
    is_here: bool

    @property
    def name(self) -> str:
        """What it is pulled by, if it is a model."""
        return f"{self.size.name}:{self.entry.quant.lower()}" if self.entry.quant else self.size.name

    @property
    def recipe(self) -> str:
        """How it is quantized."""
        return _recipe(self.entry)


def listed(paths: Paths) -> list[Local]:
    """The models that have a name here; a GGUF that is as it was is not read again, since a vocabulary is long."""
    models, memo = library.listed(paths), paths.cache / _MEMO
    known = stamps.known([model.path for model in models if model.kind == "gguf"], memo)
    found = [local(model, known.get(model.path)) for model in models]
    readable = (each for each in found if each.model.kind == "gguf" and each.quant != UNREADABLE)
    stamps.remember({each.model.path: each.quant for each in readable}, memo)
    return [*found, *map(_away, library.away(paths))]


def _away(link: Path) -> Local:
    return Local(Model(link.stem, link, "gguf"), AWAY, 0, link.lstat().st_mtime)


def local(model: Model, quant: str | None = None) -> Local:
    """What a list tells of a model that is here; one that can't be read stays in the list, and is called so.

    It is not read where its quant is known.
    """
    from g4convert import gguf, shards

    weights = shards.present(model.path) if model.kind == "gguf" else sorted(model.path.glob("*.safetensors"))
    nbytes = sum(file.stat().st_size for file in weights)
    modified = max(file.stat().st_mtime for file in weights)
    if model.kind == "checkpoint":
        quant = model.recipe
    elif quant is None:
        try:
            quant = shards.recipe([gguf.read(model.path, 0)])
        except UnusableFile:
            quant = UNREADABLE
    return Local(model, quant, nbytes, modified)


def offers(paths: Paths) -> list[Offer]:
    """What the catalog has, sidecars included; no network is needed for it."""
    here = {
        (pin.size, pin.kind, pin.quant)
        for pin in pins.read(paths.models).values()
        if pin.size and pin.path and pins.here(paths.models, pin)
    }
    return [
        Offer(size, entry, *_nbytes(size, entry), (size.name, entry.kind, entry.quant) in here)
        for size in catalog.catalog().values()
        for entry in size.entries
    ]


def gguf(path: Path, name: str, warn: Callable[[str], None]) -> "Candidate":
    """A GGUF with the assistant that lies beside it, as far as memory goes; the errors of `planner.of_gguf`."""
    from g4convert.gguf import read

    drafter = library.drafter(path, warn)
    return candidate(headers(path), name, read(drafter, 0) if drafter else None)


def headers(path: Path) -> list["Gguf"]:
    """The headers of a GGUF's files with all numbers that its memory depends on; the errors of `shards.read`."""
    from g4convert import shards
    from g4local.backend.fit.shape import MOST_LAYERS

    return shards.read(path, MOST_LAYERS)


def candidate(files: Sequence["Gguf"], name: str, drafter: "Gguf | None") -> "Candidate":
    """A GGUF by its `headers`, with its assistant's."""
    from g4convert import shards
    from g4local import planner

    whole = replace(files[0], tensors=tuple(tensor for file in files for tensor in file.tensors))
    nbytes = sum(tensor.nbytes for tensor in drafter.tensors) if drafter else 0
    return replace(planner.of_gguf(whole, name, shards.recipe(files)), drafter=nbytes)


def fit(candidate: "Candidate", asked: "LoadOptions", there: "Resources") -> "Fit":
    """What a model takes as it is asked for, and whether that is there; without its assistant where only that fits.

    UsageError for options that the model can't have.
    """
    from g4local.backend.fit import fitting

    options = replace(asked, path=Path(candidate.name))
    for drafter in dict.fromkeys((candidate.drafter, 0)):  # loading leaves out one that does not fit
        setting = fitting.setting(options, candidate.model, there, drafter)
        result = fitting.fit(candidate.model, setting, there, options.gpu_layers)
        if result.verdict != "no":
            break
    return result


def _nbytes(size: Known, entry: Entry) -> tuple[int, bool]:
    """The bytes of a file, and whether they are known; those of a model can be reckoned, others are 0 then."""
    from g4local import planner

    if entry.nbytes is not None or entry.kind != "model":
        return entry.nbytes or 0, entry.nbytes is not None
    reckoned = planner.bits(size.name, _recipe(entry))
    return (reckoned[0] if reckoned else 0), False


def _recipe(entry: Entry) -> str:
    return entry.quant.removeprefix("QAT-")
