"""A wish to stop ends what the child does, at once and without harm to what comes after."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread, Timer

import pytest

from g4local.backend.client import WorkerEngine
from g4local.backend.process import child
from g4local.backend.process.child import Child
from g4local.core.errors import Cancelled
from g4local.core.progress import Progress, silent
from g4local.core.prompt import Segment
from tests.backend.conftest import WorkerLoader
from tests.backend.processes import alive, within
from tests.backend.prompts import GREEDY, LONG_ANSWER, chat, completion, ids, words

CHATTERBOX = """
import json, sys, time
job = json.loads(sys.stdin.readline())["job"]
while True:
    print(json.dumps({"job": job, "pieces": []}), flush=True)
    time.sleep(0.05)
"""
"""A child whose first job never comes to an end, and stops for nobody."""


def test_cancel_ends_an_answer_and_keeps_the_child(engine: WorkerEngine) -> None:
    cancel = Event()
    pid = engine.pid
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, cancel)
    said = [next(answer), next(answer)]
    cancel.set()
    said += list(answer)
    assert completion(said).reason == "cancelled"
    assert engine.pid == pid
    assert completion(list(engine.generate(chat("hello"), GREEDY, 1, silent, Event()))).reason in ("length", "stop")


def test_cancel_in_a_prefill_ends_it_before_it_is_done(demo: Path, worker: WorkerLoader) -> None:
    engine = worker(demo, context=4096)
    cancel = Event()
    told: list[Progress] = []

    def cancel_at_once(progress: Progress) -> None:
        told.append(progress)
        cancel.set()

    prompt = chat(words(1, 750))
    said = list(
        engine.generate(prompt, GREEDY, 0, lambda p: cancel_at_once(p) if p.stage == "prefill" else None, cancel)
    )
    assert completion(said).reason == "cancelled" and len(said) == 1
    assert told[-1].done < told[-1].total > 1000
    assert len(ids(engine.generate(prompt, GREEDY, 1, silent, Event()))) == 1


def test_a_prefill_that_was_stopped_has_not_been_for_nothing(demo: Path, worker: WorkerLoader) -> None:
    engine = worker(demo, context=4096)
    engine.start(silent, Event())
    cancel = Event()
    told: list[Progress] = []

    def stop_in_the_third_batch(progress: Progress) -> None:
        told.append(progress)
        if progress.done > 600:
            cancel.set()

    prompt = chat(words(1, 900))
    said = list(engine.generate(prompt, GREEDY, 0, stop_in_the_third_batch, cancel))
    assert completion(said).reason == "cancelled" and 600 < told[-1].done < told[-1].total
    again = list(engine.generate(prompt, GREEDY, 3, silent, Event()))
    assert completion(again).reused_tokens >= told[-1].done
    assert ids(again) == ids(worker(demo, context=4096).generate(prompt, GREEDY, 3, silent, Event()))


def test_cancel_while_it_reads_a_text_ends_it_at_once(demo: Path, worker: WorkerLoader) -> None:
    engine = worker(demo)
    engine.start(silent, Event())
    first = engine.pid
    cancel = Event()
    assert first
    os.kill(first, signal.SIGSTOP)
    Timer(0.1, cancel.set).start()
    with pytest.raises(Cancelled):
        within(lambda: engine.tokenize([Segment("a text that takes long")], cancel))
    assert engine.pid is None and not alive(first)
    with pytest.raises(Cancelled):
        engine.tokenize(chat("hello"), cancel)
    assert engine.tokenize(chat("hello"), Event())


def test_cancel_while_it_loads_kills_the_child(demo: Path, worker: WorkerLoader) -> None:
    engine = worker(demo)
    cancel = Event()
    seen: list[int | None] = []

    def on_progress(progress: Progress) -> None:
        seen.append(engine.pid)
        cancel.set()

    with pytest.raises(Cancelled):
        engine.start(on_progress, cancel)
    assert engine.pid is None and seen[0] and not alive(seen[0])
    with pytest.raises(Cancelled):
        engine.start(silent, cancel)
    assert engine.start(silent, Event()).architecture == "gemma4"


def test_a_cancel_that_was_there_before_gives_a_cancelled_answer_and_no_token(engine: WorkerEngine) -> None:
    cancel = Event()
    cancel.set()
    said = list(engine.generate(chat("hello"), LONG_ANSWER, 0, silent, cancel))
    assert completion(said).reason == "cancelled"
    with pytest.raises(Cancelled):
        engine.start(silent, cancel)


def test_an_answer_that_nobody_waits_for_stops(engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    send = Child._send
    monkeypatch.setattr(Child, "_send", lambda self, frame: (sent.append(frame["do"]), send(self, frame)))
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, Event())
    next(answer)
    del answer
    said = list(engine.generate(chat("hello"), GREEDY, 2, silent, Event()))
    assert completion(said).completion_tokens <= 2
    assert sent == ["generate", "cancel", "generate"]


def test_a_late_cancel_does_not_reach_the_next_answer(engine: WorkerEngine) -> None:
    process = engine._child
    assert process is not None
    list(engine.generate(chat("hello"), GREEDY, 1, silent, Event()))
    for job in (1, 2):
        process._send({"job": job, "do": "cancel"})
    assert completion(list(engine.generate(chat("hello"), GREEDY, 2, silent, Event()))).reason != "cancelled"


def test_closing_from_another_thread_ends_an_answer(engine: WorkerEngine) -> None:
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, Event())
    next(answer)
    Thread(target=engine.close).start()
    with pytest.raises(Cancelled, match=r"llama\.cpp was stopped while it answered\."):
        within(lambda: list(answer))
    assert engine.pid is None


def test_a_child_that_does_not_stop_is_killed_and_told(engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its silence alone would not end it so soon."""
    monkeypatch.setattr(child, "STOP_SECONDS", 1.0)
    first, cancel = engine.pid, Event()
    assert first
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, cancel)
    next(answer)
    os.kill(first, signal.SIGSTOP)
    cancel.set()
    with pytest.raises(Cancelled, match=r"did not stop for 1 seconds while it answered, and was ended\.$") as told:
        within(lambda: list(answer))
    assert told.value.hint and not alive(first)
    assert completion(list(engine.generate(chat("hello"), GREEDY, 2, silent, Event()))).completion_tokens


@pytest.fixture
def chatterbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    monkeypatch.setattr(child, "STOP_SECONDS", 0.5)
    running = Child((sys.executable, "-c", CHATTERBOX), None)
    yield running
    running.close()


def test_a_child_that_talks_on_is_killed_too(chatterbox: Child) -> None:
    cancel = Event()
    answers = chatterbox.ask({"do": "talk"}, "talked", cancel)
    next(answers)
    cancel.set()
    with pytest.raises(Cancelled, match="did not stop for 0 seconds while it talked"):
        within(lambda: list(answers))
    assert not chatterbox.lives


def test_a_job_that_waits_for_another_one_is_no_reason_to_kill(chatterbox: Child) -> None:
    cancelled, told = Event(), []
    cancelled.set()
    first = chatterbox.ask({"do": "talk"}, "talked", Event())
    next(first)

    def wait() -> None:
        with pytest.raises(Cancelled) as stopped:
            list(chatterbox.ask({"do": "wait"}, "waited", cancelled))
        told.append(stopped.value.message)

    waiting = Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(2)
    assert waiting.is_alive() and chatterbox.lives
    first.close()
    within(waiting.join)
    assert told == ["llama.cpp's process did not stop for 0 seconds while it waited, and was ended."]
