from pathlib import Path
from threading import Event

import pytest

from g4local.core.messages import Json
from g4local.tools import search
from g4local.tools.tool import ToolError


def searched(root: Path, text: str, **more: Json) -> str:
    return str(search.found(root).run({"text": text, **more}, Event()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("needle")
    (tmp_path / "a.txt").write_text("one\n  Needle and thread\nneedle\x1b[2J\n")
    (tmp_path / "src" / "deep" / "b.py").write_text("# NEEDLE\r\n")
    (tmp_path / "binary").write_bytes(b"needle\0")
    (tmp_path / "latin").write_bytes(b"caf\xe9 needle")
    return tmp_path


def test_lines_are_told_with_their_places_in_order(root: Path) -> None:
    assert searched(root, "needle").splitlines() == [
        "a.txt:2: Needle and thread",
        "a.txt:3: needle\x1b[2J",
        "latin:1: caf\ufffd needle",
        "src/deep/b.py:1: # NEEDLE",
    ]


def test_names_and_a_folder_narrow_it_down(root: Path) -> None:
    assert searched(root, "needle", names="*.py") == "src/deep/b.py:1: # NEEDLE"
    assert searched(root, "needle", folder="src") == "deep/b.py:1: # NEEDLE"
    assert searched(root, "needle", folder="src", names="*.txt") == "[nothing was found]"


@pytest.mark.parametrize("text", ["", "  ", "a\nb"])
def test_what_is_no_piece_of_a_line_is_not_looked_for(root: Path, text: str) -> None:
    with pytest.raises(ToolError, match="piece of a line"):
        searched(root, text)


def test_much_is_cut_with_a_word_about_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "many").write_text("needle in hay\n" * 500 + "needle" + "x" * 5000)
    lines = searched(root, "needle", names="many").splitlines()
    assert len(lines) == search.MOST_LINES + 1 and "may be more" in lines[-1]
    monkeypatch.setattr(search, "MOST_FILES", 1)
    assert searched(root, "needle").splitlines()[-1] == "[these are lines of the first 1 files; there may be more]"


def test_a_large_file_and_a_long_line_do_no_harm(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "long").write_text("needle" + "x" * 5000)
    assert len(searched(root, "needle", names="long")) == len("long:1: ") + search.WIDEST
    monkeypatch.setattr(search, "MOST_BYTES", 100)
    assert searched(root, "needle", names="long") == "[nothing was found]"


def test_deep_folders_end_the_search_and_not_the_program(tmp_path: Path) -> None:
    here = tmp_path
    for number in range(search.DEEPEST + 3):
        here = here / "d"
        here.mkdir()
        (here / f"{number}.txt").write_text("needle")
    assert len(searched(tmp_path, "needle").splitlines()) == search.DEEPEST


def test_it_stops_when_the_person_wants_it_to(root: Path) -> None:
    cancel = Event()
    cancel.set()
    assert search.found(root).run({"text": "needle"}, cancel) == "[nothing was found]"
