"""Jobs on models as values: what is done with which, how far it has come, how fast, and what came of it."""

from dataclasses import dataclass, field, replace
from typing import Literal

from g4local.core.errors import G4Error
from g4local.core.progress import Progress

Verb = Literal["pull", "verify", "import", "convert", "remove"]
State = Literal["waiting", "running", "stopping", "paused", "done", "differs", "failed"]
"""`differs`: it was done, and found what should not be."""

_BUSY: dict[Verb, str] = {
    "pull": "pulling",
    "verify": "verifying",
    "import": "importing",
    "convert": "converting",
    "remove": "removing",
}
_WINDOW = 5.0
"""Seconds over which a rate is measured."""
_SHORTEST = 0.5
"""Seconds of a stage before there is a rate worth showing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job."""

    told: str
    """In a few words."""
    lines: tuple[str, ...] = ()
    """What else is to be known, a sentence each."""
    is_fine: bool = True


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a stage goes, by what was seen of it in the last moments."""

    stage: str = ""
    seen: tuple[tuple[float, int], ...] = ()
    """Times, and what was done then."""

    def after(self, progress: Progress, seconds: float) -> "Pace":
        """The pace with one more state, seen at this time of a clock that only goes forward."""
        if progress.stage != self.stage or (self.seen and progress.done < self.seen[-1][1]):
            return Pace(progress.stage, ((seconds, progress.done),))
        older = [each for each in self.seen if seconds - each[0] > _WINDOW]
        kept = self.seen[max(0, len(older) - 1) :]
        return Pace(self.stage, (*kept, (seconds, progress.done)))

    @property
    def rate(self) -> float | None:
        """Of its units in a second; None while that is not known."""
        if not self.seen:
            return None
        (began, first), (ended, last) = self.seen[0], self.seen[-1]
        return (last - first) / (ended - began) if ended - began >= _SHORTEST else None


@dataclass(frozen=True, slots=True)
class Job:
    """One job, from its beginning to what came of it."""

    number: int
    verb: Verb
    name: str
    """Of what it is done with."""
    state: State = "waiting"
    progress: Progress | None = None
    pace: Pace = field(default=Pace(), repr=False)
    outcome: Outcome | None = None
    error: G4Error | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is being done, or waits for that."""
        return self.state in ("waiting", "running", "stopping")

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("done", "differs", "failed")

    @property
    def can_pause(self) -> bool:
        """Whether it goes on where it was stopped."""
        return self.verb == "pull"

    @property
    def seconds_left(self) -> float | None:
        """How long this stage still takes; None while that is not known."""
        rate, progress = self.pace.rate, self.progress
        if not rate or progress is None or not progress.total:
            return None
        return max(0, progress.total - progress.done) / rate

    def begun(self) -> "Job":
        """The job as it is being done, from the beginning or again."""
        return replace(self, state="running", pace=Pace(), outcome=None, error=None)

    def waits(self) -> "Job":
        """The paused job that is to go on."""
        return replace(self, state="waiting")

    def stops(self) -> "Job":
        """The job that was asked to stop."""
        return replace(self, state="stopping")

    def advanced(self, progress: Progress, seconds: float) -> "Job":
        """The job with how far it has come, at this time."""
        return replace(self, progress=progress, pace=self.pace.after(progress, seconds))

    def stopped(self) -> "Job":
        """The job that was asked to stop, and did."""
        if self.can_pause:
            return replace(self, state="paused")
        return replace(self, state="failed", outcome=Outcome("stopped; nothing is left of it"))

    def given_up(self) -> "Job":
        """The paused job that is not to go on."""
        return replace(self, state="failed", outcome=Outcome("given up; what came is kept for another pull"))

    def ended(self, outcome: Outcome) -> "Job":
        """The job with what came of it."""
        return replace(self, state="done" if outcome.is_fine else "differs", outcome=outcome)

    def broke_off(self, error: G4Error) -> "Job":
        """The job with the reason why nothing came of it."""
        return replace(self, state="failed", error=error)


def human_seconds(seconds: float) -> str:
    """A time as people say it: 40 s, 3 min, 1 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 6000 else "days"


class Jobs:
    """All jobs, a few of which are done at the same time; the others wait."""

    def __init__(self, most: int) -> None:
        """`most` are done at the same time."""
        self._most = most
        self._jobs: dict[int, Job] = {}
        self._last = 0

    @property
    def shown(self) -> list[Job]:
        """All of them, the newest first."""
        return [self._jobs[number] for number in sorted(self._jobs, reverse=True)]

    def add(self, verb: Verb, name: str) -> Job:
        """Add a job, which waits."""
        self._last += 1
        return self.change(Job(self._last, verb, name))

    def change(self, job: Job) -> Job:
        """Put a job in the place of what it was before."""
        self._jobs[job.number] = job
        return job

    def find(self, number: int) -> Job | None:
        """A job by its number."""
        return self._jobs.get(number)

    def waiting(self) -> list[Job]:
        """Those that may begin now, the oldest first."""
        running = sum(job.state in ("running", "stopping") for job in self._jobs.values())
        return [job for job in self._jobs.values() if job.state == "waiting"][: max(0, self._most - running)]

    def busy(self) -> dict[str, str]:
        """What is being done, by the name of what it is done with."""
        return {
            job.name: _BUSY[job.verb] if job.is_open else "paused" for job in self._jobs.values() if not job.is_over
        }

    def of(self, name: str) -> Job | None:
        """The newest job with something of this name that is not over."""
        return next((job for job in self.shown if job.name == name and not job.is_over), None)

    def tidy(self) -> bool:
        """Forget those that are over; whether there were any."""
        over = [number for number, job in self._jobs.items() if job.is_over]
        for number in over:
            del self._jobs[number]
        return bool(over)
