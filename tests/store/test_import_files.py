"""Files that are to be imported: what is none, too large, cut off or damaged is called so."""

import json
import os
import zipfile
from pathlib import Path
from unittest.mock import patch

import pytest

from g4local.core.errors import UsageError
from g4local.store import imports


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(UsageError, match="pipe or a device"):
            list(imports.read(path))


def test_a_file_that_is_larger_than_any_export_is_not_read_into_memory(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(UsageError, match="larger than any"), patch.object(imports, "_LARGEST", 1000):
        list(imports.read(tmp_path / "large.json"))


@pytest.mark.parametrize("cut", [10, 60, -30])
def test_a_zip_that_is_cut_off_or_damaged_is_called_so(tmp_path: Path, cut: int) -> None:
    whole, path = tmp_path / "whole.zip", tmp_path / "export.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([{"mapping": {}, "title": "a" * 500}]))
    content = whole.read_bytes()
    path.write_bytes(content[:cut])
    with pytest.raises(UsageError, match="damaged zip"):
        list(imports.read(path))
    path.write_bytes(content[:55] + bytes(20) + content[75:])
    with pytest.raises(UsageError, match="damaged zip"):
        list(imports.read(path))


@pytest.mark.parametrize(("content", "words"), [(b"\xff\xfe{}", "no text in UTF-8"), (b"[" * 100_000, "nested beyond")])
def test_what_is_wrong_with_a_file_is_told_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        list(imports.read(tmp_path / "x.json"))
