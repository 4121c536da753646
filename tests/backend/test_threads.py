"""Threads that share an engine: one child, whoever comes first, and none that is left behind."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Barrier, BrokenBarrierError, Event, Thread
from typing import Any

import pytest

from g4local.backend import client, tuning
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import Completion, LoadOptions, Sampling
from g4local.backend.process import child as children
from g4local.backend.process import frames
from g4local.backend.process.child import Child
from g4local.backend.tuning import Tuning
from g4local.core.errors import Cancelled, EngineDied, EngineError
from g4local.core.progress import silent
from tests.backend.processes import alive, wait_until, within
from tests.backend.prompts import chat
from tests.fakes import INFO

END = frames.said(Completion("stop", 1, 1, 0, 1, 0.0, 0.0, 1))
PROGRAM = f"""
import json, sys
for line in sys.stdin:
    frame = json.loads(line)
    answers = {{"start": [{{"info": {frames.info(INFO)}}}], "generate": [{{"pieces": [[1, "x"]]}}, {END}]}}
    for answer in answers.get(frame["do"], []):
        print(json.dumps({{"job": frame["job"], **answer}}), flush=True)
"""
"""A child that loads and answers at once."""


@dataclass
class Shared:
    """An engine, and every child that it has made."""

    engine: WorkerEngine
    made: list[Child]

    @property
    def left_behind(self) -> list[int]:
        self.engine.close()
        return [each.pid for each in self.made if alive(each.pid)]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    made: list[Child] = []

    def noted(*arguments: Any) -> Child:
        made.append(Child(*arguments))
        return made[-1]

    monkeypatch.setattr(client, "Child", noted)
    on_tuning(monkeypatch, lambda: None)
    command = (sys.executable, "-c", PROGRAM)
    yield Shared(WorkerEngine(LoadOptions(Path("x")), cache=tmp_path, command=command, keep_alive=1), made)
    for each in made:
        each.close()


def on_tuning(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """What happens in a load before there is a child."""

    def setting(*_: object) -> Tuning:
        do()
        return Tuning(1, 1, False)

    monkeypatch.setattr(tuning, "setting", setting)


def both(*works: Callable[[], object]) -> list[object]:
    """What each gives that runs in a thread of its own, or its error."""
    outcomes: list[object] = [None] * len(works)

    def do(number: int) -> None:
        try:
            outcomes[number] = works[number]()
        except (EngineError, Cancelled) as error:
            outcomes[number] = error

    threads = [Thread(target=do, args=(number,), daemon=True) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        within(thread.join)
    return outcomes


def said(engine: WorkerEngine) -> int:
    return len(list(engine.generate(chat("hello"), Sampling(), 0, silent, Event())))


def test_threads_that_start_at_one_time_get_the_same_child(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    at_one_time = Barrier(2)

    def meet() -> None:
        with suppress(BrokenBarrierError):
            at_one_time.wait(1)

    on_tuning(monkeypatch, meet)
    engine = shared.engine
    assert both(lambda: engine.start(silent, Event()), lambda: said(engine)) == [INFO, 2]
    assert len(shared.made) == 1 and shared.left_behind == []


def test_who_waits_for_anothers_load_can_be_stopped(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, go_on, cancel = Event(), Event(), Event()
    on_tuning(monkeypatch, lambda: (waiting.set(), go_on.wait(120)))
    first = Thread(target=shared.engine.start, args=(silent, Event()), daemon=True)
    first.start()
    assert waiting.wait(60)
    second = Thread(target=lambda: both(lambda: cancelled.append(stopped())), daemon=True)
    cancelled: list[str] = []

    def stopped() -> str:
        with pytest.raises(Cancelled) as told:
            shared.engine.tokenize(chat("hello"), cancel)
        return told.value.message

    second.start()
    assert wait_until(lambda: shared.engine._idle._busy == 2)
    cancel.set()
    within(second.join)
    assert cancelled == ["Loading the model was cancelled."]
    go_on.set()
    within(first.join)
    assert len(shared.made) == 1 and shared.left_behind == []


def test_a_close_before_there_is_a_child_ends_the_load(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    on_tuning(monkeypatch, lambda: both(shared.engine.close))
    with pytest.raises(Cancelled, match="was closed"):
        shared.engine.start(silent, Event())
    assert shared.engine.pid is None and not any(alive(each.pid) for each in shared.made)
    on_tuning(monkeypatch, lambda: None)
    assert said(shared.engine) == 2


def test_an_abandoned_answer_ends_in_the_middle_of_a_load(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> int:
        begun = shared.engine.generate(chat("hello"), Sampling(), 0, silent, Event())
        next(begun)
        ring: list[Any] = [begun]
        ring.append(ring)
        os.kill(shared.made[0].pid, signal.SIGKILL)
        assert wait_until(lambda: shared.engine.pid is None)
        del begun, ring
        on_tuning(monkeypatch, gc.collect)
        return said(shared.engine)

    gc.disable()
    try:
        assert within(work) == 2
    finally:
        gc.enable()
    assert shared.engine._idle._busy == 0
    assert len(shared.made) == 2 and shared.left_behind == []


def test_threads_that_ask_and_close_and_idle_and_die_leave_nothing_behind(shared: Shared) -> None:
    engine = shared.engine
    engine._idle._seconds = 0.001
    dice = [Random(seed) for seed in range(4)]

    def use(random: Random) -> int:
        answers = 0
        for _ in range(25):
            what = random.random()
            try:
                if what < 0.1:
                    engine.close()
                elif what < 0.2 and (pid := engine.pid):
                    os.kill(pid, signal.SIGKILL)
                elif what < 0.3:
                    begun = engine.generate(chat("hello"), Sampling(), 0, silent, Event())
                    next(begun)
                    begun.close()
                else:
                    answers += said(engine) == 2
            except (Cancelled, EngineDied, ProcessLookupError):
                pass
        return answers

    outcomes = both(*(lambda random=random: use(random) for random in dice))  # type: ignore[misc]
    assert all(isinstance(each, int) for each in outcomes), outcomes
    assert said(engine) == 2
    assert shared.left_behind == [] and engine._idle._busy == 0


def test_one_that_is_ended_from_here_is_no_death_for_who_else_asks_it(shared: Shared) -> None:
    """A cancel that kills the child must not blame the memory in another thread's answer."""
    engine = shared.engine
    engine.start(silent, Event())
    running = shared.made[0]
    other = running.ask({"do": "nothing"}, "answered", Event())
    outcomes = both(
        lambda: list(other),
        lambda: (
            wait_until(lambda: bool(running._answers)) and next(running.ask({}, "read", set_event(), patient=False))
        ),
    )
    assert [str(each) for each in outcomes] == [
        "llama.cpp was stopped while it answered.",
        "llama.cpp was stopped while it read.",
    ]


def set_event() -> Event:
    event = Event()
    event.set()
    return event


def test_no_room_for_another_process_or_thread_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match=r"can't be started: No such file or directory\.$") as missing:
        Child((str(tmp_path / "nothing"),), None)
    assert "ulimit" in missing.value.hint
    started: list[Thread] = []

    class Refused(Thread):
        def start(self) -> None:
            if started:
                raise RuntimeError("can't start new thread")
            started.append(self)
            super().start()

    monkeypatch.setattr(children, "Thread", Refused)
    pids: list[int] = []
    launched = children.launch.running
    monkeypatch.setattr(children.launch, "running", lambda command: noted(launched(command), pids))
    with pytest.raises(EngineError, match=r"can't be started: can't start new thread\.$"):
        Child((sys.executable, "-c", "input()"), None)
    assert len(pids) == 1 and not alive(pids[0])


def noted(process: Any, pids: list[int]) -> Any:
    pids.append(process.pid)
    return process
