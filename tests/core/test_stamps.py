"""What is remembered of files: only as long as they are the same."""

import os
from pathlib import Path

import pytest

from g4local.core import stamps


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    return path


def test_what_was_found_is_known_by_every_name_of_the_file(file: Path, tmp_path: Path) -> None:
    memo = tmp_path / "cache" / "memo.json"
    assert stamps.known([file], memo) == {}
    stamps.remember({file: "five"}, memo)
    link = tmp_path / "link"
    link.symlink_to(file)
    assert stamps.known([file, link, tmp_path], memo) == {file: "five", link: "five"}
    assert stamps.folders(memo) == {tmp_path}


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_has_changed_is_unknown(file: Path, tmp_path: Path, change: str) -> None:
    memo = tmp_path / "memo.json"
    stamps.remember({file: "five"}, memo)
    if change == "size":
        about = file.stat()
        file.write_bytes(b"123456")
        os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    else:
        os.utime(file, ns=(0, 1))
    assert stamps.known([file], memo) == {}


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 1}', b'{"a": [1, 2]}', b"\xff"])
def test_a_broken_memo_is_begun_anew(file: Path, tmp_path: Path, content: bytes) -> None:
    memo = tmp_path / "memo.json"
    memo.write_bytes(content)
    assert stamps.known([file], memo) == {} and stamps.folders(memo) == set()
    stamps.remember({file: "five"}, memo)
    assert stamps.known([file], memo) == {file: "five"}
