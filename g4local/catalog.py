"""The known models, and what people call them: which file of which repository a reference means."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from g4local.core.errors import ModelNotFound, UsageError

Kind = Literal["model", "mmproj", "drafter"]

_HOSTS = ("hf.co", "huggingface.co")
_WEB_PATH = re.compile(r"([^/]+/[^/]+)/(?:blob|resolve|tree)/([^/]+)(?:/(.+))?")
"""What follows the host in an address that was copied from a browser."""
_OLLAMA = re.compile(r"gemma-?4:(e2b|e4b|12b|26b|31b)(?:-a4b)?(?:-it)?(?:-(\w+))?", re.ASCII | re.IGNORECASE)
"""What another program calls these models: `gemma4:26b`, `gemma4:e2b-it-q8_0`."""
_OWN_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a known model; what is not known is asked for when it is pulled."""

    kind: Kind
    quant: str
    """As `NAME:quant` says it, in capitals; empty for towers and drafters."""
    repo: str
    file: str | None
    nbytes: int | None
    sha256: str
    """How the SHA-256 begins, as far as it is known."""
    template: str | None
    """The date of the chat template in the file."""

    def is_called(self, quant: str | None) -> bool:
        """Whether this is the model in the quant named: QAT-Q4_0 is `qat-q4_0`, `qat` and `q4_0`."""
        return is_called(self.quant, quant)


@dataclass(frozen=True, slots=True)
class Known:
    """A size of the family."""

    name: str
    model: str
    """What Google calls it."""
    context: int
    licence: str
    checkpoint: str
    qat_checkpoint: str
    entries: tuple[Entry, ...]

    @property
    def models(self) -> tuple[Entry, ...]:
        """The model's own files, the one that is taken when nobody says which first."""
        return tuple(entry for entry in self.entries if entry.kind == "model")

    def entry(self, quant: str | None) -> Entry:
        """The model's file in a quant; ModelNotFound with the quants that are known."""
        for entry in self.models:
            if entry.is_called(quant):
                return entry
        known = ", ".join(entry.quant.lower() for entry in self.models)
        raise ModelNotFound(
            f"No file of {self.name} as {quant} is known.",
            f"Known: {known}. `g4local pull {self.name} --from-checkpoint --quant {quant}` makes others.",
        )

    def sidecar(self, kind: Kind) -> Entry:
        """The file with the towers, or with the drafter."""
        return next(entry for entry in self.entries if entry.kind == kind)


@dataclass(frozen=True, slots=True)
class Reference:
    """What was asked for: a size of the family, or a repository of the hub."""

    known: Known | None = None
    repo: str = ""
    """Where it is no known size."""
    revision: str | None = None
    file: str | None = None
    quant: str | None = None


@cache
def catalog() -> dict[str, Known]:
    """The sizes of the family by name, the smallest first."""
    content = tomllib.loads((files("g4local") / "catalog.toml").read_text(encoding="utf-8"))
    return {name: _known(name, table) for name, table in content.items()}


def known(name: str) -> Known | None:
    """The size that a name means: `26b`, `26b-a4b`, `gemma-4-26b-a4b-it`, in capitals or not."""
    short = name.lower().removeprefix("google/").removeprefix("gemma-4-").removesuffix("-it")
    if name.lower().startswith("google/") and not name.lower().endswith("-it"):
        return None  # the repository of a model that was not taught to answer
    return next((each for key, each in catalog().items() if short in (key, key.partition("-")[0])), None)


def is_size(text: str) -> bool:
    """Whether a name means a size of the family, with a quant or without."""
    return known(text.partition(":")[0]) is not None or _OLLAMA.fullmatch(text) is not None


def reference(text: str) -> Reference:
    """What `NAME`, `NAME:QUANT`, `OWNER/REPO`, `OWNER/REPO:QUANT`, `OWNER/REPO:FILE` or an address of the hub means.

    `hf.co/` may stand before a repository, `@REVISION` behind it; `gemma4:SIZE` is a size. ModelNotFound for a name
    that is none, UsageError for a repository that can't be one.
    """
    if other := _OLLAMA.fullmatch(text):
        return _named(other[1], other[2])
    scheme, _, rest = text.rpartition("://")
    host, slash, path = rest.partition("/")
    if slash and host.lower().removeprefix("www.") in _HOSTS:
        if web := _WEB_PATH.fullmatch(path.partition("?")[0]):
            return Reference(repo=web[1], revision=web[2], file=web[3])
        rest = path
    elif scheme:
        raise UsageError(f"{text} is no address of the hub.", f"Hosts: {', '.join(_HOSTS)}; others by HF_ENDPOINT.")
    return _short(rest)


def is_called(quant: str, asked: str | None) -> bool:
    """Whether a quant, in capitals, is the one that was asked for: QAT-Q4_0 is also called `qat` and `q4_0`."""
    return asked is None or asked.upper() in (quant, *quant.split("-"))


def names() -> Iterable[str]:
    """What can be pulled by name, for the shell to offer."""
    for key, size in catalog().items():
        yield from dict.fromkeys((key.partition("-")[0], key))
        yield from (f"{key}:{entry.quant.lower()}" for entry in size.models)


def _short(text: str) -> Reference:
    """What a reference without a host means."""
    name, _, what = text.partition(":")
    name, _, revision = name.partition("@")
    if "/" not in name:
        size = _named(name, what or None)
        if revision:
            raise UsageError(
                f"{name} is a name of g4local's and has no revisions.", "Name a repository: OWNER/REPO@REVISION."
            )
        return size
    if not _OWN_NAME.fullmatch(name):
        raise UsageError(f"{name!r} can't be a repository.", "Repositories are OWNER/REPO.")
    if what.lower().endswith(".gguf"):
        return Reference(repo=name, revision=revision or None, file=what)
    return Reference(repo=name, revision=revision or None, quant=what or None)


def _named(name: str, quant: str | None) -> Reference:
    size = known(name)
    if size is None:
        raise ModelNotFound(
            f"There is no model {name!r} to pull.", f"Known: {', '.join(catalog())}. Or name a repository: OWNER/REPO."
        )
    return Reference(known=size, quant=quant)


def _known(name: str, table: dict[str, Any]) -> Known:
    entries = tuple(map(_entry, table.pop("files")))
    return Known(name, **table, entries=entries)


def _entry(table: dict[str, Any]) -> Entry:
    return Entry(
        table.get("kind", "model"),
        table.get("quant", ""),
        table["repo"],
        table.get("file"),
        table.get("bytes"),
        table.get("sha256", ""),
        table.get("template"),
    )
