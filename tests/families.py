"""Models with what belongs to them, under names that say nothing: two of different widths."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from g4convert.convert import Options, convert
from g4local import releases
from g4local.catalog import catalog
from g4local.core.progress import silent
from g4local.releases import Release
from tests import checkpoints, media_checkpoints

WIDE, NARROW = 256, 128


@dataclass(frozen=True, slots=True)
class Family:
    """GGUFs that were made for each other, in a folder of their own."""

    model: Path
    towers: Path
    drafter: Path


def _family(folder: Path, width: int) -> Family:
    target = media_checkpoints.make("unified", hidden_size=width)
    source = media_checkpoints.write(folder / "source", target)
    assistant = checkpoints.write(folder / "assistant", media_checkpoints.make_drafter(target))
    place = folder / "ggufs"
    place.mkdir()
    family = Family(place / "a.gguf", place / "b.gguf", place / "c.gguf")
    convert(source, family.model, "Q8_0", silent, Event(), Options(threads=1, mmproj=family.towers))
    convert(assistant, family.drafter, "Q8_0", silent, Event(), Options(threads=1))
    return family


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return _family(tmp_path_factory.mktemp("wide"), WIDE)


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return _family(tmp_path_factory.mktemp("narrow"), NARROW)


@pytest.fixture
def known_release(family: Family, monkeypatch: pytest.MonkeyPatch) -> Release:
    """A catalog in which the family's model is the first file of e2b."""
    content, size = family.model.read_bytes(), catalog()["e2b"]
    entry = replace(size.entries[0], nbytes=len(content), sha256=sha256(content).hexdigest()[:8])
    size = replace(size, entries=(entry,))
    monkeypatch.setattr(releases, "catalog", lambda: {"e2b": size})
    return Release(size, entry)
