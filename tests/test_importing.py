"""Importing: what comes, under which names, by which way; and that it is all or nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from g4local import hashing, importing, library, pins, receipts
from g4local.core.errors import BadGguf, Cancelled, G4Error, ModelNotFound, UsageError
from g4local.core.progress import Progress, silent
from g4local.importing import Imported, Way, Wish
from g4local.releases import Release
from g4local.settings import Paths, paths
from tests.convert import rewriting
from tests.families import Family
from tests.test_receipts import receipt


@pytest.fixture
def places(own_home: Path) -> Paths:
    return paths(os.environ)


@pytest.fixture
def mine(tmp_path: Path, family: Family) -> Path:
    """A folder of the user's with a model and what belongs to it."""
    return shutil.copytree(family.model.parent, tmp_path / "mine")


def bring(places: Paths, *files: Path, way: Way = "link", **wish: object) -> list[Imported]:
    return importing.bring(files, Wish(way, **wish), places, silent, Event())  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_model_is_linked_with_what_belongs_to_it_and_can_be_found(places: Paths, mine: Path) -> None:
    brought = bring(places, mine / "a.gguf")
    assert [(each.kind, each.way, each.path.name) for each in brought] == [
        ("model", "link", "a.gguf"),
        ("drafter", "link", "c.gguf"),
        ("mmproj", "link", "b.gguf"),
    ]
    assert [each.fits for each in brought] == [(), ("a",), ("a",)]
    assert all(each.path.readlink() == mine / each.path.name for each in brought)
    found = library.find("a", places)
    assert found.path == places.models / "a.gguf"
    assert library.drafter(found.path, print) == places.models / "c.gguf"
    assert {each.way for each in bring(places, mine / "a.gguf")} == {"here"}


@pytest.mark.parametrize("way", ["copy", "move"])
def test_copies_and_moves_are_files_of_their_own(places: Paths, mine: Path, way: Way) -> None:
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    bring(places, mine / "a.gguf", way=way)
    assert {path.name: path.read_bytes() for path in places.models.iterdir()} == before
    assert not any(path.is_symlink() for path in places.models.iterdir())
    assert names(mine) == ([] if way == "move" else sorted(before))


def test_a_move_to_another_disk_is_a_copy_whose_source_goes_when_it_is_whole(
    places: Paths, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_on_one_disk", lambda file, target: False)
    whole = (mine / "a.gguf").read_bytes()
    bring(places, mine / "a.gguf", way="move", sidecars=False)
    assert (places.models / "a.gguf").read_bytes() == whole
    assert names(mine) == ["b.gguf", "c.gguf"]


def test_a_link_leads_to_the_file_itself_and_is_not_moved(places: Paths, mine: Path, tmp_path: Path) -> None:
    link = tmp_path / "name.gguf"
    link.symlink_to(mine / "a.gguf")
    with pytest.raises(UsageError, match="is a link"):
        bring(places, link, way="move")
    (brought,) = bring(places, link)
    assert brought.path.readlink() == mine / "a.gguf"
    (copied,) = bring(places, link, way="copy", name="other")
    assert copied.path.name == "other.gguf" and not copied.path.is_symlink()


def test_a_name_can_be_given_and_sidecars_left_out(places: Paths, mine: Path) -> None:
    (brought,) = bring(places, mine / "a.gguf", name="big.model-Q8_0", sidecars=False)
    assert library.find("big.model-Q8_0", places).path == brought.path


@pytest.mark.parametrize("name", ["", "demo", "../x", "a/b", ".hidden", "-x", "a\nb", "x" * 300, "c:\\x"])
def test_a_name_that_can_be_none_is_refused(places: Paths, mine: Path, name: str) -> None:
    with pytest.raises(UsageError):
        bring(places, mine / "a.gguf", name=name)
    assert names(places.models) == []


def test_a_model_in_several_files_comes_whole(places: Paths, mine: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    first = rewriting.write(mine / "a.gguf", parts / "big-{:05}-of-00003.gguf", parts=3)
    bring(places, first, sidecars=False)
    assert names(places.models) == names(first.parent)
    (brought,) = bring(places, first, name="whole")
    assert brought.path.name == "whole-00001-of-00003.gguf"
    library.gguf_hash(brought.path, places, silent, Event())
    with pytest.raises(UsageError, match="belong together"):
        bring(places, first.with_name(first.name.replace("00001-of", "00002-of")))


def test_what_has_the_name_is_never_replaced(places: Paths, mine: Path, narrow: Family) -> None:
    bring(places, mine / "a.gguf")
    with pytest.raises(UsageError, match="is there already"):
        bring(places, narrow.model)
    brought = bring(places, narrow.model, name="narrow")
    assert [each.path.name for each in brought] == ["narrow.gguf", "a-c.gguf", "a-b.gguf"]
    assert [each.fits for each in brought[1:]] == [("narrow",)] * 2
    assert (places.models / "b.gguf").readlink() == mine / "b.gguf"


def test_towers_that_are_named_take_the_place_of_those_beside_the_model(
    places: Paths, mine: Path, tmp_path: Path
) -> None:
    other = shutil.copy(mine / "b.gguf", tmp_path / "chosen.gguf")
    brought = bring(places, mine / "a.gguf", other)
    assert sorted(each.path.name for each in brought) == ["a.gguf", "c.gguf", "chosen.gguf"]


def test_several_files_come_together_or_not_at_all(places: Paths, mine: Path, tmp_path: Path, narrow: Family) -> None:
    (tmp_path / "broken.gguf").write_bytes(narrow.model.read_bytes()[:5000])
    for bad, error in (
        (tmp_path / "broken.gguf", BadGguf),
        (tmp_path / "none.gguf", ModelNotFound),
        (tmp_path, UsageError),
        (narrow.model, UsageError),
    ):
        with pytest.raises(error):
            bring(places, mine / "a.gguf", bad)
        assert names(places.models) == []


def _cancelled_at(nbytes: int) -> tuple[Callable[[Progress], None], Event]:
    cancel = Event()

    def report(progress: Progress) -> None:
        if progress.stage == "copy" and progress.done >= nbytes:
            cancel.set()

    return report, cancel


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_copy_that_is_stopped_leaves_nothing(places: Paths, mine: Path, share: float) -> None:
    total = sum(path.stat().st_size for path in mine.iterdir())
    report, cancel = _cancelled_at(int(share * total))
    with pytest.raises(Cancelled):
        importing.bring([mine / "a.gguf"], Wish("copy"), places, report, cancel)
    assert names(places.models) == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_copied(
    places: Paths, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(G4Error, match="only 1 B free"):
        bring(places, mine / "a.gguf", way="copy")
    assert names(places.models) == []
    assert len(bring(places, mine / "a.gguf")) == 3


@pytest.mark.parametrize("way", ["link", "copy", "move"])
def test_a_receipt_comes_with_its_model(places: Paths, mine: Path, way: Way) -> None:
    receipts.keep(receipt(mine / "a.gguf"), mine / "a.gguf")
    (brought,) = bring(places, mine / "a.gguf", way=way, name="other", sidecars=False)
    found = receipts.kept(brought.path)
    assert found and found.content["model"]["bytes"] == brought.nbytes  # type: ignore[index,call-overload]
    assert receipts.place(brought.path).is_symlink() == (way == "link")
    assert ("a.receipt.json" in names(mine)) == (way != "move")


def test_a_receipt_of_another_file_stays_where_it_is(places: Paths, mine: Path) -> None:
    receipts.keep(receipt(mine / "a.gguf"), mine / "a.gguf")
    with (mine / "a.gguf").open("ab") as file:
        file.write(bytes(32))
    bring(places, mine / "a.gguf", way="copy", sidecars=False)
    assert names(places.models) == ["a.gguf"]


@pytest.mark.parametrize("way", ["copy", "move", "link"])
def test_a_release_is_known_as_such_once_its_hash_is(
    places: Paths, mine: Path, way: Way, known_release: Release
) -> None:
    memo = places.cache / hashing.MEMO
    if way == "move":
        hashing.digests([mine / "a.gguf"], memo, silent, Event())
    (brought,) = bring(places, mine / "a.gguf", way=way, name="mine", sidecars=False)
    if way == "link":
        assert (brought.release, brought.alike) == (None, known_release)
        assert pins.of(brought.path) is None
        hashing.digests([brought.path], memo, silent, Event())
        (brought,) = bring(places, mine / "a.gguf", name="mine", sidecars=False)
    assert (brought.release, brought.alike) == (known_release, None)
    pin = pins.of(brought.path)
    assert pin and (pin.called, pin.key) == ("e2b:qat-q4_0", f"{known_release.entry.repo}/{known_release.entry.file}")
    assert library.find("e2b", places).path == brought.path


def test_what_was_pulled_as_a_release_stays_what_is_meant(
    places: Paths, mine: Path, known_release: Release, tmp_path: Path
) -> None:
    bring(places, mine / "a.gguf", way="copy", sidecars=False)
    bring(places, Path(shutil.copy(mine / "a.gguf", tmp_path / "again.gguf")), way="copy", sidecars=False)
    assert library.find("e2b", places).name == "a"
    (places.models / "a.gguf").unlink()
    bring(places, tmp_path / "again.gguf", way="copy", sidecars=False, name="third")
    assert library.find("e2b", places).name == "third"


def test_what_came_is_taken_back_when_the_next_can_not_come(
    places: Paths, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name == "b.gguf":
            raise OSError(5, "Input/output error")
        return plain(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    before = names(mine)
    with pytest.raises(G4Error, match="Input/output error"):
        bring(places, mine / "a.gguf", way="move")
    assert (names(places.models), names(mine)) == ([], before)
