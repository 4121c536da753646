"""The list of jobs: a line for each, with how far it is, how fast it goes, and how long it still takes."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from g4local.core.progress import Progress
from g4local.core.units import human_bytes
from g4local.core.visible import in_one_line
from g4tui.jobs import Job, State, human_seconds
from g4tui.tones import BAD, GOOD, MUTED, POOR

_SIGNS: dict[State, tuple[str, str]] = {
    "waiting": ("·", MUTED),
    "running": ("▸", "$text-primary"),
    "stopping": ("▸", MUTED),
    "paused": ("‖", POOR),
    "done": ("✓", GOOD),
    "differs": ("!", BAD),
    "failed": ("✗", BAD),
}
_FULL, _FREE = "━", "─"
_BAR = 20
_WIDE = 100
"""Cells of a line from which on the bar is as long as that."""
_VERB = 8
_LEAST_NAME, _MOST_NAME = 12, 34


class JobList(OptionList):
    """A line a job, the newest first; it is gone where there is none."""

    class Marked(Message):
        """A job is marked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self) -> None:
        super().__init__(compact=True, markup=False)
        self._jobs: Sequence[Job] = ()
        self.display = False

    @property
    def marked(self) -> int | None:
        """The number of the marked job."""
        return self._jobs[self.highlighted].number if self.highlighted is not None and self._jobs else None

    def show(self, jobs: Sequence[Job]) -> None:
        """Show these; lines of the same jobs change in their places."""
        if [job.number for job in jobs] == [job.number for job in self._jobs]:
            changed = [index for index, job in enumerate(jobs) if job != self._jobs[index]]
            self._jobs = jobs
            for index in changed:
                self.replace_option_prompt_at_index(index, job_line(jobs[index], self.size.width))
            return
        marked = self.marked
        self._jobs = jobs
        self._draw(marked)
        self.display = bool(jobs)

    def on_resize(self) -> None:
        """Take as much of each line as there is room for."""
        self._draw(self.marked)

    def _draw(self, marked: int | None) -> None:
        self.clear_options()
        self.add_options([Option(job_line(job, self.size.width)) for job in self._jobs])
        numbers = [job.number for job in self._jobs]
        if numbers:
            self.highlighted = numbers.index(marked) if marked in numbers else 0

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self.marked is not None:
            self.post_message(self.Marked(self.marked))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()


def job_line(job: Job, width: int) -> Content:
    """A job in one line of so many cells."""
    sign, style = _SIGNS[job.state]
    name_width = max(_LEAST_NAME, min(_MOST_NAME, width // 3))
    head = Content.assemble((sign, style), f" {job.verb:<{_VERB}}{_name(job.name, name_width)}")
    line = head
    for part in _running(job, job.progress, width) if job.state == "running" and job.progress else [_said(job, style)]:
        longer = line + Content("  ") + part
        if longer.cell_length <= width or line is head:
            line = longer
    return line.truncate(max(1, width), ellipsis=True)


def _name(name: str, width: int) -> str:
    text = in_one_line(name)
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _running(job: Job, progress: Progress, width: int) -> Iterator[Content]:
    """How far it is, what is wanted most first."""
    if not progress.total:
        yield Content(f"{progress.stage} …")
        return
    share, cells = min(1.0, progress.done / progress.total), _BAR if width >= _WIDE else _BAR // 2
    full = round(share * cells)
    yield Content.assemble((_FULL * full, "$primary"), (_FREE * (cells - full), MUTED))
    yield Content(f"{share:4.0%}")
    rate, left, is_bytes = job.pace.rate, job.seconds_left, progress.unit == "bytes"
    if left is not None:
        yield Content(f"{human_seconds(left)} left")
    if rate and is_bytes:
        yield Content(f"{human_bytes(int(rate))}/s")
    if is_bytes:
        yield Content(f"{human_bytes(progress.done)} of {human_bytes(progress.total)}")
    yield Content(progress.stage)


def _said(job: Job, style: str) -> Content:
    """What there is to say of a job that does not run."""
    if job.error:
        return Content.styled(in_one_line(job.error.message), style)
    if job.outcome:
        return Content.styled(in_one_line(job.outcome.told), style)
    share = f" at {job.progress.done / job.progress.total:.0%}" if job.progress and job.progress.total else ""
    words = {
        "waiting": "waits for the others",
        "running": "begins …",
        "stopping": "stopping …",
        "paused": f"paused{share}; Space goes on",
    }
    return Content.styled(words.get(job.state, ""), style)
