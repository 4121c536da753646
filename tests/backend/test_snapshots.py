"""Snapshots as files: what is read is what was written, or nothing; what they take, and which ones leave first."""

import ctypes
import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.backend.state import shelf as shelves
from g4local.backend.state import snapshots
from g4local.backend.state.shelf import Find, Loaded, Shelf
from g4local.backend.state.snapshots import SUFFIX, Damaged, Head, State
from g4local.core.progress import silent

KEY, OTHER_KEY = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"other").hexdigest()
MOST = 1 << 40


def state(fill: int, nbytes: int = 1000) -> State:
    return (ctypes.c_uint8 * nbytes)(*[fill % 251] * nbytes)


def head(tokens: list[int], kind: Any = "whole", nbytes: int = 1000, logits: int = 0, mark: int = 0) -> Head:
    return Head(KEY, kind, snapshots.packed(tokens), nbytes, logits, mark)


def put(shelf: Shelf, tokens: list[int], kind: Any = "whole", logits: bytes = b"", mark: int = 0) -> Path:
    what = head(tokens, kind, logits=len(logits), mark=mark)
    shelf.put(what, state(len(tokens)), logits)
    return shelf._folder / what.name


def loaded(shelf: Shelf, prompt: list[int], context: int = 4096) -> tuple[Find, Loaded]:
    found = shelf.find(prompt, context, MOST)
    assert found is not None
    read = shelf.load(found, silent)
    assert read is not None
    return found, read


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "snapshots", KEY, 1 << 30)


@given(tokens=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20))
def test_tokens_come_back_as_they_were(tokens: list[int]) -> None:
    assert snapshots.unpacked(snapshots.packed(tokens)) == tokens


@given(left=st.lists(st.integers(0, 1)), right=st.lists(st.integers(0, 1)))
def test_what_two_texts_begin_with_is_found(left: list[int], right: list[int]) -> None:
    shared = shelves.common(snapshots.packed(left), snapshots.packed(right))
    assert left[:shared] == right[:shared]
    assert left[shared : shared + 1] != right[shared : shared + 1] or not left[shared:] or not right[shared:]


def test_a_snapshot_is_read_as_it_was_written(tmp_path: Path) -> None:
    what, told = head([1, 2, 3], nbytes=3 << 20, logits=8), []
    path = snapshots.write(tmp_path / "new", what, state(7, 3 << 20), b"12345678")
    read, logits = snapshots.read(path, snapshots.head(path, KEY), told.append)
    assert bytes(read) == bytes(state(7, 3 << 20)) and logits == b"12345678"
    assert sum(told) == (3 << 20) + 8 and path.name == what.name
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_nothing_is_read_of_a_file_that_is_not_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    what = head([5] * 9, logits=40)
    path = snapshots.write(folder, what, state(1), bytes(40))
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(
        data.draw(
            st.sampled_from(
                [
                    content[:place],
                    content + b"\0",
                    content[:place]
                    + bytes([content[place] ^ (1 << data.draw(st.integers(0, 7)))])
                    + content[place + 1 :],
                    content[:place] + bytes(len(content) - place) + b"x",
                ]
            )
        )
    )
    with pytest.raises(Damaged):
        snapshots.read(path, snapshots.head(path, KEY), lambda _: None)
    shutil.rmtree(folder)


@pytest.mark.parametrize("header", [b"{}", b"[]", b"[" * 3000, b"\xff", b'{"key":1,"kind":2,"tokens":[],"state":{}}'])
def test_a_header_that_is_none_is_damage(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / f"x{SUFFIX}"
    path.write_bytes(snapshots.MAGIC + len(header).to_bytes(4, "little") + header + bytes(100))
    with pytest.raises(Damaged):
        snapshots.head(path, KEY)


def test_the_snapshot_that_reaches_furthest_into_a_prompt_is_found(shelf: Shelf) -> None:
    put(shelf, [1] * 10)
    put(shelf, [1] * 20)
    put(shelf, [1] * 30 + [2])
    found, read = loaded(shelf, [1] * 25)
    assert (found.length, read.tokens, read.sliding) == (20, [1] * 20, None)
    assert shelf.find([2] * 9, 4096, MOST) is None
    assert loaded(shelf, [1] * 20)[0].length == 19, "a token is left to be decoded"
    assert loaded(shelf, [1] * 30 + [2, 2])[0].length == 31
    assert loaded(shelf, [1] * 30 + [3, 3])[0].length == 30, "one token may be taken back"


def test_a_checkpoint_leads_back_into_a_longer_one(shelf: Shelf) -> None:
    put(shelf, [1] * 10, "sliding", b"odds")
    assert shelf.find([1] * 15, 4096, MOST) is None
    put(shelf, [1] * 10 + [2] * 30)
    found, read = loaded(shelf, [1] * 15)
    assert found.length == 10 and read.sliding is not None and bytes(read.sliding) == bytes(state(10))
    assert bytes(read.state) == bytes(state(40)) and read.logits == b"odds"
    assert loaded(shelf, [1] * 10)[0].length == 10, "what is said there is known"


def test_what_a_context_has_no_room_for_is_not_found(shelf: Shelf) -> None:
    put(shelf, [1] * 20)
    assert shelf.find([1] * 30, 19, MOST) is None
    assert shelf.find([1] * 30, 20, 999) is None
    assert shelf.find([1] * 30, 20, 1000) is not None


def test_a_damaged_one_is_told_and_removed_and_another_one_taken(shelf: Shelf) -> None:
    good, bad = put(shelf, [1] * 10), put(shelf, [1] * 20)
    content = bytearray(bad.read_bytes())
    content[-40] ^= 1
    bad.write_bytes(content)
    found = shelf.find([1] * 30, 4096, MOST)
    assert found is not None and shelf.load(found, silent) is None
    assert not bad.exists() and good.exists()
    assert [bad.name in complaint for complaint in shelf.complaints] == [True]
    assert loaded(shelf, [1] * 30)[0].length == 10


def test_the_snapshot_of_another_model_under_a_right_name_is_not_taken(shelf: Shelf) -> None:
    path = put(shelf, [1] * 20)
    other = Head(OTHER_KEY, "whole", snapshots.packed([1] * 20), 1000)
    snapshots.write(path.parent, other, state(3), b"")
    assert shelf.find([1] * 30, 4096, MOST) is None
    assert "of another model" in shelf.complaints[0] and not path.exists()


def test_one_that_went_on_otherwise_is_replaced_once_its_beginning_can_be_come_back_to(shelf: Shelf) -> None:
    first = put(shelf, [1] * 10 + [2] * 5, mark=10)
    second = put(shelf, [1] * 10 + [3] * 5, mark=10)
    assert first.exists() and second.exists()
    checkpoint = put(shelf, [1] * 10, "sliding")
    third = put(shelf, [1] * 10 + [4] * 5, mark=10)
    other = put(shelf, [9] * 10, mark=5)
    assert sorted(path for path in shelf._folder.iterdir()) == sorted([checkpoint, third, other])


def test_the_least_recently_used_ones_leave_first(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, KEY, 3 * 1500)
    paths = [put(shelf, [number] * 10) for number in range(3)]
    for age, path in enumerate(paths):
        os.utime(path, (1000 + age, 1000 + age))
    loaded(shelf, [0] * 20)
    paths.append(put(shelf, [3] * 10))
    assert [path.exists() for path in paths] == [True, False, True, True]


def test_a_smaller_budget_holds_for_what_lies_there(shelf: Shelf, tmp_path: Path) -> None:
    paths = [put(shelf, [number] * 20) for number in range(5)]
    for age, path in enumerate(paths):
        os.utime(path, (age, age))
    smaller = Shelf(shelf._root, shelf.key, sum(path.stat().st_size for path in paths[3:]))
    smaller.tidy()
    assert [path.exists() for path in paths] == [False, False, False, True, True]


def test_there_are_never_so_many_that_looking_takes_long(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "MOST_FILES", 3)
    paths = []
    for number in range(5):
        paths.append(put(shelf, [number] * 10))
        os.utime(paths[-1], (number, number))
    assert [path.exists() for path in paths] == [False, False, True, True, True]


def test_one_that_exceeds_the_budget_is_left_out(tmp_path: Path) -> None:
    assert not put(Shelf(tmp_path, KEY, 900), [1] * 10).exists()


def test_the_disk_is_not_filled(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 4 * 1200))
    assert not put(shelf, [1] * 10).exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 4 * 1500))
    assert put(shelf, [1] * 10).exists()


def test_a_folder_that_cannot_be_made_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    shelf = Shelf(tmp_path / "file", KEY, 1 << 30)
    put(shelf, [1] * 10)
    shelf.tidy()
    assert shelf.find([1] * 20, 4096, MOST) is None and not shelf.complaints


def test_half_files_are_removed_unless_somebody_writes_them(shelf: Shelf) -> None:
    folder = put(shelf, [1] * 10).parent
    gone, busy = folder / "a.1-1.part", folder / "b.2-2.part"
    gone.write_bytes(b"half")
    with busy.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        shelf.tidy()
        assert not gone.exists() and busy.exists()
    shelf.tidy()
    assert not busy.exists()


def test_a_good_one_stays_when_its_successor_cannot_be_written(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    put(shelf, [1] * 10, "sliding")
    good = put(shelf, [1] * 10 + [2] * 5, mark=10)
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "_put", lambda file, data: os.close(-1))
        assert not put(shelf, [1] * 10 + [3] * 5, mark=10).exists() and good.exists()
    without_budget = Shelf(shelf._root, KEY, 0)
    assert not put(without_budget, [1] * 10 + [4] * 5, mark=10).exists() and good.exists()
    assert put(shelf, [1] * 10 + [3] * 5, mark=10).exists() and not good.exists()


def test_what_cannot_be_removed_stops_nothing_and_is_told_as_it_is(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shelf, [1] * 10, "sliding")
    put(shelf, [1] * 10 + [2] * 5, mark=10)
    bad = put(shelf, [9] * 10)
    bad.write_bytes(bad.read_bytes()[:-1])

    def refused(path: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        put(shelf, [1] * 10 + [3] * 5, mark=10)
        assert shelf.find([9] * 20, 4096, MOST) is None
    assert "can't be removed either (Read-only file system)." in shelf.complaints[0]
    assert shelf.find([9] * 20, 4096, MOST) is None
    assert shelf.complaints[-1].endswith("is removed.") and not bad.exists()


def test_a_pipe_is_no_snapshot_and_keeps_nobody_waiting(shelf: Shelf) -> None:
    good = put(shelf, [1] * 10)
    for name in (f"x{SUFFIX}", "x.part"):
        os.mkfifo(good.with_name(name))
    shelf.tidy()
    assert loaded(shelf, [1] * 20)[0].length == 10
    assert "it is no file" in shelf.complaints[0] and not good.with_name(f"x{SUFFIX}").exists()


def test_a_folder_that_is_called_like_a_snapshot_is_passed_over(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, KEY, 1500)
    folder = put(shelf, [1] * 10).with_name(f"x{SUFFIX}")
    folder.mkdir()
    os.utime(folder, (0, 0))
    assert put(shelf, [2] * 10).exists() and folder.is_dir()
