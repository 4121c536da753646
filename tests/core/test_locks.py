"""Locks: who has one, and whether a part is being written."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from g4local.core.locks import alone, is_locked, is_written, locked


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_file_or_a_folder_is_locked_for_as_long_as_the_block_runs(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    place.mkdir() if kind == "folder" else place.touch()
    assert not is_locked(place)
    with locked(place) as is_ours:
        assert is_ours and is_locked(place) and is_written(place)
        with locked(place) as again:
            assert not again
    assert not is_locked(place)


def test_what_was_put_in_its_place_meanwhile_is_not_what_was_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    plain = os.open

    def late(path: Path, flags: int) -> int:
        descriptor = plain(path, flags)
        place.rmdir()
        return descriptor

    monkeypatch.setattr(os, "open", late)
    with locked(place) as is_ours:
        assert not is_ours


def test_what_is_not_there_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "none")
    with pytest.raises(FileNotFoundError), locked(tmp_path / "none"):
        pass


def test_a_part_that_is_numbered_is_written_while_that_process_lives(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        part = tmp_path / f"x.json.{process.pid}.part"
        part.touch()
        assert is_written(part)
    assert not is_written(part)
    for name in ("x.part", "x.json.99999999999.part", "x.json.9999999999.part", "x.json.1a.part"):
        assert not is_written(tmp_path / name)


def test_a_file_system_without_locks_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with alone(tmp_path / "file.json"), alone(tmp_path / "file.json"), locked(tmp_path) as is_ours:
        assert is_ours and not is_locked(tmp_path)
