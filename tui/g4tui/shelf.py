"""The models behind the models screen: what lies here and what can be pulled, as rows of one table.

Headers of files are read, once for as long as a file stays as it is; no weights, and nothing of the network.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from g4convert.gguf import Gguf
from g4local import inventory, library, pins, planner, sidecars, templates
from g4local.backend.engine import LoadOptions
from g4local.backend.fit.fitting import Fit, Resources
from g4local.catalog import Kind
from g4local.core.errors import G4Error, UsageError
from g4local.inventory import Offer
from g4local.library import Model
from g4local.planner import Candidate
from g4local.settings import Paths
from g4local.sidecars import Part

Place = Literal["built in", "here", "linked", "to pull"]
"""Where a model lies."""

_JULY = "2026-07"
"""How the date of the built-in template begins."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A file that a model sees and hears with, or that drafts for it."""

    kind: Kind
    nbytes: int
    """0: not known."""
    file: str
    """Its name, or its repository."""


@dataclass(frozen=True, slots=True)
class Row:
    """A model."""

    name: str
    """What it is asked for by."""
    quant: str
    nbytes: int
    place: Place
    path: Path | None = None
    """None: it is still to be pulled."""
    is_exact: bool = True
    """False: its bytes are reckoned."""
    template: str = ""
    """Of when the chat template in the file is; empty: not known."""
    beside: tuple[Beside, ...] = ()
    candidate: Candidate | None = None
    """None: it can't be read."""
    origin: str = ""
    """Where on the hub it comes from."""
    known_as: str = ""
    """What else it is asked for by."""
    problem: str = ""
    """Why it can't be read."""

    @property
    def is_here(self) -> bool:
        """Whether it can be loaded without the network."""
        return self.path is not None

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return str(self.path or f"hub:{self.name}")

    @property
    def asked_for(self) -> str:
        """What leads to it also where a file or folder has its name."""
        is_plain = self.place == "built in" or not os.path.lexists(self.name)
        return self.name if is_plain else str(self.path)

    @property
    def trained(self) -> int:
        """Tokens of context that it was trained for; 0: not known."""
        return self.candidate.model.shape.trained_context if self.candidate else 0

    def fit(self, asked: LoadOptions, there: Resources) -> Fit | None:
        """What it takes, with no more context than it was trained for; None: not known, or it can't be loaded so."""
        if self.candidate is None:
            return None
        context = asked.context if asked.context == "max" else min(asked.context, self.trained)
        options = LoadOptions(
            asked.path,
            context=context,
            kv_type=asked.kv_type,
            lazy_ple=asked.lazy_ple,
            gpu_layers=asked.gpu_layers,
            draft=asked.draft,
        )
        with suppress(UsageError):
            return inventory.fit(self.candidate, options, there)
        return None


def rows(paths: Paths, is_wanted: Callable[[], bool]) -> Iterator[Row]:
    """All of them, those that are here first, as long as they are wanted."""
    parts = list(_parts(paths))
    for model in library.listed(paths):
        if not is_wanted():
            return
        with suppress(OSError):  # it went meanwhile
            yield _built_in(model) if model.name == library.DEMO else _local(model, parts)
    offers = inventory.offers(paths)
    for offer in offers:
        if offer.entry.kind == "model" and not offer.is_here and is_wanted():
            yield _offered(offer, offers)


def _parts(paths: Paths) -> Iterator[Part]:
    """Towers and drafters in the models folder."""
    for path in sidecars.candidates(paths.models, "mmproj", "drafter"):
        with suppress(G4Error, OSError):
            yield sidecars.of(_headers(path))


def _headers(path: Path) -> list[Gguf]:
    about = path.stat()
    return _read(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, nbytes: int, modified: int) -> list[Gguf]:
    """The headers of a GGUF that has this size and time."""
    return inventory.headers(path)


def _built_in(model: Model) -> Row:
    nbytes = inventory.local(model).nbytes
    candidate = _of_checkpoint(model.path, model.name, model.recipe)
    return Row(model.name, model.recipe, nbytes, "built in", model.path, template="July", candidate=candidate)


def _local(model: Model, parts: Sequence[Part]) -> Row:
    """A model in the models folder; one that can't be read stays in the list with the reason."""
    path = model.path
    place: Place = "linked" if path.is_symlink() else "here"
    pin = pins.of(path)
    origin, known_as = (pin.key, pin.called) if pin else ("", "")
    try:
        files = _headers(path)
        mine = sidecars.of(files)
        beside = sidecars.best(sidecars.fitting(mine, parts))
        drafter = next((_headers(part.path)[0] for part in beside if part.kind == "drafter"), None)
        candidate = inventory.candidate(files, model.name, drafter)
    except G4Error as error:
        nbytes = path.stat().st_size
        problem = f"{error.message} {error.hint}".strip()
        return Row(model.name, inventory.UNREADABLE, nbytes, place, path, origin=origin, problem=problem)
    return Row(
        model.name,
        candidate.quant,
        mine.nbytes,
        place,
        path,
        template=_age(files[0]),
        beside=tuple(Beside(part.kind, part.nbytes, part.path.name) for part in beside),
        candidate=candidate,
        origin=origin,
        known_as=known_as if known_as != model.name else "",
    )


def _age(file: Gguf) -> str:
    template = file.keys.get("tokenizer.chat_template")
    return templates.age(template.data if template and isinstance(template.data, str) else "")


def _offered(offer: Offer, offers: Sequence[Offer]) -> Row:
    entry = offer.entry
    beside = [each for each in offers if each.size is offer.size and each.entry.kind != "model"]
    return Row(
        offer.name,
        entry.quant,
        offer.nbytes,
        "to pull",
        is_exact=offer.is_exact,
        template="" if entry.template is None else "July" if entry.template.startswith(_JULY) else entry.template,
        beside=tuple(Beside(each.entry.kind, each.nbytes, each.entry.repo) for each in beside),
        candidate=_of_size(offer.size.name, offer.recipe),
        origin=f"{entry.repo}/{entry.file}" if entry.file else entry.repo,
    )


_of_size = lru_cache(maxsize=64)(planner.of_size)
_of_checkpoint = lru_cache(maxsize=1)(planner.of_checkpoint)
