"""An iteration that nobody needs any more ends when it is collected: at any moment, in the middle of anything."""

import gc
import sys
from collections.abc import Callable, Generator
from threading import Event, Thread
from typing import Any

import pytest

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import Sampling
from g4local.backend.process import frames, idle
from g4local.backend.process.child import Child
from g4local.backend.process.idle import IdleClock
from g4local.core.errors import UsageError
from g4local.core.progress import silent
from tests.backend.prompts import LONG_ANSWER, chat

ECHO = """
import json, sys
for line in sys.stdin:
    job = json.loads(line)["job"]
    print(json.dumps({"job": job, "pieces": []}), flush=True)
    print(json.dumps({"job": job, "info": {}}), flush=True)
"""
"""A child that answers every line twice, that of a cancel included."""


class Pipe:
    """A pipe in whose use garbage is collected."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def write(self, data: bytes) -> None:
        gc.collect()
        self._pipe.write(data)
        gc.collect()

    def flush(self) -> None:
        self._pipe.flush()

    def close(self) -> None:
        gc.collect()
        self._pipe.close()


def abandoned(begun: Generator[Any, None, None]) -> None:
    """Leave a begun iteration to the collector, as the traceback of an error does that came out of it."""
    next(begun)
    ring: list[Any] = [begun]
    ring.append(ring)


def in_time(work: Callable[[], None]) -> bool:
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    return not thread.is_alive()


@pytest.mark.parametrize("moment", ["encode", "write"])
def test_an_abandoned_job_ends_in_the_middle_of_another_one(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Child((sys.executable, "-c", ECHO), None)
    encode, sent = frames.encode, []

    def collecting(frame: frames.Frame) -> bytes:
        gc.collect()
        sent.append(frame)
        return encode(frame)

    def work() -> None:
        abandoned(running.ask({"do": "first"}, "did the first", Event()))
        if moment == "encode":
            monkeypatch.setattr(frames, "encode", collecting)
        else:
            monkeypatch.setattr(running._process, "stdin", Pipe(running._process.stdin))
        assert len(list(running.ask({"do": "second"}, "did the second", Event()))) == 2
        abandoned(running.ask({"do": "third"}, "did the third", Event()))
        running.close()

    gc.disable()
    try:
        assert in_time(work)
    finally:
        gc.enable()
    if moment == "encode":
        assert {"job": 1, "do": "cancel"} in sent


def test_something_busy_that_was_abandoned_ends_in_the_middle_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Collecting(idle.Timer):  # type: ignore[misc, valid-type]
        def start(self) -> None:
            gc.collect()
            super().start()

    freed = Event()
    clock = IdleClock(1, freed.set)

    def busy() -> Generator[None, None, None]:
        with clock.busy():
            yield

    def work() -> None:
        with clock.busy():
            pass
        monkeypatch.setattr(idle, "Timer", Collecting)
        with clock.busy():
            pass
        abandoned(busy())
        monkeypatch.setattr(clock, "_cancel", lambda: gc.collect() and None)
        with clock.busy():
            pass

    gc.disable()
    try:
        assert in_time(work)
    finally:
        gc.enable()
    monkeypatch.undo()
    assert freed.wait(5)
    clock.stop()


def test_an_error_leaves_nothing_to_the_collector(engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the child has refused is over when its error is raised."""
    with pytest.raises(UsageError):
        list(engine.generate(chat("hello"), Sampling(top_k=-1), 0, silent, Event()))
    assert engine._child and not engine._child._answers
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, Event())
    next(answer)
    answer.close()
    assert not engine._child._answers
