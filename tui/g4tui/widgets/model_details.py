"""What is to be known of one model, or of one job, beside or below the table."""

from collections.abc import Callable, Iterator
from functools import partial

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from g4local.backend.fit import fitting
from g4local.backend.fit.fitting import Fit, Resources
from g4local.core.units import human_bytes
from g4local.core.visible import in_one_line
from g4tui.jobs import Job
from g4tui.shelf import Row
from g4tui.tones import BAD, MUTED
from g4tui.widgets.model_table import FITS

_LABEL = 10
"""Cells of a label with the gap behind it."""
_ROOMY = 14
"""Lines from which on a memory's parts are shown."""
_KINDS = {"mmproj": "towers", "drafter": "drafter"}
_TEMPLATES = {
    "July": "of July 2026, as the built-in one",
    "April": "of April 2026; the built-in one of July is used",
    "foreign": "not Google's; the built-in one is used",
    "none": "none in the file; the built-in one is used",
    "": "not known before it is pulled; the built-in one is used",
}

Field = tuple[str, str | Content]
"""A label, and what is said."""


class ModelDetails(VerticalScroll, can_focus=False):
    """Labels, and what is said beside them."""

    def __init__(self) -> None:
        super().__init__()
        self._head = Content("")
        self._fields: Callable[[bool], Iterator[Field]] = lambda is_roomy: iter(())
        """Given whether there is room for many of them."""

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", markup=False)

    def show_nothing(self) -> None:
        """Nothing is marked."""
        self._say(Content(""), lambda is_roomy: iter(()))

    def show_model(self, row: Row, fit: Fit | None, there: Resources) -> None:
        """Show a model, and what it takes as it would be loaded."""
        size = f"{'' if row.is_exact else 'about '}{human_bytes(row.nbytes)}" if row.nbytes else ""
        said = "  ".join(filter(None, (in_one_line(row.known_as), row.quant, size)))
        title = Content.assemble((in_one_line(row.name), "bold"), (f"  {said}", MUTED))
        self._say(title, partial(_of_model, row, fit, there))

    def show_job(self, job: Job) -> None:
        """Show what came of a job so far."""
        self._say(Content.styled(f"{job.verb} {in_one_line(job.name)}", "bold"), lambda is_roomy: _of_job(job))

    def on_resize(self) -> None:
        """Break the lines anew."""
        self._draw()

    def _say(self, title: Content, fields: "Callable[[bool], Iterator[Field]]") -> None:
        self._head, self._fields = title, fields
        self._draw()
        self.scroll_home(animate=False)

    def _draw(self) -> None:
        width = self.size.width - 2 - _LABEL
        if width > 0:
            fields = self._fields(self.size.height >= _ROOMY)
            lines = [line for label, said in fields for line in _lines(label, said, width)]
            self.query_one(Static).update(Content("\n").join([self._head, *lines]))


def _lines(label: str, said: str | Content, width: int) -> Iterator[Content]:
    """A label, and what is said in as many lines as it takes."""
    text = Content(in_one_line(said)) if isinstance(said, str) else said
    for line in text.wrap(width):
        yield Content.assemble((label.ljust(_LABEL), MUTED), line)
        label = ""


def _of_model(row: Row, fit: Fit | None, there: Resources, is_roomy: bool) -> Iterator[Field]:
    if row.problem:
        yield "problem", Content.styled(in_one_line(row.problem), BAD)
    if fit and row.candidate:
        yield "memory", _need(fit, there)
        if is_roomy:
            yield from _parts(row, fit)
        largest = fitting.largest_context(row.candidate.model, fit.setting, there)
        fits = f"{largest:,} tokens fit with ease" if largest else "none fits with ease"
        yield "context", f"{fits}; it was trained for {row.trained:,}"
    yield from _with(row, is_roomy=is_roomy)
    if not row.problem:
        yield "template", _TEMPLATES.get(row.template, f"of {row.template}; the built-in one is used")
    if row.origin:
        yield "hub", row.origin
    if row.path:
        yield "lies at", f"{row.path}{_leads(row)}"


def _need(fit: Fit, there: Resources) -> Content:
    word, colour = FITS[fit.verdict]
    available = f" of {human_bytes(there.available)}" if there.available is not None else ""
    told = f"{human_bytes(fit.need.total)}{available} with {fit.setting.context:,} tokens: "
    return Content.assemble(told, ("fits" if word == "fits" else "tight" if word == "tight" else "too much", colour))


def _parts(row: Row, fit: Fit) -> Iterator[Field]:
    """What the memory is for."""
    need, size = fit.need, human_bytes
    table = row.candidate.model.weights.table if row.candidate and fit.setting.lazy else 0
    yield (
        "",
        f"{size(need.weights + need.device_weights):>9}  weights"
        + (f", and {size(table)} read row by row" if table else ""),
    )
    yield "", f"{size(need.kv_full + need.kv_sliding + need.device_kv):>9}  keys and values as {fit.setting.kv_type}"
    yield "", f"{size(need.compute + need.output + need.device_compute):>9}  to compute in"
    yield "", f"{size(need.checkpoint + need.process):>9}  program, and a way back"
    if need.drafter + need.device_drafter:
        yield "", f"{size(need.drafter + need.device_drafter):>9}  drafter"
    if need.device:
        yield "on GPUs", f"{size(need.device)}, {fit.placement.layers} layers"


def _with(row: Row, *, is_roomy: bool) -> Iterator[Field]:
    """Towers and drafters, and where each is if there is room for that."""
    label, told = "with it" if row.is_here else "can bring", []
    for each in row.beside:
        if each.kind in _KINDS:
            size = f", {human_bytes(each.nbytes)}" if each.nbytes else ""
            told.append(f"{_KINDS[each.kind]}{size}" + (f" ({each.file})" if is_roomy else ""))
    if not is_roomy:
        told = ["; ".join(told)] if told else []
    for line in told:
        yield label, line
        label = ""


def _leads(row: Row) -> str:
    if row.place != "linked" or row.path is None:
        return ""
    return f", a link to {row.path.resolve()}"


def _of_job(job: Job) -> Iterator[Field]:
    yield "state", job.state
    if job.error:
        yield "error", Content.styled(in_one_line(job.error.message), BAD)
        if job.error.hint:
            yield "hint", job.error.hint
    if job.outcome:
        yield "result", job.outcome.told
        for line in job.outcome.lines:
            yield "", line
    if job.progress and job.progress.unit == "bytes" and job.is_open:
        yield job.progress.stage, f"{human_bytes(job.progress.done)} of {human_bytes(job.progress.total)}"
