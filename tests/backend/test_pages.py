"""Pages of mapped files that leave the process, and come back when they are touched."""

import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from g4local.backend.host import pages

SMAPS = Path("/proc/self/smaps")
PAGE = mmap.PAGESIZE

pytestmark = pytest.mark.skipif(not SMAPS.exists(), reason="needs Linux")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(64 * PAGE))
    return path


@pytest.fixture
def mapped(file: Path) -> Iterator[mmap.mmap]:
    """The file, every page of it touched."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as content:
        assert bytes(content) == file.read_bytes()
        yield content


def resident(path: Path) -> int:
    """Pages of a mapped file that are in this process."""
    [kilobytes] = re.findall(rf"{re.escape(str(path))}\n(?:.*\n)*?Rss: +(\d+) kB", SMAPS.read_text())
    return int(kilobytes) * 1024 // PAGE


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (range(0), 0),
        (range(16 * PAGE, 32 * PAGE), 16),
        (range(16 * PAGE + 1, 32 * PAGE - 1), 16),
        (range(16 * PAGE - 1, 32 * PAGE + 1), 18),
        (range(64 * PAGE), 64),
        (range(100 * PAGE, 200 * PAGE), 0),
    ],
)
def test_all_but_what_is_to_be_kept_leaves_and_nothing_is_lost(
    file: Path, mapped: mmap.mmap, keep: range, left: int
) -> None:
    assert resident(file) == 64
    pages.let_go(file, keep)
    assert resident(file) == left
    assert bytes(mapped) == file.read_bytes()


def test_other_files_and_files_that_are_not_there_are_left_alone(file: Path, mapped: mmap.mmap, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other")
    for path in (tmp_path / "other", tmp_path / "none"):
        pages.let_go(path, range(0))
    assert resident(file) == 64
