"""The table of models: those that are here first, those that can be pulled below, with what each would take."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from g4local.backend.fit.fitting import Fit, Verdict
from g4local.core.units import human_bytes
from g4local.core.visible import in_one_line
from g4tui.shelf import Row
from g4tui.tones import BAD, GOOD, MUTED, POOR

FITS: Mapping[Verdict, tuple[str, str]] = {
    "yes": ("fits", GOOD),
    "tight": ("tight", POOR),
    "no": ("no", BAD),
}
"""What a verdict is called, and its colour."""

_GAP = "  "
_LEAST_NAME = 24
"""Cells of a name, before columns are left out for it that can be seen elsewhere, too."""
_SHORTEST_NAME = 16
"""The same for the others."""
_ESSENTIAL = 3
"""The last rank of these."""
_SECTIONS = (("On this machine", True), ("To pull", False))
_MARGIN = 3
"""Cells beside the lines: padding, and a scroll bar."""


@dataclass(frozen=True, slots=True)
class Line:
    """A model as the table shows it."""

    row: Row
    fit: Fit | None
    busy: str = ""
    """What is being done with it."""


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    width: int
    cell: Callable[[Line], tuple[str, str]]
    """Gives the text and its style."""
    is_right: bool = False
    rank: int = 0
    """Columns with higher numbers are left out first where there is little room."""


def _size(line: Line) -> tuple[str, str]:
    nbytes = line.row.nbytes
    return (("" if line.row.is_exact else "~") + human_bytes(nbytes) if nbytes else "?"), ""


def _memory(line: Line) -> tuple[str, str]:
    return (human_bytes(line.fit.need.total) if line.fit else "?"), ""


def _fits(line: Line) -> tuple[str, str]:
    return FITS[line.fit.verdict] if line.fit else ("?", MUTED)


def _context(line: Line) -> tuple[str, str]:
    return (f"{line.row.trained:,}" if line.row.trained else "?"), MUTED


def _beside(line: Line) -> tuple[str, str]:
    kinds = {"mmproj": "towers", "drafter": "drafter"}
    return ", ".join(kinds[each.kind] for each in line.row.beside if each.kind in kinds), MUTED


_COLUMNS = (
    _Column("QUANT", 10, lambda line: (line.row.quant, ""), rank=3),
    _Column("SIZE", 8, _size, is_right=True, rank=1),
    _Column("MEMORY", 8, _memory, is_right=True),
    _Column("FITS", 5, _fits),
    _Column("CONTEXT", 8, _context, is_right=True, rank=4),
    _Column("TEMPLATE", 8, lambda line: (line.row.template or "?", MUTED), rank=5),
    _Column("WITH", 15, _beside, rank=6),
    _Column("WHERE", 10, lambda line: (line.busy or line.row.place, "$text-accent" if line.busy else MUTED), rank=2),
)


class ModelTable(Vertical):
    """Heads, and a line for each model."""

    class Marked(Message):
        """Another model is marked, or none."""

        def __init__(self, row: Row | None) -> None:
            super().__init__()
            self.row = row

    class Chosen(Message):
        """The marked model is meant."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    def __init__(self) -> None:
        super().__init__()
        self._lines: Sequence[Line] = ()
        self._otherwise = ""
        self._options: list[Line | str] = []
        """What each option of the list shows: a model, or the title of a section."""
        self._marked = ""
        """The key of the marked row, which stays marked when others come."""

    def compose(self) -> ComposeResult:
        """Heads over the list."""
        yield Static("", id="heads", markup=False)
        yield OptionList(compact=True, markup=False)

    @property
    def marked(self) -> Row | None:
        """The marked model."""
        index = self.query_one(OptionList).highlighted
        line = self._options[index] if index is not None and index < len(self._options) else None
        return line.row if isinstance(line, Line) else None

    def show(self, lines: Sequence[Line], otherwise: str) -> None:
        """Show these models in this order, or what is said where there are none."""
        self._lines = lines
        self._otherwise = otherwise
        self._draw()

    def focus_list(self) -> None:
        """Let the keys go through the list."""
        self.query_one(OptionList).focus()

    def on_resize(self) -> None:
        """Take as many columns as there is room for."""
        self._draw()

    def _draw(self) -> None:
        width = self.size.width - _MARGIN
        if width <= 0:
            return
        names = max((cell_len(_name(line)) for line in self._lines), default=0)
        columns, name = _chosen(width, names)
        heads = [_fitted(column.head, column.width, column.is_right) for column in columns]
        self.query_one("#heads", Static).update(Content(_GAP.join([_fitted("MODEL", name), *heads])))
        self._options = list(_sectioned(self._lines)) or [self._otherwise]
        marked = self._marked
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([_option(line, columns, name) for line in self._options])
        places = {line.row.key: index for index, line in enumerate(self._options) if isinstance(line, Line)}
        options.highlighted = places.get(marked, next(iter(places.values()), None))
        if not places:
            self.post_message(self.Marked(None))

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        row = self.marked
        if row:
            self._marked = row.key
        self.post_message(self.Marked(row))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if row := self.marked:
            self.post_message(self.Chosen(row))


def _sectioned(lines: Sequence[Line]) -> Iterator[Line | str]:
    """The lines with titles before both kinds."""
    for title, is_here in _SECTIONS:
        mine = [line for line in lines if line.row.is_here == is_here]
        if mine:
            yield title
            yield from mine


def _chosen(width: int, names: int) -> tuple[list[_Column], int]:
    """The columns that there is room for, and the cells of the name."""
    wanted = max(_LEAST_NAME, min(names, 2 * _LEAST_NAME))
    for rank in sorted({column.rank for column in _COLUMNS}, reverse=True):
        columns = [column for column in _COLUMNS if column.rank <= rank]
        rest = width - sum(column.width + len(_GAP) for column in columns)
        if rest >= (wanted if rank > _ESSENTIAL else _SHORTEST_NAME):
            break
    return columns, max(1, rest)


def _option(line: Line | str, columns: Sequence[_Column], name: int) -> Option:
    if isinstance(line, str):
        return Option(Content(line), disabled=True)
    cells = [Content.styled(_fitted(_name(line), name), BAD if line.row.problem else "")]
    for column in columns:
        text, style = column.cell(line)
        cells.append(Content.styled(_fitted(in_one_line(text), column.width, column.is_right), style))
    return Option(Content(_GAP).join(cells))


def _name(line: Line) -> str:
    return in_one_line(line.row.name)


def _fitted(text: str, width: int, is_right: bool = False) -> str:
    """A text in so many cells."""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - cell_len(text)) + text if is_right else set_cell_size(text, width)
