"""Which GGUFs belong together: a model, the towers that it sees and hears with, and its drafters.

What a file is for stands in it: `general.architecture`, and how wide the embeddings are that it is made for. Its name
says nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from g4local.catalog import Kind
from g4local.core import foreign
from g4local.core.errors import G4Error

if TYPE_CHECKING:
    from g4convert.gguf import Gguf

KINDS: dict[str, Kind] = {"gemma4": "model", foreign.TOWERS: "mmproj", foreign.DRAFTER: "drafter"}
"""What a file is, by its `general.architecture`."""

_WIDTHS: dict[Kind, tuple[str, ...]] = {
    "model": ("gemma4.embedding_length",),
    "mmproj": ("clip.vision.projection_dim", "clip.audio.projection_dim"),
    "drafter": (f"{foreign.DRAFTER}.embedding_length_out",),
}
"""The keys that tell the width of the model's embeddings; the first that a file has counts."""
_PROJECTORS = ("clip.vision.projector_type", "clip.audio.projector_type")
_OURS = "gemma4"
"""How the towers of this family call their projectors; others may be as wide."""
_EMBEDDING = "token_embd.weight"
_PREFERRED_TYPES = (1, 32, 7)
"""`general.file_type` of the towers to take: F16, BF16, Q8_0, then any other."""


@dataclass(frozen=True, slots=True)
class Part:
    """A GGUF, as far as it is to be known what it goes with."""

    files: tuple[Path, ...]
    """More than one if it is split."""
    kind: Kind
    width: int
    """Of the embeddings of the model that it is, or is made for; 0: it does not say."""
    vocabulary: tuple[int, ...] = field(repr=False)
    """The numbers of tokens in it."""
    file_type: int
    nbytes: int

    @property
    def path(self) -> Path:
        """The file, or the first of them."""
        return self.files[0]

    def fits(self, model: "Part") -> bool:
        """Whether these are towers or a drafter for the model."""
        is_same = self.width == model.width > 0
        return is_same and (self.kind == "mmproj" or (self.kind == "drafter" and self.vocabulary == model.vocabulary))


def read(path: Path) -> Part:
    """What a GGUF is, given the first of its files; the errors of `shards.read` and of `of`."""
    from g4convert import shards

    return of(shards.read(path, longest=0))


def of(files: Sequence["Gguf"]) -> Part:
    """What a GGUF is by the headers of its files; BadGguf for one that is neither a Gemma 4 nor made for one."""
    first = files[0]
    architecture = _data(first, "general.architecture")
    kind = KINDS.get(str(architecture))
    if kind is None:
        raise foreign.refused(first.path, architecture, _data(first, "general.type"))
    if kind == "mmproj" and not _is_ours(first):
        raise foreign.refused(first.path, f"{architecture} of another family", None)
    width = next((found for key in _WIDTHS[kind] if isinstance(found := _data(first, key), int)), 0)
    vocabulary = tuple(tensor.dims[-1] for file in files for tensor in file.tensors if tensor.name == _EMBEDDING)
    file_type = _data(first, "general.file_type")
    number = file_type if isinstance(file_type, int) else -1
    return Part(tuple(file.path for file in files), kind, width, vocabulary, number, sum(file.nbytes for file in files))


def candidates(folder: Path, *kinds: Kind) -> list[Path]:
    """The GGUFs in a folder that may be of these kinds, by what stands at their beginning; first files only."""
    from g4convert import shards
    from g4convert.gguf import architecture

    paths = (path for path in sorted(folder.glob("*.gguf")) if not shards.is_later(path))
    return [path for path in paths if KINDS.get(architecture(path)) in kinds]


def readable(paths: Sequence[Path]) -> Iterator[Part]:
    """Those of the files that can be read and belong to the family."""
    for path in paths:
        with suppress(G4Error):
            yield read(path)


def beside(model: Part, *kinds: Kind) -> list[Part]:
    """What of these kinds lies in a model's folder and fits it, the one of each kind to take before the others.

    That is the smallest drafter, and towers in 16 bits rather than in 8 or 32.
    """
    return fitting(model, readable(candidates(model.path.parent, *kinds)))


def fitting(model: Part, parts: Iterable[Part]) -> list[Part]:
    """Those of the parts that fit a model, the one of each kind to take before the others."""
    return sorted((part for part in parts if part.fits(model)), key=_order)


def best(parts: Sequence[Part]) -> list[Part]:
    """Of each kind the first."""
    first: dict[Kind, Part] = {}
    for part in parts:
        first.setdefault(part.kind, part)
    return list(first.values())


def _order(part: Part) -> tuple[str, int, int, str]:
    is_tower = part.kind == "mmproj"
    place = _PREFERRED_TYPES.index(part.file_type) if part.file_type in _PREFERRED_TYPES else len(_PREFERRED_TYPES)
    return part.kind, place if is_tower else 0, part.nbytes, part.path.name


def _is_ours(file: "Gguf") -> bool:
    return any(str(_data(file, key) or "").startswith(_OURS) for key in _PROJECTORS)


def _data(file: "Gguf", key: str) -> object:
    return file.keys[key].data if key in file.keys else None
