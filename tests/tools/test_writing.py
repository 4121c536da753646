"""Writing and changing files: exactly what was asked for, whole or not at all."""

import os
import stat
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g4local.core.messages import Json
from g4local.tools import files, jail
from g4local.tools.tool import ToolError

OWNED_BY_ALL = os.geteuid() == 0


def use(root: Path, name: str, **arguments: Json) -> str:
    tool = next(each for each in files.tools(root) if each.name == name)
    return str(tool.run(arguments, Event()))


def complaint(root: Path, name: str, **arguments: Json) -> str:
    with pytest.raises(ToolError) as caught:
        use(root, name, **arguments)
    return caught.value.message


def test_a_file_is_written_with_the_folders_that_it_needs(tmp_path: Path) -> None:
    assert use(tmp_path, "write_file", path="a/b/c.txt", text="Tee für zwei\r\n") == "a/b/c.txt: 15 bytes written"
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "Tee für zwei\r\n".encode()
    use(tmp_path, "write_file", path="a/b/c.txt", text="")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == b""


def test_a_file_keeps_its_rights_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("echo one\n")
    script.chmod(0o750)
    use(tmp_path, "edit_file", path="script.sh", old="one", new="two")
    assert (stat.S_IMODE(script.stat().st_mode), script.read_text()) == (0o750, "echo two\n")
    assert [path.name for path in tmp_path.iterdir()] == ["script.sh"]


def test_a_link_inside_stays_a_link_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    use(tmp_path, "write_file", path="link.txt", text="new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_what_can_not_be_written_is_told_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("stays")
    os.mkfifo(tmp_path / "pipe")
    assert "is a folder" in complaint(tmp_path, "write_file", path="folder", text="x")
    assert "is a folder" in complaint(tmp_path, "write_file", path=".", text="x")
    assert "is not a folder" in complaint(tmp_path, "write_file", path="file/x", text="x")
    assert "neither a file nor a folder" in complaint(tmp_path, "write_file", path="pipe", text="x")
    assert "half a character" in complaint(tmp_path, "write_file", path="file", text="\ud83d")
    assert "can't be used" in complaint(tmp_path, "write_file", path="n" * 300, text="x")
    assert (tmp_path / "file").read_text() == "stays"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "pipe"]


@pytest.mark.skipif(OWNED_BY_ALL, reason="root may write everything")
def test_a_file_that_is_read_only_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("stays")
    (tmp_path / "file").chmod(0o444)
    assert "can't be used" in complaint(tmp_path, "write_file", path="file", text="x")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("stays")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in complaint(tmp_path, "write_file", path="file", text="x")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "stays"}


def test_an_edit_replaces_what_is_there_exactly_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\ntwo\r\naaa\n")
    assert use(tmp_path, "edit_file", path="file", old="one\r\n", new="1\n") == "file: line 1 changed"
    assert path.read_bytes() == b"\xef\xbb\xbf1\ntwo\r\ntwo\r\naaa\n"
    assert use(tmp_path, "edit_file", path="file", old="two\r\naaa", new="b") == "file: line 3 changed"
    assert path.read_bytes() == b"\xef\xbb\xbf1\ntwo\r\nb\n"


@pytest.mark.parametrize(
    ("old", "word"), [("two", "more than once"), ("aa", "more than once"), ("three", "exactly"), ("", "no text")]
)
def test_an_edit_that_is_not_clear_changes_nothing(tmp_path: Path, old: str, word: str) -> None:
    (tmp_path / "file").write_text("one two two aaa")
    assert word in complaint(tmp_path, "edit_file", path="file", old=old, new="x")
    assert (tmp_path / "file").read_text() == "one two two aaa"


def test_an_edit_of_what_is_no_text_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "latin").write_bytes(b"caf\xe9 a")
    assert "binary" in complaint(tmp_path, "edit_file", path="binary", old="a", new="x")
    assert "UTF-8" in complaint(tmp_path, "edit_file", path="latin", old="a", new="x")
    assert "There is no" in complaint(tmp_path, "edit_file", path="missing", old="a", new="x")
    monkeypatch.setattr(files, "MOST_EDITED", 4)
    (tmp_path / "large").write_text("12345")
    assert "too large" in complaint(tmp_path, "edit_file", path="large", old="1", new="x")


def test_a_change_by_somebody_else_in_between_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("one two")
    replace = jail.replace

    def changed_before(folder: int, name: str, data: bytes, expected: os.stat_result | None = None) -> None:
        (tmp_path / "file").write_text("somebody else's")
        replace(folder, name, data, expected)

    monkeypatch.setattr(jail, "replace", changed_before)
    assert "somebody else" in complaint(tmp_path, "edit_file", path="file", old="one", new="1")
    assert (tmp_path / "file").read_text() == "somebody else's"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.data())
def test_an_edit_is_one_replacement(tmp_path: Path, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    old, new = text[start : data.draw(st.integers(start, len(text)))], data.draw(st.just("") | st.just("new\n"))
    (tmp_path / "file").write_bytes(text.encode())
    is_unique = bool(old) and text.find(old) == text.rfind(old)
    try:
        use(tmp_path, "edit_file", path="file", old=old, new=new)
        assert is_unique
        assert (tmp_path / "file").read_bytes() == text.replace(old, new).encode()
    except ToolError:
        assert not is_unique
        assert (tmp_path / "file").read_bytes() == text.encode()
