"""Names, folders and the conversion that is kept by content."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from g4convert import gguf, writer
from g4convert.plan import Plan
from g4convert.recipes import RECIPES
from g4local import inventory, library
from g4local.core.errors import BadGguf, Cancelled, ModelNotFound, UsageError
from g4local.core.progress import Progress, silent
from g4local.settings import Paths, paths
from tests import checkpoints
from tests.conftest import Tiny
from tests.convert import rewriting


@pytest.fixture
def places(tmp_path: Path) -> Paths:
    return paths({"G4LOCAL_HOME": str(tmp_path / "home")})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files that a conversion reads; their content need not be a model's to be hashed."""
    root = tmp_path / "checkpoint"
    root.mkdir()
    (root / "config.json").write_text("{}", encoding="utf-8")
    (root / "model.safetensors").write_bytes(bytes(3 << 20))
    return root


def key(folder: Path, places: Paths) -> str:
    return library.content_key(folder, places.cache / "hashes.json", silent, Event())


def test_the_demo_is_always_there(places: Paths) -> None:
    model = library.find("demo", places)
    assert (model.kind, model.name) == ("checkpoint", "demo")
    assert (model.path / "config.json").is_file()


def test_a_gguf_in_the_models_folder_is_found_by_its_name_with_or_without_suffix(places: Paths) -> None:
    places.models.mkdir(parents=True)
    file = places.models / "mine-Q4_0.gguf"
    file.touch()
    assert library.find("mine-Q4_0", places).path == file
    assert library.find("mine-Q4_0.gguf", places).path == file
    assert [model.name for model in library.listed(places)] == ["demo", "mine-Q4_0"]


def test_towers_and_drafters_in_the_models_folder_are_found_but_not_listed(places: Paths) -> None:
    places.models.mkdir(parents=True)
    for name, architecture in {"a": "gemma4", "b": "clip", "c": "gemma4-assistant"}.items():
        keys = {"general.architecture": gguf.string(architecture)}
        plan = Plan(RECIPES["Q8_0"], (), (), rounds=False)
        (places.models / f"{name}.gguf").write_bytes(writer.head(keys, plan))
    (places.models / "d.gguf").write_bytes(b"GGUF")
    assert [model.name for model in library.listed(places)] == ["demo", "a", "d"]
    assert library.find("b", places).path == places.models / "b.gguf"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("gemma-4-E2B-it-Q4_K_M.gguf", "mmproj-gemma-4-E2B-it-BF16.gguf"),
        ("gemma-4-E2B-it.gguf", "mmproj-gemma-4-E2B-it-BF16.gguf"),
        ("out-Q8_0.gguf", "mmproj-out-Q8_0-BF16.gguf"),
    ],
)
def test_towers_have_the_name_of_their_model_without_its_recipe(target: str, expected: str) -> None:
    assert library.beside(Path("folder", target), "Q4_K_M", "BF16") == Path("folder", expected)


def test_an_unknown_name_is_told_with_the_names_that_there_are(places: Paths) -> None:
    with pytest.raises(ModelNotFound) as caught:
        library.find("nothing", places)
    assert "nothing" in caught.value.message
    assert "demo" in caught.value.hint


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("demo.gguf", "demo"), ("two-Q8_0", "two-two-Q8_0"), ("two-Q8_0.gguf", "two-two-Q8_0"), ("gemma-4-e2b-it-Q4", "")],
)
def test_a_name_near_to_one_that_is_here_is_asked_about(places: Paths, asked: str, meant: str) -> None:
    places.models.mkdir(parents=True)
    for name in ("two-two-Q8_0.gguf", "other.gguf"):
        (places.models / name).touch()
    with pytest.raises(ModelNotFound) as caught:
        library.find(asked, places)
    assert caught.value.hint.startswith(f"Did you mean {meant}? " if meant else "Give a GGUF")


def test_a_link_whose_file_is_away_says_where_it_leads(places: Paths) -> None:
    places.models.mkdir(parents=True)
    (places.models / "unplugged.gguf").symlink_to("/nowhere/x.gguf")
    for name in ("unplugged", "unplugged.gguf"):
        with pytest.raises(ModelNotFound, match=r"a link to /nowhere/x\.gguf, which is not there now"):
            library.find(name, places)
    (found,) = [each for each in inventory.listed(places) if each.model.name != "demo"]
    assert (found.model.name, found.quant, found.nbytes) == ("unplugged", "not there now", 0)


def test_a_gguf_is_run_as_it_is(places: Paths, tmp_path: Path) -> None:
    file = tmp_path / "some.gguf"
    file.touch()
    model = library.find(str(file), places)
    assert library.gguf(model, None, places, silent, Event()) == file
    with pytest.raises(UsageError):
        library.gguf(model, "Q8_0", places, silent, Event())


def test_what_is_borrowed_is_deleted_by_the_last_one_and_what_was_there_is_kept(places: Paths, tmp_path: Path) -> None:
    model = library.Model("small", checkpoints.write(tmp_path / "small", checkpoints.make("dense")), "checkpoint")
    with library.borrowed(model, "BF16", places, silent, Event()) as path:
        with library.borrowed(model, "BF16", places, silent, Event()) as again:
            assert again == path
        assert gguf.read(path).tensors
    assert not path.exists()
    assert library.gguf(model, "BF16", places, silent, Event()) == path
    with library.borrowed(model, "BF16", places, silent, Event()):
        pass
    assert path.exists()


def test_the_same_content_has_the_same_key_under_another_name(folder: Path, places: Paths) -> None:
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    assert key(folder, places) == key(copy, places)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "config.json").write_text('{"a": 1}', encoding="utf-8"),
        lambda folder: (folder / "model.safetensors").write_bytes(bytes((3 << 20) - 1) + b"\1"),
        lambda folder: (folder / "chat_template.jinja").write_text("x", encoding="utf-8"),
        lambda folder: (folder / "model.safetensors").rename(folder / "other.safetensors"),
    ],
    ids=["config", "weights of the same size", "a new template", "a new name"],
)
def test_changed_content_has_another_key(folder: Path, places: Paths, change: Callable[[Path], object]) -> None:
    before = key(folder, places)
    change(folder)
    assert key(folder, places) != before


def test_a_file_is_hashed_once_as_long_as_it_stays_as_it_is(folder: Path, places: Paths) -> None:
    reports: list[Progress] = []
    memo = places.cache / "hashes.json"
    first = library.content_key(folder, memo, reports.append, Event())
    assert reports and reports[-1].done == reports[-1].total
    reports.clear()
    assert library.content_key(folder, memo, reports.append, Event()) == first
    assert not reports


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"x": 1}', json.dumps({"x": [1, 2]})])
def test_a_broken_memo_is_made_anew(folder: Path, places: Paths, content: str) -> None:
    first = key(folder, places)
    (places.cache / "hashes.json").write_text(content, encoding="utf-8")
    assert key(folder, places) == first


def test_hashing_can_be_cancelled(folder: Path, places: Paths) -> None:
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        library.content_key(folder, places.cache / "hashes.json", silent, cancel)


def test_a_gguf_has_the_hash_of_its_file_and_one_of_several_files_changes_with_each(
    tiny: Tiny, places: Paths, tmp_path: Path
) -> None:
    def digest(path: Path) -> str:
        return library.gguf_hash(path, places, silent, Event())

    whole = tiny("dense")
    assert digest(whole) == sha256(whole.read_bytes()).hexdigest()
    first = rewriting.write(whole, tmp_path / "model-{:05}-of-00002.gguf", parts=2)
    before = digest(first)
    second = tmp_path / "model-00002-of-00002.gguf"
    second.write_bytes(second.read_bytes()[:-1] + b"\1")
    assert digest(first) != before
    (tmp_path / "none").write_bytes(b"GGUF")
    with pytest.raises(BadGguf):
        digest(tmp_path / "none")
