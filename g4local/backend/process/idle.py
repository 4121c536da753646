"""A clock that does something once nothing has gone on for a while; it knows nothing of what goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import TIMEOUT_MAX, RLock, Timer

_SHORTEST = 1.0
"""Seconds; the rounds of one turn follow each other in less."""


class IdleClock:
    """Calls `then` after so many seconds in which nothing was busy; it never runs beside something busy.

    What becomes busy at that very moment either keeps `then` from being called, or waits until it is done.
    """

    def __init__(self, seconds: float, then: Callable[[], None]) -> None:
        """More seconds than a thread can wait (some centuries) are never over; fewer than one are one."""
        self._seconds = max(seconds, _SHORTEST)
        self._then = then
        self._lock = RLock()
        """One that its thread may take again: what was busy may end when it is collected, at any moment."""
        self._busy = 0
        self._timer: Timer | None = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While the block runs, nothing is idle; the seconds are counted from its end."""
        with self._lock:
            self._busy += 1
            self._cancel()
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                if not self._busy and self._seconds <= TIMEOUT_MAX:
                    self._cancel()
                    self._timer = Timer(self._seconds, self._over)
                    self._timer.daemon = True
                    self._timer.args = [self._timer]
                    self._timer.start()

    def stop(self) -> None:
        """Count no longer; waits for a `then` that has begun."""
        with self._lock:
            self._cancel()

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _over(self, timer: Timer) -> None:
        with self._lock:
            if self._timer is timer:
                self._timer = None
                self._then()
