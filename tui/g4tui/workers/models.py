"""Jobs on models, in threads: what becomes of them is posted to the screen that started them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import environ
from pathlib import Path
from threading import Event as Wish
from time import monotonic
from typing import TYPE_CHECKING

from textual.message import Message
from textual.message_pump import MessagePump

from g4local import catalog, converting, importing, library, making, planner, pulling, receipts, removing, verifying
from g4local.backend.fit.fitting import Resources
from g4local.core.errors import Cancelled, G4Error, reason
from g4local.core.progress import Progress, Report
from g4local.core.units import human_bytes
from g4local.removing import Leaving
from g4local.settings import paths
from g4tui import shelf
from g4tui.jobs import Outcome
from g4tui.shelf import Row

if TYPE_CHECKING:
    from g4convert.convert import Options
    from g4convert.plan import Plan

_SECONDS = 1 / 15
"""Between two messages of how far a job is."""
_MOMENT = 0.2
"""Between two looks at the models while their files are read."""

Work = Callable[[Report, Wish], Outcome]
"""What a job does: it is told by an event that it is to stop, and raises Cancelled then."""


class RowsFound(Message):
    """The models that were found so far, and what there is to run them on."""

    def __init__(self, rows: Sequence[Row], there: Resources, left: int, is_all: bool) -> None:
        super().__init__()
        self.rows = rows
        self.there = there
        self.left = left
        """Bytes of downloads and conversions that were not finished, and that nobody works on."""
        self.is_all = is_all


class JobAdvanced(Message):
    """A job has come so far; of several messages of one job that wait, the last one counts."""

    def __init__(self, number: int, progress: Progress, seconds: float) -> None:
        super().__init__()
        self.number = number
        self.progress = progress
        self.seconds = seconds
        """When that was, by a clock that only goes forward."""

    def can_replace(self, message: Message) -> bool:
        """Let the newest state take the place of one that nobody has seen."""
        return isinstance(message, JobAdvanced) and message.number == self.number


class JobEnded(Message):
    """A job is over: with what came of it, or the reason why nothing did; without either it was stopped."""

    def __init__(self, number: int, outcome: Outcome | None, error: G4Error | None) -> None:
        super().__init__()
        self.number = number
        self.outcome = outcome
        self.error = error


class LeavingFound(Message):
    """What would go if a model were removed."""

    def __init__(self, name: str, leaving: Sequence[Leaving]) -> None:
        super().__init__()
        self.name = name
        self.leaving = leaving


class Planned(Message):
    """What a conversion would write."""

    def __init__(self, conversion: "Conversion", plan: "Plan", towers: "Plan | None", warnings: Sequence[str]) -> None:
        super().__init__()
        self.conversion = conversion
        self.plan = plan
        self.towers = towers
        self.warnings = warnings


class NotDone(Message):
    """What was asked for can't be done."""

    def __init__(self, error: G4Error) -> None:
        super().__init__()
        self.error = error


@dataclass(frozen=True, slots=True)
class Pull:
    """What is to be pulled."""

    name: str
    """As `g4local pull` takes it."""
    mmproj: bool = False
    drafter: bool = False
    from_checkpoint: bool = False
    keep: bool = False
    """The checkpoint, too."""
    update: bool = False


@dataclass(frozen=True, slots=True)
class Conversion:
    """A checkpoint that is to become a GGUF."""

    folder: Path
    recipe: str
    towers: bool = True
    """A second file for what it sees and hears, where it does."""

    @property
    def name(self) -> str:
        """What the model will be called."""
        return f"{self.folder.resolve().name}-{self.recipe}"


def find_rows(screen: MessagePump, cancel: Wish) -> None:
    """Look at what there is, which is told while it goes on."""
    rows: list[Row] = []
    told = monotonic()
    try:
        places, there = paths(environ), planner.resources()
        left = sum(path.stat().st_size for path in library.left_over(places))
        for row in shelf.rows(places, lambda: not cancel.is_set()):
            rows.append(row)
            if monotonic() - told > _MOMENT:
                told = monotonic()
                screen.post_message(RowsFound(tuple(rows), there, left, is_all=False))
    except G4Error as error:
        screen.post_message(NotDone(error))
    except OSError as error:
        place = error.filename or "The models folder"
        screen.post_message(NotDone(G4Error(f"{place} can't be read: {reason(error)}.", "Check your rights there.")))
    else:
        if not cancel.is_set():
            screen.post_message(RowsFound(tuple(rows), there, left, is_all=True))


def run(screen: MessagePump, number: int, work: Work, cancel: Wish) -> None:
    """Do a job to its end."""
    outcome: Outcome | None = None
    failure: G4Error | None = None
    try:
        outcome = work(_reporter(screen, number), cancel)
    except Cancelled:
        pass
    except G4Error as error:
        failure = error
    screen.post_message(JobEnded(number, outcome, failure))


def find_leaving(screen: MessagePump, name: str) -> None:
    """Look at what would go with a model."""
    try:
        screen.post_message(LeavingFound(name, removing.models([name], paths(environ))))
    except G4Error as error:
        screen.post_message(NotDone(error))


def plan(screen: MessagePump, wanted: Conversion) -> None:
    """Look at what a conversion would write, and whether there is a place for it."""
    from g4convert import convert

    try:
        converting.expect_folder(wanted.folder)
        senses = convert.senses(wanted.folder)
        _, options = _places(wanted, has_towers=senses.sees)
        whole = convert.plan(wanted.folder, wanted.recipe)
        towers = convert.plan_towers(wanted.folder, options.mmproj_type) if options.mmproj else None
    except G4Error as error:
        screen.post_message(NotDone(error))
        return
    warnings = (*converting.missing(senses), *whole.warnings)
    screen.post_message(Planned(wanted, whole, towers, warnings))


def pull(wanted: Pull, report: Report, cancel: Wish) -> Outcome:
    """Bring a model from the hub; what came before a wish to stop is kept."""
    told: list[str] = []
    context = pulling.Context(paths(environ), report, cancel, told.append)
    reference = catalog.reference(wanted.name)
    if wanted.from_checkpoint:
        pulled = making.make(reference, making.Wish(None, wanted.mmproj, wanted.keep), context)
    else:
        pulled = pulling.pull(reference, pulling.Choice(wanted.mmproj, wanted.drafter, wanted.update), context)
    total = human_bytes(sum(each.pin.nbytes for each in pulled))
    return Outcome(f"is here, {total}", (*told, *(f"{each.told}." for each in pulled)))


def verify(name: str, report: Report, cancel: Wish) -> Outcome:
    """Compare a model with all that is known of it."""
    verdicts = verifying.verify(name, paths(environ), report, cancel)
    broken = [each for each in verdicts if not each.is_whole]
    lines = [
        f"{each.path.name} {line.removesuffix('.')}." for each in verdicts for line in (*each.problems, *each.notes)
    ]
    told = "differs from what it should be" if broken else f"whole: {verdicts[0].state}" if verdicts else "no file"
    return Outcome(told, tuple(lines), is_fine=not broken)


def bring(files: Sequence[Path], wish: importing.Wish, report: Report, cancel: Wish) -> Outcome:
    """Give files that lie elsewhere a name here."""
    brought = importing.bring(files, wish, paths(environ), report, cancel)
    lines = [f"{each.path.name} is here now, {human_bytes(each.nbytes)}, of {each.source}." for each in brought]
    return Outcome(f"is here as {brought[0].path.stem}", tuple(lines))


def remove(leaving: Sequence[Leaving], report: Report, cancel: Wish) -> Outcome:
    """Remove what was shown."""
    gone = [each for each in leaving if removing.remove(each)]
    return Outcome(f"{human_bytes(sum(each.nbytes for each in gone))} are free now")


def convert(wanted: Conversion, report: Report, cancel: Wish) -> Outcome:
    """Make a GGUF of a checkpoint; it appears when it is whole."""
    from g4convert import convert as converter

    converting.expect_folder(wanted.folder)
    target, options = _places(wanted, has_towers=converter.senses(wanted.folder).sees)
    plans: list[Plan] = []
    done = converter.convert(wanted.folder, target, wanted.recipe, report, cancel, replace(options, tell=plans.append))
    receipts.forget(done.path)
    files = [f"{file.path.name}, {human_bytes(file.nbytes)}." for file in (done, done.towers) if file]
    warnings = [warning for each in plans for warning in each.warnings]
    return Outcome(f"is here, {human_bytes(done.nbytes)}", (*warnings, *files))


def _places(wanted: Conversion, has_towers: bool) -> tuple[Path, "Options"]:
    """Where the files go, which must be free."""
    from g4convert.convert import Options

    target = converting.place(wanted.folder.resolve().name, wanted.recipe, paths(environ))
    converting.expect_free(target, force=False)
    options = Options()
    if not (wanted.towers and has_towers):
        return target, options
    beside = library.beside(target, wanted.recipe, options.mmproj_type)
    converting.expect_free(beside, force=False)
    return target, replace(options, mmproj=beside)


def _reporter(screen: MessagePump, number: int) -> Report:
    """A Report that posts, not too often, and every new stage."""
    last = ("", 0.0)

    def report(progress: Progress) -> None:
        nonlocal last
        now = monotonic()
        is_last = progress.total and progress.done >= progress.total
        if progress.stage == last[0] and now - last[1] < _SECONDS and not is_last:
            return
        last = progress.stage, now
        screen.post_message(JobAdvanced(number, progress, now))

    return report
