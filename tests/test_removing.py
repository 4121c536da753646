"""Removing: what goes with a model, what nothing uses, and what is never touched."""

import fcntl
import os
import shutil
from pathlib import Path
from threading import Event

import pytest

from g4local import importing, library, pins, removing
from g4local.backend.state import owners
from g4local.core.errors import G4Error, ModelNotFound, UsageError
from g4local.core.progress import silent
from g4local.importing import Way, Wish
from g4local.pins import Pin
from g4local.removing import Leaving
from g4local.settings import Paths, paths
from tests import checkpoints
from tests.convert import rewriting
from tests.families import Family


@pytest.fixture
def places(own_home: Path) -> Paths:
    found = paths(os.environ)
    found.models.mkdir()
    return found


def bring(places: Paths, family: Family, name: str | None = None, way: Way = "copy") -> None:
    importing.bring([family.model], Wish(way, name=name), places, silent, Event())


def unused(places: Paths) -> list[Leaving]:
    return removing.unused(places, silent, Event())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def gone(leaving: list[Leaving]) -> list[str]:
    """Remove it; the names."""
    assert all(removing.remove(each) for each in leaving)
    return sorted(each.path.name for each in leaving)


def test_a_model_goes_with_its_receipt_and_what_fits_it_alone(places: Paths, family: Family, narrow: Family) -> None:
    bring(places, family)
    bring(places, narrow, "narrow")
    (places.models / "a.receipt.json").write_text("{}")
    (places.models / "narrow.receipt.json").write_text("{}")
    assert gone(removing.models(["a"], places)) == ["a.gguf", "a.receipt.json", "b.gguf", "c.gguf"]
    assert names(places.models) == ["a-b.gguf", "a-c.gguf", "narrow.gguf", "narrow.receipt.json"]
    assert unused(places) == []


def test_what_another_model_needs_stays(places: Paths, family: Family) -> None:
    bring(places, family)
    shutil.copy(family.model, places.models / "tuned.gguf")
    assert gone(removing.models(["a"], places)) == ["a.gguf"]
    assert gone(removing.models(["tuned.gguf"], places)) == ["b.gguf", "c.gguf", "tuned.gguf"]


def test_two_models_that_go_together_need_nothing_any_more(places: Paths, family: Family) -> None:
    bring(places, family)
    shutil.copy(family.model, places.models / "tuned.gguf")
    assert gone(removing.models(["a", "tuned", "a"], places)) == ["a.gguf", "b.gguf", "c.gguf", "tuned.gguf"]


def test_beside_a_file_that_can_not_be_read_sidecars_stay(places: Paths, family: Family) -> None:
    bring(places, family)
    (places.models / "broken.gguf").write_bytes(family.model.read_bytes()[:4000])
    assert gone(removing.models(["a"], places)) == ["a.gguf"]
    assert unused(places) == []
    assert gone(removing.models(["broken"], places)) == ["broken.gguf"]
    assert gone(unused(places)) == ["b.gguf", "c.gguf"]


def test_a_link_goes_and_what_it_leads_to_stays(places: Paths, family: Family, tmp_path: Path) -> None:
    mine = shutil.copytree(family.model.parent, tmp_path / "mine")
    bring(places, Family(mine / "a.gguf", mine / "b.gguf", mine / "c.gguf"), way="link")
    leaving = removing.models(["a"], places)
    assert [each.nbytes for each in leaving] == [0, 0, 0]
    gone(leaving)
    assert (names(places.models), names(mine)) == ([], ["a.gguf", "b.gguf", "c.gguf"])


def test_a_link_that_leads_nowhere_is_told_and_can_be_removed(places: Paths, tmp_path: Path) -> None:
    link = places.models / "unplugged.gguf"
    link.symlink_to(tmp_path / "stick" / "x.gguf")
    assert library.away(places) == [link] and unused(places) == []
    assert gone(removing.models(["unplugged"], places)) == ["unplugged.gguf"]


def test_a_file_with_a_second_name_frees_nothing(places: Paths, family: Family, tmp_path: Path) -> None:
    shutil.copy(family.model, tmp_path / "first.gguf")
    (places.models / "second.gguf").hardlink_to(tmp_path / "first.gguf")
    (leaving,) = removing.models(["second"], places)
    assert leaving.nbytes == 0


def test_all_files_of_a_split_model_go_the_first_one_last(places: Paths, family: Family) -> None:
    rewriting.write(family.model, places.models / "big-{:05}-of-00003.gguf", parts=3)
    for name in ("big-00001-of-00003", "big-00002-of-00003.gguf"):
        found = [each.path.name for each in removing.models([name], places)]
        assert found == [f"big-{number:05}-of-00003.gguf" for number in (3, 2, 1)]


def test_what_lies_elsewhere_or_is_built_in_is_not_removed(
    places: Paths, family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = shutil.copy(family.model, tmp_path / "mine.gguf")
    (tmp_path / "folder").mkdir()
    for name in (str(mine), "mine.gguf", "folder", "demo", str(places.models / ".." / ".." / "mine.gguf")):
        with pytest.raises((UsageError, ModelNotFound)):
            removing.models([name], places)
    with pytest.raises(ModelNotFound):
        removing.models(["none"], places)
    bring(places, family)
    assert len(removing.models([str(places.models / "a.gguf")], places)) == 3


def test_a_name_in_the_models_folder_counts_before_one_in_this_folder(
    places: Paths, family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(family.drafter, tmp_path / "a.gguf")
    bring(places, family)
    assert removing.models(["a.gguf"], places)[0].path == places.models / "a.gguf"


def test_what_was_pulled_goes_by_the_name_of_its_size_and_stays_pinned(places: Paths, family: Family) -> None:
    bring(places, family)
    nbytes = family.model.stat().st_size
    pin = Pin("a.gguf", "google/repo", "file.gguf", "c0ffee", nbytes, "0" * 64, "e2b", "QAT-Q4_0")
    pins.remember(places.models, [pin])
    assert gone(removing.models(["e2b"], places)) == ["a.gguf", "b.gguf", "c.gguf"]
    assert list(pins.read(places.models).values()) == [pin], "another file at the next pull would be told"


def test_halves_go_unless_somebody_writes_them(places: Paths) -> None:
    dead = [
        places.models / f"x.gguf.{'0' * 16}.part",
        places.converted / "y.gguf.part",
        places.checkpoints / "c0ffeec0ffee" / "name" / f"model.safetensors.{'1' * 16}.part",
        places.cache / "tuning.json.99999999.part",
    ]
    alive = [
        places.models / f"w.gguf.{'3' * 16}.part",
        places.cache / f"tuning.json.{os.getpid()}.part",
    ]
    for path in (*dead, *alive):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    (places.checkpoints / "c0ffeec0ffee" / library.KEPT).touch()
    (places.models / "link.part").symlink_to(dead[0])
    with alive[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        leaving = unused(places)
        assert {each.kind for each in leaving} == {"part"} and {each.nbytes for each in leaving} == {5}
        gone(leaving)
        assert [path.exists() for path in (*dead, *alive)] == [False] * 4 + [True] * 2
        late = Leaving(alive[0], "part", 5, "")
        assert not removing.remove(late) and alive[0].exists()
    assert removing.remove(late) and not alive[0].exists()
    assert removing.remove(late), "it is gone already"


def test_receipts_of_models_that_are_gone_go(places: Paths, family: Family) -> None:
    bring(places, family)
    (places.models / "a.receipt.json").write_text("{}")
    (places.models / "old.receipt.json").write_text("{}")
    assert gone(unused(places)) == ["old.receipt.json"]


def test_snapshots_go_when_their_model_is_nowhere_any_more(places: Paths, family: Family, tmp_path: Path) -> None:
    elsewhere = Path(shutil.copy(family.drafter, tmp_path / "elsewhere.gguf"))
    here = Path(shutil.copy(family.model, tmp_path / "old name.gguf"))
    for name, model in (("one", elsewhere), ("two", here)):
        (places.snapshots / name).mkdir(parents=True)
        (places.snapshots / name / "whole.g4snap").write_bytes(b"12345")
        owners.note(places.snapshots / name, model)
    (places.snapshots / "unknown").mkdir()
    (places.snapshots / "broken").mkdir()
    (places.snapshots / "broken" / "model.json").write_text('{"path": 1}')
    here.rename(places.models / "new name.gguf")
    assert unused(places) == [], "the one lies where it lay, the other has another name"
    elsewhere.write_bytes(family.towers.read_bytes())
    (leaving,) = unused(places)
    assert (leaving.path.name, leaving.kind) == ("one", "snapshots") and leaving.nbytes > 5
    gone([leaving])
    assert names(places.snapshots) == ["broken", "two", "unknown"]


def test_conversions_go_when_their_checkpoint_has_gone_or_has_changed(places: Paths, tmp_path: Path) -> None:
    sources = {}
    for number, name in enumerate(("same", "changed", "gone", "unplugged")):
        folder = checkpoints.write(tmp_path / f"disk{number}" / name, checkpoints.make("dense", number))
        sources[name] = folder
        library.gguf(library.find(str(folder), places), "q8_0", places, silent, Event())
    (places.converted / "unknown-Q8_0-0123456789abcdef.gguf").write_bytes(b"GGUF")
    assert unused(places) == []
    (sources["changed"] / "chat_template.jinja").write_text("another")
    shutil.rmtree(sources["gone"])
    shutil.rmtree(sources["unplugged"].parent)
    leaving = unused(places)
    assert [(each.kind, each.path.name.split("-")[0]) for each in leaving] == [
        ("conversion", "changed"),
        ("conversion", "gone"),
    ]
    gone(leaving)
    assert unused(places) == []


def test_what_can_not_be_removed_is_one_sentence(
    places: Paths, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(places, family)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(G4Error, match="can't be removed: Permission denied"):
        removing.remove(removing.models(["a"], places)[0])


def test_before_there_is_anything_nothing_is_unused(own_home: Path) -> None:
    assert unused(paths(os.environ)) == []
