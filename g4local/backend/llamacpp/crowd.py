"""Other programs that want the cores too: a thread less while they do.

All threads of a layer wait for the slowest. When another program takes the core of one, the others wait for it some
hundred times a token, so that two threads can be ten times slower than one. What tells is the processor time that the
threads get: nearly all of it while they have their cores to themselves. How many there are changes no number.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time

import llama_cpp.llama_cpp as llama

LOOK_SECONDS = 0.25
"""Seconds of computing between two looks."""
LEAST_SHARE = 0.8
"""What threads get of their cores' time, at least, while they have these to themselves: 0.98 was measured, else 0.5."""
HOLD_SECONDS, LONGEST_HOLD_SECONDS = 2.0, 30.0
"""After so long a thread that was given up is tried again; after twice as long each time that it is crowded still."""


@dataclass(slots=True)
class Crowd:
    """How many threads to give up, from what the others get of their cores."""

    given_up: int = 0
    _seconds: float = 0.0
    _cores: float = 0.0
    """Seconds times threads since the last look."""
    _used: float = 0.0
    """Processor time since the last look."""
    _hold: float = HOLD_SECONDS
    _left: float = 0.0
    """Seconds until one more thread is tried, or the crowd forgotten."""

    def tell(self, seconds: float, threads: int, used: float) -> None:
        """Note a computation of so many threads, and the processor time that it used."""
        self._seconds += seconds
        self._cores += seconds * threads
        self._used += used
        self._left -= seconds
        if self._seconds >= LOOK_SECONDS:
            self._look(is_crowded=threads > 1 and self._used < LEAST_SHARE * self._cores)
            self._seconds = self._cores = self._used = 0.0

    def _look(self, *, is_crowded: bool) -> None:
        if is_crowded:
            self.given_up += 1
            self._left, self._hold = self._hold, min(2 * self._hold, LONGEST_HOLD_SECONDS)
        elif self._left <= 0 and self.given_up:
            self.given_up -= 1
            self._left = HOLD_SECONDS
        elif self._left <= 0:
            self._hold = HOLD_SECONDS


class Threads:
    """The threads of a context that computes on the CPU; a crowd takes some of them away for a while."""

    def __init__(self, context: int, single: int, batch: int) -> None:
        """`single` compute one token, `batch` more than one."""
        self._contexts = [context]
        self._single, self._batch = single, batch
        self._crowd = Crowd()

    def share(self, context: int) -> None:
        """Let another context, which decodes in turn with this one, have as many."""
        self._contexts.append(context)

    @contextmanager
    def watched(self, tokens: int) -> Iterator[None]:
        """Watch a decode of so many tokens."""
        most, given_up = self._batch if tokens > 1 else self._single, self._crowd.given_up
        began, used, waits = perf_counter(), process_time(), _waits()
        yield
        if _waits() == waits:
            self._crowd.tell(perf_counter() - began, max(1, most - given_up), process_time() - used)
        if self._crowd.given_up != given_up:
            single, batch = (max(1, count - self._crowd.given_up) for count in (self._single, self._batch))
            for context in self._contexts:
                llama.llama_set_n_threads(context, single, batch)


def _waits() -> int:
    """How often this process has waited for the disk, for pages of its memory."""
    return getrusage(RUSAGE_SELF).ru_majflt
