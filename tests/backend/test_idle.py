"""A model that nobody asks is freed, never under a request, and loaded again by the next one."""

import math
import time
from pathlib import Path
from threading import Event, Thread

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions
from g4local.backend.process import idle
from g4local.backend.process.idle import IdleClock
from g4local.core.progress import Progress, silent
from tests.backend.processes import alive, wait_until
from tests.backend.prompts import GREEDY, LONG_ANSWER, chat, completion, ids


def clock(seconds: float, then: object = None) -> tuple[IdleClock, list[float]]:
    """A clock of less than a second, and the moments at which it was over."""
    over: list[float] = []
    made = IdleClock(1, lambda: over.append(time.monotonic()))
    made._seconds = seconds
    return made, over


def test_what_is_idle_for_long_enough_is_told_once() -> None:
    made, over = clock(0.05)
    with made.busy():
        time.sleep(0.1)
        assert not over
    assert wait_until(lambda: bool(over), 5)
    time.sleep(0.1)
    assert len(over) == 1


def test_each_request_begins_the_time_anew_and_nested_ones_are_one() -> None:
    made, over = clock(0.2)
    with made.busy():
        with made.busy():
            pass
        time.sleep(0.3)
        assert not over
        ended = time.monotonic()
    assert wait_until(lambda: bool(over), 5)
    assert over[0] - ended >= 0.2


def test_a_stopped_clock_and_one_without_end_tell_nothing() -> None:
    made, over = clock(0.05)
    with made.busy():
        pass
    made.stop()
    endless, never = clock(math.inf)
    with endless.busy():
        pass
    time.sleep(0.15)
    assert not over and not never
    assert IdleClock(0, list)._seconds == idle._SHORTEST


def test_a_request_that_begins_at_that_moment_is_never_beside_it() -> None:
    """Whatever comes first, the other one waits: many clocks, each asked at about the moment at which it is over."""
    beside: list[bool] = []
    for turn in range(200):
        inside = Event()

        def free(inside: Event = inside) -> None:
            beside.append(inside.is_set())
            time.sleep(0.001)
            beside.append(inside.is_set())

        made = IdleClock(1, free)
        made._seconds = 0.002
        with made.busy():
            pass
        time.sleep(0.0015 + turn % 20 * 0.0001)
        with made.busy():
            inside.set()
            time.sleep(0.001)
            inside.clear()
        made.stop()
    assert len(beside) > 20 and not any(beside)


def test_an_idle_model_is_freed_and_the_next_question_loads_it_with_a_progress(demo: Path, probe_cache: Path) -> None:
    engine = WorkerEngine(LoadOptions(demo, 512, threads=1), cache=probe_cache, keep_alive=1)
    try:
        engine.start(silent, Event())
        first = engine.pid
        assert first and wait_until(lambda: engine.pid is None, 10)
        assert wait_until(lambda: not alive(first), 5)
        told: list[Progress] = []
        assert ids(engine.generate(chat("hello"), GREEDY, 1, told.append, Event()))
        assert {step.stage for step in told} == {"load", "prefill"} and engine.pid not in (None, first)
    finally:
        engine.close()


def test_a_model_in_use_is_not_freed_and_requests_at_the_last_moment_are_answered(
    demo: Path, probe_cache: Path
) -> None:
    engine = WorkerEngine(LoadOptions(demo, 2048, threads=1), cache=probe_cache, keep_alive=1)
    engine._idle._seconds = 0.02
    try:
        pids = set()
        for turn in range(6):
            said = []
            for piece in engine.generate(chat("hello"), LONG_ANSWER, 3, silent, Event()):
                said.append(piece)
                pids.add(engine.pid)
                time.sleep(0.03)
            assert completion(said).completion_tokens
            time.sleep(0.015 + turn % 4 * 0.004)
        assert None not in pids and len(pids) > 1
    finally:
        engine.close()


def test_close_ends_an_engine_that_waits_to_be_freed(demo: Path, probe_cache: Path) -> None:
    engine = WorkerEngine(LoadOptions(demo, 512, threads=1), cache=probe_cache, keep_alive=1)
    engine.start(silent, Event())
    closers = [Thread(target=engine.close) for _ in range(3)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    assert engine.pid is None
    assert engine.start(silent, Event()).architecture == "gemma4"
    engine.close()
