"""The models: which there are, what each would take here, and what is done with them; it connects threads and widgets.

Jobs go on while other screens are shown, and end with the app; of a pull, what came is kept.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Event as Wish
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.widgets import Footer, Input
from textual.worker import Worker, WorkerState

from g4local.backend.engine import LoadOptions
from g4local.backend.fit.fitting import Resources
from g4local.core.errors import G4Error, UsageError
from g4local.opening.request import CONTEXT, Request
from g4tui import keys
from g4tui.jobs import Job, Jobs, Verb
from g4tui.screens.convert_dialog import ConvertDialog
from g4tui.screens.import_dialog import Import, ImportDialog
from g4tui.screens.load_dialog import LoadDialog
from g4tui.screens.pull_dialog import PullDialog
from g4tui.screens.remove_dialog import RemoveDialog
from g4tui.shelf import Row
from g4tui.widgets.job_list import JobList
from g4tui.widgets.model_details import ModelDetails
from g4tui.widgets.model_table import FITS, Line, ModelTable
from g4tui.widgets.models_heading import ModelsHeading
from g4tui.widgets.notice import Notice
from g4tui.widgets.sturdy import SturdyScreen
from g4tui.workers import models
from g4tui.workers.models import Conversion, Pull, Work

_CONTEXTS = (4096, 8192, 16384, 32768, 65536, 131072, 262144)
"""Tokens that can be chosen to see what they take."""
_AT_ONCE = 3
"""Jobs that are done at the same time; the threads are shared with the chat."""
_NOTHING = "No model is like that. Enter asks the hub for it: OWNER/REPO, or a size with a quant (e2b:q8_0)."
_LOCAL_ONLY = ("load", "verify", "remove")


class ModelsScreen(SturdyScreen[None]):
    """A table, details of what is marked, and jobs."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("models")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 an instance's for mypy

    class Left(Message):
        """The person wants back to the chat."""

    class LoadWanted(Message):
        """A model is to be loaded, as the request says."""

        def __init__(self, request: Request) -> None:
            super().__init__()
            self.request = request

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[Row] = ()
        self._there = Resources(None)
        self._left = 0
        """Bytes of downloads and conversions that were not finished."""
        self._tokens = CONTEXT
        self._jobs = Jobs(_AT_ONCE)
        self._works: dict[int, Work] = {}
        """What the jobs do, by their numbers."""
        self._wishes: dict[int, Wish] = {}
        """What stops them."""
        self._looking = Wish()
        """Stops the look at what there is."""

    def compose(self) -> ComposeResult:
        """From top to bottom; details lie beside the table where there is room."""
        yield ModelsHeading()
        yield Input(placeholder="Filter: words of a name, quant, fits, to pull …", id="filter", compact=True)
        with Container(id="shelf"):
            yield ModelTable()
            yield ModelDetails()
        yield JobList()
        yield Notice()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Look at what there is."""
        self.query_one("#filter").display = False
        self.query_one(ModelTable).focus_list()
        self.action_look()

    def on_unmount(self) -> None:
        """Stop what runs."""
        self._looking.set()
        for wish in self._wishes.values():
            wish.set()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only what can be done with what is marked."""
        if action not in (*_LOCAL_ONLY, "pause") or not self.is_mounted:
            return True
        if action == "pause":
            return self._pausable() is not None
        if action == "remove" and self.query_one(JobList).has_focus:
            return True
        row = self.query_one(ModelTable).marked
        return row is not None and row.is_here

    # What there is

    def action_look(self) -> None:
        """Look at the models again."""
        self._looking.set()
        self._looking = Wish()
        job = partial(models.find_rows, self, self._looking)
        self.run_worker(job, thread=True, group="look", exit_on_error=False)

    @on(models.RowsFound)
    def _found(self, event: models.RowsFound) -> None:
        self._there, self._left = event.there, event.left
        if event.is_all or len(event.rows) > len(self._rows):
            self._rows = event.rows
        self._show()

    def _show(self) -> None:
        """Show the models that the filter lets through."""
        asked, busy = LoadOptions(Path(), context=self._tokens), self._jobs.busy()
        lines = [Line(row, row.fit(asked, self._there), busy.get(row.name, "")) for row in self._rows]
        words = self.query_one("#filter", Input).value.casefold().split()
        shown = [line for line in lines if all(word in _told(line) for word in words)]
        self.query_one(ModelsHeading).show(self._tokens, self._there, (len(shown), len(lines)), self._left)
        self.query_one(ModelTable).show(shown, _NOTHING if words else "Looking …")

    @on(ModelTable.Marked)
    @on(JobList.Marked)
    @on(events.DescendantFocus)
    def _detail(self) -> None:
        """Show more of the job or model that is marked where the keys go."""
        details, jobs, row = self.query_one(ModelDetails), self.query_one(JobList), self.query_one(ModelTable).marked
        job = self._jobs.find(jobs.marked) if jobs.has_focus and jobs.marked is not None else None
        if job:
            details.show_job(job)
        elif row:
            details.show_model(row, row.fit(LoadOptions(Path(), context=self._tokens), self._there), self._there)
        else:
            details.show_nothing()
        self.refresh_bindings()

    def action_filter(self) -> None:
        """Let words be typed that are to be in what is shown."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    @on(Input.Changed, "#filter")
    def _filtered(self) -> None:
        self._show()

    @on(Input.Submitted, "#filter")
    def _filtered_enough(self, event: Input.Submitted) -> None:
        """Go to what was found; what looks like a repository can be pulled."""
        if self.query_one(ModelTable).marked is None and event.value.strip():
            event.input.value, event.input.display = "", False
            self._ask_pull(event.value.strip(), None)
        self.query_one(ModelTable).focus_list()

    def action_context(self, by: int) -> None:
        """Show what models take with a longer or shorter context."""
        place = _CONTEXTS.index(self._tokens) + by
        self._tokens = _CONTEXTS[max(0, min(place, len(_CONTEXTS) - 1))]
        self._show()

    def action_back(self) -> None:
        """Put away what is in the way: the notice, then the filter; where nothing is, go back to the chat."""
        notice, field = self.query_one(Notice), self.query_one("#filter", Input)
        if notice.display:
            notice.clear()
        elif field.display:
            field.value, field.display = "", False
        elif not self.query_one(JobList).has_focus:
            self.post_message(self.Left())
        self.query_one(ModelTable).focus_list()

    def action_tidy(self) -> None:
        """Show no jobs any more that are over."""
        if self._jobs.tidy():
            self._show_jobs()
            self.query_one(ModelTable).focus_list()

    # What is done with them

    @on(ModelTable.Chosen)
    def _chosen(self, event: ModelTable.Chosen) -> None:
        if event.row.is_here:
            self.action_load()
        else:
            self._ask_pull(event.row.name, event.row)

    def action_load(self) -> None:
        """Ask how the marked model is to be loaded."""
        row = self._here()
        if row and row.problem:
            self._tell(G4Error(row.problem))
        elif row:
            self.app.push_screen(LoadDialog(row, self._there, self._tokens), self._load)

    def _load(self, request: Request | None) -> None:
        if request:
            self.post_message(self.LoadWanted(request))

    def action_pull(self) -> None:
        """Ask what is to be pulled."""
        row = self.query_one(ModelTable).marked
        if row and (row.known_as or not row.is_here):
            self._ask_pull(row.known_as or row.name, row)
        else:
            self._ask_pull("", None)

    def _ask_pull(self, name: str, row: Row | None) -> None:
        self.app.push_screen(PullDialog(name, row), self._pull)

    def _pull(self, wanted: Pull | None) -> None:
        if wanted:
            self._begin("pull", wanted.name, partial(models.pull, wanted))

    def action_verify(self) -> None:
        """Compare the marked model with what is known of it."""
        row = self._here()
        if row and row.place == "built in":
            self._tell(UsageError("The demo model is part of the program.", "Name a model that is a file."))
        elif row:
            self._begin("verify", row.name, partial(models.verify, str(row.path)))

    def action_remove(self) -> None:
        """Show what would go with the marked model, or give up the marked job that is paused."""
        jobs = self.query_one(JobList)
        if jobs.has_focus:
            job = self._pausable()
            if job and job.state == "paused":
                self._ended(job.given_up())
        elif row := self._here():
            look = partial(models.find_leaving, self, row.name)
            self.run_worker(look, thread=True, group="remove", exit_on_error=False)

    @on(models.LeavingFound)
    def _ask_remove(self, event: models.LeavingFound) -> None:
        def answered(is_wanted: bool | None) -> None:
            if is_wanted:
                self._begin("remove", event.name, partial(models.remove, event.leaving))

        self.app.push_screen(RemoveDialog(event.name, event.leaving), answered)

    def action_bring(self) -> None:
        """Ask which file is to be imported."""
        self.app.push_screen(ImportDialog(Path.cwd()), self._bring)

    def _bring(self, wanted: Import | None) -> None:
        if wanted:
            self._begin("import", wanted.path.stem, partial(models.bring, [wanted.path], wanted.wish))

    def action_convert(self) -> None:
        """Ask which checkpoint is to be converted, and show the plan."""
        self.app.push_screen(ConvertDialog(Path.cwd()), self._convert)

    def _convert(self, wanted: Conversion | None) -> None:
        if wanted:
            self._begin("convert", wanted.name, partial(models.convert, wanted))

    @on(models.NotDone)
    def _not_done(self, event: models.NotDone) -> None:
        self._tell(event.error)

    def _here(self) -> Row | None:
        row = self.query_one(ModelTable).marked
        return row if row and row.is_here else None

    def _tell(self, error: G4Error) -> None:
        self.query_one(Notice).tell(error)

    # Jobs

    def _begin(self, verb: Verb, name: str, work: Work) -> None:
        """Let a job begin as soon as there is a thread for it; with one thing one is done at a time."""
        if other := self._jobs.of(name):
            self._tell(UsageError(f"{name} is being worked on already ({other.verb}).", "Wait for it, or stop it."))
            return
        job = self._jobs.add(verb, name)
        self._works[job.number] = work
        self._go_on()

    def _go_on(self) -> None:
        """Let jobs begin that may."""
        for job in self._jobs.waiting():
            self._jobs.change(job.begun())
            wish = self._wishes[job.number] = Wish()
            run = partial(models.run, self, job.number, self._works[job.number], wish)
            self.run_worker(run, name=str(job.number), thread=True, group="jobs", exit_on_error=False)
        self._show_jobs()

    def _show_jobs(self) -> None:
        jobs = self.query_one(JobList)
        jobs.show(self._jobs.shown)
        if jobs.has_focus:
            self._detail()

    def _pausable(self) -> Job | None:
        """The job that is meant: the marked one, that of the marked model, or the only one that is not over."""
        jobs, row = self.query_one(JobList), self.query_one(ModelTable).marked
        if jobs.has_focus:
            marked = self._jobs.find(jobs.marked) if jobs.marked is not None else None
            return marked if marked and not marked.is_over else None
        mine = self._jobs.of(row.name) if row else None
        left = [job for job in self._jobs.shown if not job.is_over]
        return mine or (left[0] if len(left) == 1 else None)

    def action_pause(self) -> None:
        """Stop a job, or let a pull go on where it was."""
        job = self._pausable()
        if job is None:
            return
        if job.state == "paused":
            self._jobs.change(job.waits())
            self._go_on()
        elif job.state == "waiting":
            self._ended(job.stopped())
        else:
            self._wishes[job.number].set()
            self._jobs.change(job.stops())
            self._show_jobs()

    @on(models.JobAdvanced)
    def _advanced(self, event: models.JobAdvanced) -> None:
        if job := self._jobs.find(event.number):
            self._jobs.change(job.advanced(event.progress, event.seconds))
            self._show_jobs()

    @on(models.JobEnded)
    def _job_ended(self, event: models.JobEnded) -> None:
        job = self._jobs.find(event.number)
        if job is None:
            return
        if event.error:
            self._tell(event.error)
            self._ended(job.broke_off(event.error))
        elif event.outcome:
            if not event.outcome.is_fine:
                self._tell(G4Error(" ".join(event.outcome.lines) or event.outcome.told))
            self._ended(job.ended(event.outcome))
        else:
            self._ended(job.stopped())

    def _ended(self, job: Job) -> None:
        """A job is over or paused: others may begin, and there may be other models."""
        self._jobs.change(job)
        self._go_on()
        self._show()
        self.refresh_bindings()
        if job.state == "done" and job.verb != "verify":
            self.action_look()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Tell a fault of ours as what it is, instead of a job that never ends."""
        if event.state is not WorkerState.ERROR:
            return
        error = G4Error(f"g4local has a fault: {event.worker.error!r}.", "The log of the app tells where.")
        self._tell(error)
        name = event.worker.name
        if name.isdecimal() and (job := self._jobs.find(int(name))):
            self._ended(job.broke_off(error))


def _told(line: Line) -> str:
    """What a filter looks into."""
    row = line.row
    fits = FITS[line.fit.verdict][0] if line.fit else ""
    return " ".join((row.name, row.quant, row.known_as, row.origin, row.place, fits, line.busy)).casefold()
