"""Several files come from the hub at once, with one account of how far all of them are."""

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic

from g4local.core.errors import G4Error
from g4local.core.files import expect_room
from g4local.core.progress import Progress, Report
from g4local.hub.patience import stopped
from g4local.hub.transfer import Wanted, fetch

_AT_ONCE = 4
"""Files that come at the same time."""
_SECONDS = 0.1
"""Between two reports."""
_LAST_SECONDS = 1.0
"""That is waited at most for connections to end."""


def download(wanted: Sequence[Wanted], report: Report, cancel: Event) -> None:
    """Bring files to their places; those that are there already are left alone.

    G4Error when the disk has too little room for all, and the errors of `transfer.fetch`; files that came whole stay.
    """
    missing = [each for each in wanted if not each.is_here]
    _expect_room(missing)
    if missing and cancel.is_set():
        raise stopped()
    total = sum(each.file.nbytes for each in missing)
    _fetch_all(missing, lambda nbytes: report(Progress("download", nbytes, total, "bytes")), cancel)
    for each in missing:
        if not each.is_here:
            raise G4Error(f"{each.target} came, and somebody removed it.", "Pull again.")
    report(Progress("download", total, total, "bytes"))


def remaining(wanted: Sequence[Wanted]) -> int:
    """Bytes that are still to come."""
    return sum(max(each.file.nbytes - _size(each.part), 0) for each in wanted if not each.is_here)


def _expect_room(wanted: Sequence[Wanted]) -> None:
    """G4Error when the disk of the targets has no room for what is still to come."""
    if wanted:
        hint = "Make room, take a smaller quant, or set G4LOCAL_HOME to a folder on another disk."
        expect_room(wanted[0].target.parent, remaining(wanted), "are still to come", hint)


def _fetch_all(missing: Sequence[Wanted], tell: Callable[[int], None], cancel: Event) -> None:
    """Fetch files, some at once; the first failure ends it. `tell` is told how many bytes of all are here."""
    stop = Event()
    queue: SimpleQueue[Wanted] = SimpleQueue()
    for each in missing:
        queue.put(each)
    workers = [_Worker(queue, stop) for _ in missing[:_AT_ONCE]]
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers) and not any(worker.failure for worker in workers):
            if cancel.wait(_SECONDS):
                raise stopped()
            tell(sum(worker.nbytes for worker in workers))
    finally:
        stop.set()
        _wait_for(workers)
    for worker in workers:
        if worker.failure:
            raise worker.failure


def _wait_for(workers: Sequence["_Worker"]) -> None:
    """Let workers that were asked to stop put down what they have; one whose connection stalls is left to itself."""
    limit = monotonic() + _LAST_SECONDS
    for worker in workers:
        worker.join(max(limit - monotonic(), 0))


class _Worker(Thread):
    """Takes files from a queue until it is empty; a daemon, since a stalled connection must not hold up Ctrl-C."""

    def __init__(self, queue: "SimpleQueue[Wanted]", stop: Event) -> None:
        super().__init__(name="g4local download", daemon=True)
        self.failure: Exception | None = None
        """What ended it, to be raised where it was started."""
        self._queue = queue
        self._stop_asked = stop
        self._finished = 0
        self._current = 0

    @property
    def nbytes(self) -> int:
        """Bytes of its files that are here."""
        return self._finished + self._current

    def run(self) -> None:
        """Fetch one file after the other."""
        while not self._stop_asked.is_set():
            try:
                wanted = self._queue.get_nowait()
            except Empty:
                return
            try:
                fetch(wanted, self._tell, self._stop_asked)
            except Exception as failure:
                self.failure = failure
                return
            self._finished, self._current = self._finished + wanted.file.nbytes, 0

    def _tell(self, nbytes: int) -> None:
        self._current = nbytes


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
