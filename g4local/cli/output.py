"""The one module that prints: stdout is the answer, stderr is everything else.

Nothing printed is parsed as markup, and what a model or a tool says can't steer the terminal. Colour is only for
terminals, and not with NO_COLOR.
"""

import json
import math
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Self, TextIO

from g4local.core import progress as core
from g4local.core.messages import Json
from g4local.core.units import human_bytes as human_bytes
from g4local.core.visible import in_one_line as in_one_line
from g4local.core.visible import printable as printable
from g4local.core.visible import shortened as shortened

if TYPE_CHECKING:
    from rich.progress import Progress

_MOMENT = 0.4
"""Seconds that a job may take before a bar is worth its flicker."""

_GAP = "  "
"""Between two columns."""

_NARROWEST = 10
"""Cells that a column of prose keeps."""

_WIDE = 70
"""Cells of a line that has room for more than the share that is done and the time that is left."""

_DIM, _RED, _YELLOW, _END = "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[0m"


class OutputLost(Exception):
    """stdout takes nothing more, so there is no use in going on.

    Without a reason, nobody reads it any more (`| head`), which is no error.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


def answer(text: str) -> None:
    """A piece of the answer, on stdout, at once."""
    _answer(printable(text) if sys.stdout and sys.stdout.isatty() else text)


def line(text: str = "") -> None:
    """A line of the answer, on stdout."""
    answer(text + "\n")


def json_line(value: Json) -> None:
    """One JSON value on a line of its own, on stdout; in ASCII where stdout can't hold all of it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding if sys.stdout else "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value)
    _answer(text + "\n")


def aside(text: str) -> None:
    """A piece of what is not the answer (a thought, a tool call), dim, on stderr, at once."""
    _aside(_coloured(_DIM, text))


def note(text: str) -> None:
    """A line for the person, on stderr."""
    _aside(_broken(printable(text)) + "\n")


def question(text: str) -> None:
    """A question to the person, on stderr, with the cursor left behind it."""
    _aside(printable(text))


def warning(text: str) -> None:
    """A line about something that the user did not ask for, on stderr."""
    _labelled(_YELLOW, "warning:", text)


def error(message: str, hint: str = "") -> None:
    """What went wrong in one sentence, and what to do next, on stderr."""
    _labelled(_RED, "error:", message)
    if hint:
        _aside(_broken(f"hint: {in_one_line(hint)}") + "\n")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], prose: Collection[str] = ()) -> None:
    """Rows in columns under their heads, on stdout.

    Where a terminal is too narrow for them, columns of prose are cut; where that is not enough, what follows the first
    cell of a row stands below it.
    """
    cells = [[in_one_line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(heads))]
    cut = [head in prose for head in heads]
    room = columns(sys.stdout)
    fitted = widths if room is None else _fitted(widths, cut, room)
    if room is None or sum(fitted) + len(_GAP) * (len(fitted) - 1) <= room:
        for row in cells:
            line(_GAP.join(_cell(cell, width) for cell, width in zip(row, fitted, strict=True)).rstrip())
        return
    common = _fitted(widths[1:], cut[1:], room - len(_GAP))
    is_aligned = sum(common) + len(_GAP) * len(common) <= room
    for first, *others in cells:
        line(first)
        own = common if is_aligned else _fitted([_width(cell) for cell in others], cut[1:], room - len(_GAP))
        shown = [_cell(cell, width) for cell, width in zip(others, own, strict=True) if cell or is_aligned]
        line(f"{_GAP}{_GAP.join(shown)}".rstrip())


def _fitted(widths: Sequence[int], cut: Sequence[bool], room: int) -> list[int]:
    """The widths of columns; those of prose are made less, always the widest of them, until all fit or none can be."""
    fitted = list(widths)
    room -= len(_GAP) * (len(fitted) - 1)
    while sum(fitted) > room:
        wide = [column for column, width in enumerate(fitted) if cut[column] and width > _NARROWEST]
        if not wide:
            break
        fitted[max(wide, key=fitted.__getitem__)] -= 1
    return fitted


def _cell(text: str, width: int) -> str:
    """A cell as wide as its column."""
    return _sized(text, width) if _width(text) <= width else _sized(text, width - 1) + "…"


def _width(text: str) -> int:
    """The cells of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _sized(text: str, width: int) -> str:
    if text.isascii():
        return text[:width].ljust(width)
    from rich.cells import set_cell_size

    return set_cell_size(text, width)


def fields(values: Mapping[str, str]) -> None:
    """Names and values in two columns, on stdout; at a terminal long values are broken between words."""
    width = max(map(len, values), default=0)
    room = (columns(sys.stdout) or 0) - width - len(_GAP)
    for name, value in values.items():
        shown = in_one_line(value)
        if _NARROWEST < room < _width(shown):
            from g4local.cli.wrapping import wrapped

            shown = wrapped(shown, room).replace("\n", "\n" + " " * (width + len(_GAP)))
        line(f"{in_one_line(name).ljust(width)}{_GAP}{shown}")


def columns(stream: TextIO | None) -> int | None:
    """The cells of a terminal's line; None for what is no terminal, or does not say."""
    with suppress(OSError, ValueError):
        if stream and stream.isatty():
            return os.get_terminal_size(stream.fileno()).columns or None
    return None


class Bar:
    """A progress bar on stderr: drawn once a job has taken a moment, and only while stderr is a terminal that can
    do more than to print.

    `report` is the job's Report; `stop` wipes the bar away before something else is written.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._stage = ""
        self._first = (0.0, 0)
        """When the stage was first told of, and what was done of it then."""
        self._bars: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop()

    def report(self, progress: core.Progress) -> None:
        """Show how far the job has come."""
        if not _takes_codes(sys.stderr):
            return
        now = monotonic()
        if self._since is None:
            self._since = now
        if progress.stage != self._stage:
            self._stage, self._first = progress.stage, (now, progress.done)
        if now - self._since < _MOMENT:
            return
        bars, stage = self._bars or self._drawn(), printable(progress.stage)
        if [task.description for task in bars.tasks] != [stage]:
            for shown in bars.task_ids:
                bars.remove_task(shown)
            bars.add_task(stage, total=None, completed=progress.done, pace="")
        bars.update(bars.task_ids[0], completed=progress.done, total=progress.total or None)
        if progress.unit in ("bytes", "tokens"):
            began, done = self._first
            average = (progress.done - done) / (now - began) if now > began else 0.0
            told = _pace(progress, bars.tasks[0].speed or average)
            bars.update(bars.task_ids[0], pace=", ".join(told if bars.console.width >= _WIDE else told[-1:]))

    def stop(self) -> None:
        """Wipe the bar away; the next report starts a new one."""
        if self._bars:
            self._bars.stop()
        self._bars = None
        self._since = None
        self._stage = ""

    def _drawn(self) -> "Progress":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        stage, share = TextColumn("{task.description}", markup=False), TextColumn("{task.percentage:>3.0f}%")
        pace = TextColumn("{task.fields[pace]}", markup=False)
        console = Console(stderr=True, markup=False, highlight=False)
        wide = (stage, BarColumn(), share, TimeElapsedColumn(), pace)
        columns = wide if console.width >= _WIDE else (stage, share, pace)
        self._bars = Progress(*columns, console=console, transient=True)
        self._bars.start()
        return self._bars


def _pace(progress: core.Progress, speed: float) -> list[str]:
    """How much of how much there is, at which rate (in units a second), and how long the rest takes."""

    def amount(count: float) -> str:
        return human_bytes(int(count)) if progress.unit == "bytes" else f"{count:,.0f}"

    unit = "" if progress.unit == "bytes" else f" {progress.unit}"
    parts = [f"{amount(progress.done)} of {amount(progress.total)}{unit}"]
    if speed > 0:
        left = math.ceil(max(0, progress.total - progress.done) / speed)
        parts += [f"{amount(speed)}{unit}/s", f"{left // 60}:{left % 60:02} left"]
    return parts


def _takes_codes(stream: TextIO | None) -> bool:
    """Whether it is a terminal that knows control codes."""
    return bool(stream and stream.isatty()) and os.environ.get("TERM") != "dumb"


def _labelled(colour: str, label: str, text: str) -> None:
    _aside(_coloured(colour, label) + _broken(f"{label} {in_one_line(text)}")[len(label) :] + "\n")


def _broken(text: str) -> str:
    """A line as the terminal that stderr may be shows it without taking words apart."""
    width = columns(sys.stderr)
    if width is None or _width(text) <= width:
        return text
    from g4local.cli.wrapping import wrapped

    return wrapped(text, width)


def _coloured(colour: str, text: str) -> str:
    text = printable(text)
    if not text:
        return ""
    coloured = _takes_codes(sys.stderr) and not os.environ.get("NO_COLOR")
    return f"{colour}{text}{_END}" if coloured else text


def _answer(text: str) -> None:
    """Write to stdout; OutputLost for one that is closed (`>&-`), too."""
    if sys.stdout is None:
        raise OutputLost("stdout is closed")
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        raise OutputLost from None
    except OSError as error:
        raise OutputLost(error.strerror or str(error)) from error


def _aside(text: str) -> None:
    """Write to stderr; what can't be written there is lost, which must not end the answer."""
    with suppress(OSError):
        _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> None:
    if stream:
        stream.write(text)
        stream.flush()
