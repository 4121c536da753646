"""A GGUF tells what it was made of, and nothing about the machine that made it."""

from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from g4convert import choice, convert, gguf, imatrix, provenance
from g4convert.checkpoint import INDEX
from g4local import __version__
from g4local.core.progress import silent
from tests import checkpoints
from tests.convert import family, importances
from tests.convert.test_lattice import trained


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


def test_what_was_chosen_beside_the_recipe_is_told_without_paths(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("ple"))
    entries = family.importance(convert.plan(folder, "Q8_0"))
    importance = imatrix.read(str(importances.write(tmp_path / "some.imatrix", entries, ["/home/me/texts.txt"])))
    given = choice.guidance(["attn_v=q5_k"], "q6_k", "q4_0", importance)
    target = tmp_path / "guided.gguf"
    convert.convert(folder, target, "Q4_K_M", silent, Event(), convert.Options(guidance=given))
    assert told(target)["types"] == ["--ple-type q4_0", "attn_v=q5_k", "--embedding-type Q6_K"]
    keys = gguf.read(target).keys
    assert (keys["quantize.imatrix.file"].data, keys["quantize.imatrix.dataset"].data) == ("some.imatrix", "texts.txt")
    content = target.read_bytes()
    assert str(tmp_path).encode() not in content
    assert b"/home/me" not in content


def test_what_was_trained_for_q4_0_and_kept_is_told(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", trained("dense"))
    assert told(made(folder, "Q4_0"))["qat"] is True
    assert "qat" not in told(made(folder, "Q8_0"))


def test_a_reproducible_file_is_the_same_from_everywhere(tmp_path: Path) -> None:
    one, other = (tmp_path / name / "model" for name in ("one", "other"))
    checkpoints.write(one, checkpoints.make("dense"))
    checkpoints.write(other, checkpoints.make("dense"), shards=2)
    paths = [made(folder, "Q8_0", reproducible=True) for folder in (one, other)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert told(paths[0]) == {}
    assert made(one, "Q8_0").read_bytes() != paths[1].read_bytes()
