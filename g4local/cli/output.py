"""The one module that prints: stdout is the answer, stderr is everything else.

Nothing printed is parsed as markup, and what a model or a tool says can't steer the terminal. Colour is only for
terminals, and not with NO_COLOR.
"""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
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
    _aside(printable(text) + "\n")


def question(text: str) -> None:
    """A question to the person, on stderr, with the cursor left behind it."""
    _aside(printable(text))


def warning(text: str) -> None:
    """A line about something that the user did not ask for, on stderr."""
    _aside(_coloured(_YELLOW, "warning: ") + in_one_line(text) + "\n")


def error(message: str, hint: str = "") -> None:
    """What went wrong in one sentence, and what to do next, on stderr."""
    _aside(_coloured(_RED, "error: ") + in_one_line(message) + "\n")
    if hint:
        _aside("hint: " + in_one_line(hint) + "\n")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows in columns under their heads, on stdout."""
    cells = [[in_one_line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def fields(values: Mapping[str, str]) -> None:
    """Names and values in two columns, on stdout."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        line(f"{in_one_line(name).ljust(width)}  {in_one_line(value)}")


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
