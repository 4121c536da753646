"""A GGUF tells what it was made of, and nothing about the machine that made it."""

from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from g4convert import convert, gguf, provenance
from g4convert.checkpoint import INDEX
from g4local import __version__
from g4local.core.progress import silent
from tests import checkpoints


def told(path: Path) -> dict[str, object]:
    """What a GGUF says of its making."""
    keys = gguf.read(path).keys
    names = [name for name in keys if name.startswith(provenance.PREFIX)]
    assert names == list(keys)[len(keys) - len(names) :], "the keys stand last"
    return {name.removeprefix(provenance.PREFIX): keys[name].data for name in names}


def made(folder: Path, recipe: str, *, reproducible: bool = False) -> Path:
    target = folder.parent / f"{recipe}.gguf"
    convert.convert(folder, target, recipe, silent, Event(), convert.Options(reproducible=reproducible))
    return target


@pytest.mark.parametrize("recipe", ["BF16", "Q4_0"])
def test_without_an_index_the_hash_is_that_of_the_header(recipe: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "my model", checkpoints.make("dense"))
    raw = (folder / "model.safetensors").read_bytes()
    head = raw[: 8 + int.from_bytes(raw[:8], "little")]
    path = made(folder, recipe)
    assert told(path) == {
        "version": __version__,
        "recipe": recipe,
        "source.name": "my model",
        "source.header_sha256": sha256(head).hexdigest(),
    }
    assert str(tmp_path).encode() not in path.read_bytes()


def test_shards_without_an_index_are_hashed_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"), shards=3)
    (folder / INDEX).unlink()
    digest = sha256()
    for path in sorted(folder.glob("*.safetensors")):
        raw = path.read_bytes()
        digest.update(raw[: 8 + int.from_bytes(raw[:8], "little")])
    assert told(made(folder, "Q8_0"))["source.header_sha256"] == digest.hexdigest()


def test_a_repository_of_the_cache_is_named_and_its_index_hashed(tmp_path: Path) -> None:
    folder = tmp_path / "models--google--gemma-4-E2B-it" / "snapshots" / "0123abc"
    checkpoints.write(folder, checkpoints.make("dense"), shards=2)
    assert told(made(folder, "Q8_0")) == {
        "version": __version__,
        "recipe": "Q8_0",
        "source.name": "google/gemma-4-E2B-it",
        "source.index_sha256": sha256((folder / INDEX).read_bytes()).hexdigest(),
    }


def test_a_reproducible_file_is_the_same_from_everywhere(tmp_path: Path) -> None:
    one, other = (tmp_path / name / "model" for name in ("one", "other"))
    checkpoints.write(one, checkpoints.make("dense"))
    checkpoints.write(other, checkpoints.make("dense"), shards=2)
    paths = [made(folder, "Q8_0", reproducible=True) for folder in (one, other)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert told(paths[0]) == {}
    assert made(one, "Q8_0").read_bytes() != paths[1].read_bytes()
