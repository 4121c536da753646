import os
import socket
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g4local.core.messages import Json
from g4local.tools import files
from g4local.tools import jail as jail_module
from g4local.tools.tool import ToolError

SECRET = "what lies outside"


@pytest.fixture
def jail(tmp_path: Path) -> Path:
    """A working folder with a file and a folder in it, and secrets beside it."""
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "jail-break").mkdir()
    (tmp_path / "jail-break" / "secret.txt").write_text(SECRET)
    root = tmp_path / "jail"
    (root / "folder" / "inner").mkdir(parents=True)
    (root / "notes.txt").write_text("Tea at four.\n")
    (root / "folder" / "deep.txt").write_text("deep")
    return root


def use(root: Path, name: str, **arguments: Json) -> str:
    tool = next(each for each in files.tools(root) if each.name == name)
    return str(tool.run(arguments, Event()))


def listed(root: Path, folder: str | None = None) -> str:
    return str(use(root, "list_files", folder=folder))


def read(root: Path, path: str) -> str:
    return str(use(root, "read_file", path=path))


def complaint(root: Path, path: str) -> str:
    with pytest.raises(ToolError) as caught:
        read(root, path)
    return caught.value.message


def test_a_listing_is_sorted_with_a_slash_behind_folders(jail: Path) -> None:
    (jail / ".hidden").touch()
    assert listed(jail) == ".hidden\nfolder/\nnotes.txt"
    assert listed(jail, "folder") == listed(jail, "./folder/") == "deep.txt\ninner/"
    assert listed(jail, "folder/inner") == "[the folder is empty]"


def test_a_text_file_is_read_as_it_is(jail: Path) -> None:
    (jail / "bom.txt").write_bytes(b"\xef\xbb\xbf\xc3\xa9\r\n")
    assert read(jail, "notes.txt") == "Tea at four.\n"
    assert read(jail, "folder/../folder/deep.txt") == "deep"
    assert read(jail, "bom.txt") == "é\r\n"


@pytest.mark.parametrize("path", ["..", "../secret.txt", "folder/../../secret.txt", "../jail-break/secret.txt"])
def test_nothing_above_the_root_is_reached(jail: Path, path: str) -> None:
    assert "outside the working folder" in complaint(jail, path)
    with pytest.raises(ToolError, match="outside the working folder"):
        listed(jail, path)


def test_it_is_not_told_whether_something_outside_exists(jail: Path) -> None:
    there, missing = complaint(jail, "../secret.txt"), complaint(jail, "../nowhere.txt")
    assert there.replace("secret", "nowhere") == missing


def test_absolute_paths_are_refused(jail: Path) -> None:
    assert "root of the disk" in complaint(jail, "/etc/passwd")
    assert "root of the disk" in complaint(jail, str(jail / "notes.txt"))


def test_links_work_inside_and_not_to_the_outside(jail: Path) -> None:
    (jail / "inside").symlink_to("folder")
    (jail / "absolute-inside.txt").symlink_to(jail / "notes.txt")
    (jail / "out.txt").symlink_to("../secret.txt")
    (jail / "out").symlink_to(jail.parent)
    (jail / "chain").symlink_to("out")
    (jail / "loop").symlink_to("loop")
    (jail / "dangling").symlink_to("nowhere")
    assert read(jail, "inside/deep.txt") == "deep"
    assert read(jail, "absolute-inside.txt") == "Tea at four.\n"
    for path in ("out.txt", "out/secret.txt", "chain/secret.txt"):
        assert "outside" in complaint(jail, path)
    assert "nowhere" in complaint(jail, "nowhere/x") and "There is no" in complaint(jail, "dangling")
    assert complaint(jail, "loop")


def test_the_root_itself_may_be_reached_by_a_link(jail: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(jail)
    assert read(tmp_path / "shortcut", "notes.txt") == "Tea at four.\n"
    assert "outside" in complaint(tmp_path / "shortcut", "../secret.txt")


@pytest.mark.parametrize("swapped", ["folder", "folder/deep.txt"])
def test_a_link_that_is_swapped_in_after_the_check_is_not_followed(
    jail: Path, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (jail.parent / "deep.txt").write_text(SECRET)
    check = jail_module._inside

    def check_then_swap(root: Path, path: str) -> tuple[str, ...]:
        parts = check(root, path)
        (jail / swapped).rename(jail.parent / "moved")
        (jail / swapped).symlink_to(jail.parent if swapped == "folder" else jail.parent / "deep.txt")
        return parts

    monkeypatch.setattr(jail_module, "_inside", check_then_swap)
    assert complaint(jail, "folder/deep.txt")


@pytest.mark.parametrize(("path", "seen_as"), [("innocent.txt", "notes.txt"), ("innocent/secret.txt", "folder")])
def test_the_open_itself_refuses_a_link_that_the_look_before_did_not_see(
    jail: Path, path: str, seen_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (jail / "innocent.txt").symlink_to("../secret.txt")
    (jail / "innocent").symlink_to("..")
    real_stat = os.stat
    monkeypatch.setattr(jail_module, "_inside", lambda root, path: tuple(path.split("/")))
    monkeypatch.setattr(os, "stat", lambda name, **keywords: real_stat(jail / seen_as))
    assert any(word in complaint(jail, path) for word in ("can't be used", "is not a folder"))


def test_pipes_sockets_and_folders_are_not_read(jail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(jail / "pipe")
    monkeypatch.chdir(jail)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert "neither a file nor a folder" in complaint(jail, "pipe")
        assert "neither a file nor a folder" in complaint(jail, "socket")
    assert "is a folder" in complaint(jail, "folder") and "is a folder" in complaint(jail, ".")


def test_a_device_is_not_opened() -> None:
    with pytest.raises(ToolError, match="neither a file nor a folder"):
        read(Path("/dev"), "null")


def test_what_is_no_text_or_not_there_is_told(jail: Path) -> None:
    (jail / "binary").write_bytes(b"abc\0def")
    (jail / "latin").write_bytes(b"caf\xe9")
    assert "binary" in complaint(jail, "binary")
    assert "not a text file" in complaint(jail, "latin")
    assert "There is no 'missing.txt'" in complaint(jail, "missing.txt")
    assert "is not a folder" in complaint(jail, "notes.txt/x")
    with pytest.raises(ToolError, match="is not a folder"):
        listed(jail, "notes.txt")
    with pytest.raises(ToolError, match="There is no"):
        listed(jail / "gone")


def test_a_large_file_is_cut_with_a_word_about_it(jail: Path) -> None:
    (jail / "large.txt").write_text("a" * (files.MOST_BYTES - 1) + "é" * 100, encoding="utf-8")
    text = read(jail, "large.txt")
    assert text == "a" * (files.MOST_BYTES - 1) + "\n[cut: the first 16,384 of 16,583 bytes]"
    (jail / "fits.txt").write_text("b" * files.MOST_BYTES)
    assert read(jail, "fits.txt") == "b" * files.MOST_BYTES


def test_a_large_folder_is_cut_with_a_word_about_it(jail: Path) -> None:
    for number in range(files.MOST_NAMES + 5):
        (jail / "folder" / "inner" / f"{number:04}").touch()
    lines = listed(jail, "folder/inner").splitlines()
    assert lines[:2] == ["0000", "0001"] and lines[-1] == "[the first 200 of 205 names]" and len(lines) == 201


def test_a_strange_name_can_not_pretend_to_be_two(jail: Path) -> None:
    (jail / "folder" / "inner" / "one\ntwo\x1b[2J").touch()
    assert listed(jail, "folder/inner") == "one?two?[2J"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "folder", "out", "inner", "secret.txt", "", "~", "\0", "ü"]), max_size=6))
def test_no_path_leads_to_a_secret(jail: Path, parts: list[str]) -> None:
    if not (jail / "out").is_symlink():
        (jail / "out").symlink_to("..")
    for act in (read, listed):
        try:
            assert "secret" not in act(jail, "/".join(parts)).replace(SECRET, "secret")
        except ToolError as error:
            assert error.message.endswith(".")
