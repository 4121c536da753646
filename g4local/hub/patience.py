"""When something is tried again, and when it is given up; and when a connection is too slow to be kept."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

from g4local.core.errors import Cancelled
from g4local.hub.client import Passing

WAITS = (1.0, 2.0, 4.0, 8.0, 8.0)
"""Seconds before each further try; then it is given up."""
LONGEST_WAIT = 60.0
"""Seconds that a server may ask to wait before it is given up at once."""

_WINDOW = 15.0
"""Seconds over which a connection's rate is measured."""
_SLOWEST = 2048
"""Bytes a second below which a connection is as good as stalled."""
_SHARE = 20
"""A connection with less than one part in so many of the rate that there was before is opened anew."""

Result = TypeVar("Result")


class Patience:
    """Counts the tries that brought nothing."""

    def __init__(self, cancel: Event, most: int = len(WAITS)) -> None:
        self._cancel = cancel
        self._most = most
        self._tries = 0

    def renew(self) -> None:
        """Something came."""
        self._tries = 0

    def wait(self, failure: Passing) -> None:
        """Wait before the next try; raises the failure when that has no use any more, and Cancelled when asked to."""
        seconds = failure.seconds
        if self._tries == self._most or (seconds is not None and seconds > LONGEST_WAIT):
            raise failure
        pause = WAITS[self._tries] if seconds is None else seconds
        self._tries += 1
        if self._cancel.wait(pause):
            raise stopped()


def persistently(attempt: Callable[[], Result], cancel: Event, most: int = len(WAITS)) -> Result:
    """What an attempt gives, which is made again after failures that may pass, at most so many times."""
    patience = Patience(cancel, most)
    while True:
        try:
            return attempt()
        except Passing as failure:
            patience.wait(failure)


class Pace:
    """How fast a connection is; a crawling one is worth less than a new one."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._nbytes = 0
        self._best = 0.0

    def reopened(self) -> None:
        """A new connection: what the last one did in this moment is forgotten."""
        self._since = self._clock()
        self._nbytes = 0

    def add(self, nbytes: int) -> None:
        """Bytes came; Passing when they come so slowly that the connection should be opened anew."""
        self._nbytes += nbytes
        elapsed = self._clock() - self._since
        if elapsed < _WINDOW:
            return
        rate = self._nbytes / elapsed
        self.reopened()
        if rate < max(_SLOWEST, self._best / _SHARE):
            self._best /= 2  # a network that became slow for good is believed after a while
            raise Passing(f"Only {rate:.0f} bytes a second came.", seconds=0)
        self._best = max(self._best, rate)


def stopped() -> Cancelled:
    """The error of a download that was asked to stop."""
    return Cancelled("The download was stopped.", "What is here already is kept; pull again to go on.")
