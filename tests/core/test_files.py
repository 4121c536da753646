"""Small files of our own: damaged ones are as good as none."""

import os
from pathlib import Path

import pytest

from g4local.core import files


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "9" * 5000, "\udcff", '{"a": "' + "x" * (1 << 24) + '"}'])
def test_a_damaged_file_holds_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert files.read_json(tmp_path / "x.json") is None


def test_nor_does_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("missing.json", "pipe.json", "."):
        assert files.read_json(tmp_path / name) is None


def test_what_was_written_is_read(tmp_path: Path) -> None:
    files.write_whole(tmp_path / "new" / "x.json", '{"a": [1, "ü"]}')
    assert files.read_json(tmp_path / "new" / "x.json") == {"a": [1, "ü"]}
