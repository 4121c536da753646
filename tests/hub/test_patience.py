"""When a connection is too slow to be kept, and how long is waited."""

from threading import Event

import pytest

from g4local.core.errors import Cancelled
from g4local.hub.client import Passing
from g4local.hub.patience import Pace, Patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def minutes(pace: Pace, clock: Clock, rate: float, seconds: int) -> None:
    for _ in range(seconds):
        clock.now += 1
        pace.add(int(rate))


def test_a_steady_connection_is_kept_however_slow_the_network() -> None:
    clock = Clock()
    pace = Pace(clock)
    minutes(pace, clock, 5000, 600)


def test_a_connection_that_crawls_is_not() -> None:
    clock = Clock()
    pace = Pace(clock)
    with pytest.raises(Passing):
        minutes(pace, clock, 100, 20)


def test_a_connection_that_becomes_much_slower_is_opened_anew_and_then_believed() -> None:
    clock = Clock()
    pace = Pace(clock)
    minutes(pace, clock, 1_000_000, 60)
    reopened = 0
    for _ in range(60):
        try:
            minutes(pace, clock, 20_000, 20)
        except Passing:
            reopened += 1
            pace.reopened()
    assert 1 <= reopened <= 3


def test_a_server_that_asks_for_time_gets_it_but_not_an_hour() -> None:
    patience = Patience(Event())
    patience.wait(Passing("x", seconds=0))
    with pytest.raises(Passing):
        patience.wait(Passing("x", seconds=3600))


def test_waiting_ends_when_the_user_stops() -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Cancelled):
        Patience(stop).wait(Passing("x"))
