"""Small files of our own: damaged ones are as good as none."""

import os
import shutil
from pathlib import Path

import pytest

from g4local.core import files
from g4local.core.errors import G4Error


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


def test_room_is_looked_for_where_a_folder_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: asked.append(folder) or usage)
    files.expect_room(tmp_path / "new" / "folder", 1_000_000, "are to be written", "Make room.")
    with pytest.raises(G4Error, match=r"^1\.1 MB are to be written, but .* has only 1\.0 MB free\.$") as caught:
        files.expect_room(tmp_path / "new" / "folder", 1_100_000, "are to be written", "Make room.")
    assert caught.value.hint == "Make room." and set(asked) == {tmp_path}


def test_what_is_opened_plainly_is_what_has_the_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with open(tmp_path / "file", "rb", opener=files.plainly) as file:
        assert file.read() == b"12345"
    with pytest.raises(OSError, match="symbolic"), open(tmp_path / "link", "rb", opener=files.plainly):
        pass
    os.mkfifo(tmp_path / "pipe")
    open(tmp_path / "pipe", "rb", opener=files.plainly).close()  # nobody will ever write into it
