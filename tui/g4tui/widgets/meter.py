"""The line under the chat: what the context is made of, what the turn does, and what it costs."""

from collections.abc import Iterator

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from g4local.chat.contents import Contents
from g4local.core.events import TurnFinished
from g4local.core.progress import Progress
from g4local.core.units import human_bytes
from g4tui.tones import MUTED

_PARTS = (
    ("system", "system", "$secondary"),
    ("tools", "tools", "$warning"),
    ("history", "history", "$primary"),
    ("thoughts", "thoughts", "$accent"),
    ("results", "results", "$success"),
)
"""Fields of Contents, what they are called, and their colours."""
_FULL, _FREE = "█", "░"
_FRACTIONS = " ▏▎▍▌▋▊▉"
_BAR = 24
"""Cells of a bar where there is room for it."""


class Meter(Widget):
    """Two lines: the context by part, and the turn."""

    def __init__(self) -> None:
        super().__init__()
        self._contents: Contents | None = None
        self._memory: int | None = None
        self._progress: Progress | None = None
        self._finished: TurnFinished | None = None
        self._pieces = 0
        self._seconds = 0.0

    def measured(self, contents: Contents, memory: int | None) -> None:
        """Show what the context is filled with."""
        self._contents, self._memory = contents, memory
        self.refresh()

    def advanced(self, progress: Progress | None) -> None:
        """Show how far a job has come; None: it is over."""
        self._progress = progress
        self.refresh()

    def streamed(self, pieces: int, seconds: float) -> None:
        """Show how fast the answer comes: pieces of it so far, in so many seconds."""
        self._progress, self._finished = None, None
        self._pieces, self._seconds = pieces, seconds
        self.refresh()

    def finished(self, turn: TurnFinished) -> None:
        """Show what the turn cost."""
        self._progress, self._finished = None, turn
        self.refresh()

    def render(self) -> Content:
        """The two lines."""
        width = self.size.width
        return Content("\n").join([self._filling(width), self._turn(width)])

    def _filling(self, width: int) -> Content:
        contents = self._contents
        if contents is None:
            return Content("context: not measured yet").stylize(MUTED)
        percent = 100 * contents.used // contents.context
        head = f"context {contents.used:,} / {contents.context:,} ({percent} %) "
        memory = f"  memory {human_bytes(self._memory)}" if self._memory is not None else ""
        parts = [(name, getattr(contents, field), colour) for field, name, colour in _PARTS]
        cells = max(8, min(_BAR, width - cell_len(head) - cell_len(memory) - 2))
        line = Content(head) + bar([(count, colour) for _, count, colour in parts], contents.context, cells)
        for name, count, colour in parts:
            told = Content.assemble("  ", ("■", colour), f" {name} {count:,}")
            if count and line.cell_length + told.cell_length + cell_len(memory) <= width:
                line += told
        return line + Content(memory)

    def _turn(self, width: int) -> Content:
        if self._progress:
            return _job(self._progress, width)
        if self._finished:
            return _costs(self._finished, width)
        if self._pieces and self._seconds:
            return Content(f"answering  ≈ {self._pieces / self._seconds:.1f} tokens/s  Esc stops")
        return Content("")


def bar(parts: list[tuple[int, str]], total: int, cells: int) -> Content:
    """Counts as pieces of a bar of so many cells, each at least one cell where it is not nothing."""
    widths = [max(1, round(cells * count / total)) if count else 0 for count, _ in parts]
    while sum(widths) > cells and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    filled = [(_FULL * width, colour) for width, (_, colour) in zip(widths, parts, strict=True) if width]
    return Content.assemble(*filled, (_FREE * max(0, cells - sum(widths)), MUTED))


def _job(progress: Progress, width: int) -> Content:
    if not progress.total:
        return Content(f"{progress.stage} …")
    share = min(1.0, progress.done / progress.total)
    whole = share * _BAR
    drawn = (_FULL * int(whole) + _FRACTIONS[int(whole % 1 * 8)].strip()).ljust(_BAR, _FREE)
    amount = f"  {progress.done:,} / {progress.total:,} tokens" if progress.unit == "tokens" else ""
    return Content(f"{progress.stage} {drawn} {share:.0%}{amount}").truncate(max(1, width))


def _costs(turn: TurnFinished, width: int) -> Content:
    """What a turn cost, the most wanted first, as much as there is room for."""
    line = ""
    for each in filter(None, _told(turn)):
        longer = f"{line}  ·  {each}" if line else each
        if cell_len(longer) <= width:
            line = longer
    return Content(line)


def _told(turn: TurnFinished) -> Iterator[str]:
    """What there is to be told, empty where there is nothing."""
    usage, timing = turn.usage, turn.timing
    read = usage.prompt - usage.reused
    yield f"{usage.completion:,} tokens, {usage.completion / timing.decode:.1f}/s" if timing.decode else ""
    yield f"first after {timing.ttft:.2f} s" if timing.ttft is not None else ""
    yield f"read {read:,} at {read / timing.prefill:.0f}/s" if timing.prefill and read > 0 else ""
    yield f"reused {usage.reused:,}" if usage.reused else ""
    yield f"drafts {usage.accepted}/{usage.drafted} held" if usage.drafted else ""
    yield f"seed {turn.seed}" if turn.seed is not None else ""
