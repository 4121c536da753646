"""Several files come from the hub at once, with one account of how far all of them are."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from g4local.core.errors import G4Error
from g4local.core.files import nearest
from g4local.core.progress import Progress, Report
from g4local.core.units import human_bytes
from g4local.hub.patience import stopped
from g4local.hub.transfer import Wanted, fetch

_AT_ONCE = 4
"""Files that come at the same time."""
_SECONDS = 0.1
"""Between two reports."""


def download(wanted: Sequence[Wanted], report: Report, cancel: Event) -> None:
    """Bring files to their places; those that are there already are left alone.

    G4Error when the disk has too little room for all, and the errors of `transfer.fetch`; files that came whole stay.
    """
    missing = [each for each in wanted if not each.is_here]
    _expect_room(missing)
    total = sum(each.file.nbytes for each in missing)
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
            report(Progress("download", sum(worker.nbytes for worker in workers), total, "bytes"))
    finally:
        stop.set()
    for worker in workers:
        if worker.failure:
            raise worker.failure
    assert all(each.is_here for each in missing)
    report(Progress("download", total, total, "bytes"))


def remaining(wanted: Sequence[Wanted]) -> int:
    """Bytes that are still to come."""
    return sum(max(each.file.nbytes - _size(each.part), 0) for each in wanted if not each.is_here)


def _expect_room(wanted: Sequence[Wanted]) -> None:
    """G4Error when the disk of the targets has no room for what is still to come."""
    if not wanted:
        return
    folder = nearest(wanted[0].target.parent)
    needed = remaining(wanted)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise G4Error(
            f"{human_bytes(needed)} are still to come, but {folder} has only {human_bytes(free)} free.",
            "Make room, take a smaller quant, or set G4LOCAL_HOME to a folder on another disk.",
        )


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
