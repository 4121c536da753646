"""Tables and lines for people at terminals that are too narrow for them."""

import pytest
from rich.cells import cell_len

from g4local.cli import output

HEADS = ("ID", "SIZE", "TITLE")
ROWS = (("3f2a9c1d", "1 B", "What can you do? " * 4), ("b", "10.5 GB", "漢字かな" * 10), ("c", "", "short"))


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int | None, prose: tuple[str, ...]
) -> list[str]:
    monkeypatch.setattr(output, "columns", lambda stream: width)
    output.table(HEADS, ROWS, prose)
    return capsys.readouterr().out.splitlines()


def test_where_there_is_no_terminal_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(monkeypatch, capsys, None, ("TITLE",))
    assert lines == printed(monkeypatch, capsys, 500, ())
    assert [line.split()[0] for line in lines] == ["ID", "3f2a9c1d", "b", "c"] and ROWS[1][2] in lines[2]
    titles = ("TITLE", "What", "漢", "short")
    assert {cell_len(line[: line.index(title)]) for line, title in zip(lines, titles, strict=True)} == {19}


@pytest.mark.parametrize("width", [29, 40, 79])
def test_prose_is_cut_so_that_each_row_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    lines = printed(monkeypatch, capsys, width, ("TITLE",))
    assert len(lines) == 4 and all(cell_len(line) <= width for line in lines)
    assert lines[1].endswith("…") and lines[2].endswith("…") and lines[3].endswith("short")


def test_of_two_columns_of_prose_the_wider_one_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "columns", lambda stream: 40)
    output.table(("A", "B", "C"), [("1", "not so long", "x" * 80)], ("B", "C"))
    assert capsys.readouterr().out.splitlines()[1] == "1  not so long  " + "x" * 23 + "…"


def test_where_that_is_not_enough_the_rest_of_a_row_stands_below_its_first_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(monkeypatch, capsys, 24, ("TITLE",)) == [
        *("ID", "  SIZE     TITLE", "3f2a9c1d", "  1 B      What can you…"),
        *("b", "  10.5 GB  漢字かな漢字…", "c", "           short"),
    ]


def test_where_columns_have_no_room_even_below_the_first_each_row_is_for_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "columns", lambda stream: 20)
    output.table(("A", "B", "C"), [("1", "x" * 15, ""), ("2", "y", "z" * 15)])
    assert capsys.readouterr().out.splitlines() == ["A", "  B  C", "1", f"  {'x' * 15}", "2", f"  y  {'z' * 15}"]


def test_long_values_go_on_below_where_they_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "columns", lambda stream: 30)
    output.fields({"name": "one two three four five six", "b": "short"})
    assert capsys.readouterr().out.splitlines() == ["name  one two three four five", "      six", "b     short"]


def test_lines_for_people_are_broken_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "columns", lambda stream: 20)
    output.note("one two three four five")
    output.warning("six seven eight nine")
    output.error("ten eleven twelve", "thirteen fourteen")
    broken = "one two three four/five/warning: six seven/eight nine/error: ten eleven/twelve/hint: thirteen/fourteen"
    assert capsys.readouterr().err.splitlines() == broken.split("/")
