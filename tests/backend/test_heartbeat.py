"""A child that is stuck is found out and killed; one that is slow, or whose parent was stopped, is not."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread, Timer

import pytest

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions
from g4local.backend.process import child as children
from g4local.backend.process import frames
from g4local.backend.process.child import Child
from g4local.core.errors import Cancelled, EngineDied
from g4local.core.progress import silent
from tests.backend.processes import alive, wait_until, within
from tests.backend.prompts import GREEDY, LONG_ANSWER, chat, completion
from tests.conftest import ROOT

BUSY = """
import ctypes, sys
from g4local.backend import llama, worker
from g4local.core.errors import EngineError

class Busy:
    def __init__(self, options, stop, report):
        ctypes.CDLL(None).open(bytes(options.path), 0)  # without Python's lock, as llama.cpp computes
        raise EngineError("It is done.")

llama.LlamaEngine = Busy
worker.BEAT_SECONDS = float(sys.argv[1])
worker.main([])
"""
"""A child whose loads take until somebody writes into the pipe that they are given."""


@pytest.fixture
def busy() -> Iterator[Callable[[float], Child]]:
    """Makes such children, which say that they live every so many seconds; those that they make are up."""
    every = []

    def made(beat: float) -> Child:
        every.append(Child((sys.executable, "-c", BUSY, str(beat)), None))
        assert load(every[-1], Path(os.devnull)) == "It is done."
        return every[-1]

    yield made
    for each in every:
        each.close()


def load(child: Child, pipe: Path) -> str:
    [answer] = child.ask({"do": "start", "options": frames.options(LoadOptions(pipe))}, "loaded", Event())
    return str(answer["error"][1])


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_child_that_is_stopped_is_killed_and_told(engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine.pid
    assert first
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, Event())
    next(answer)
    os.kill(first, signal.SIGSTOP)
    died = pytest.raises(EngineDied, match=r"did not answer for 1 seconds while it answered, and was ended\.$")
    with monkeypatch.context() as patch, died as death:  # a load on a busy machine may be silent for as long
        patch.setattr(children, "SILENCE_SECONDS", 1.0)
        within(lambda: list(answer))
    assert death.value.hint and death.value.signal == signal.SIGKILL and not alive(first)
    assert completion(list(engine.generate(chat("hello"), GREEDY, 2, silent, Event()))).completion_tokens


def test_a_stopped_child_is_found_out_by_a_prompt_that_no_pipe_holds(
    engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "SILENCE_SECONDS", 1.0)
    first = engine.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(EngineDied, match="did not answer"):
        within(lambda: list(engine.generate(chat("hello " * 100_000), GREEDY, 2, silent, Event())))
    assert not alive(first)


def test_a_stopped_child_with_such_a_prompt_is_closed(engine: WorkerEngine) -> None:
    first = engine.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    running = engine._child
    assert running
    asking = Thread(target=lambda: wait_until(lambda: bool(running._answers)) and engine.close(), daemon=True)
    asking.start()
    with pytest.raises(Cancelled):
        within(lambda: list(engine.generate(chat("hello " * 100_000), GREEDY, 2, silent, Event())))
    assert not alive(first)


def test_a_child_that_computes_for_long_says_that_it_lives(busy: Callable[[float], Child], pipe: Path) -> None:
    child = busy(0.05)
    heard = child._heard
    outcome: list[bool] = []

    def end_it_when_it_has_beaten() -> None:
        outcome.append(wait_until(lambda: child._heard >= heard + 5, 60))
        pipe.write_text("")

    Thread(target=end_it_when_it_has_beaten, daemon=True).start()
    assert within(lambda: load(child, pipe)) == "It is done."
    assert outcome == [True]


def test_a_child_without_a_heartbeat_is_killed(
    busy: Callable[[float], Child], pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = busy(50)
    monkeypatch.setattr(children, "SILENCE_SECONDS", 0.5)
    with pytest.raises(EngineDied, match="did not answer for 0 seconds while it loaded"):
        within(lambda: load(child, pipe))


def test_an_idle_child_is_quiet(busy: Callable[[float], Child], pipe: Path) -> None:
    child = busy(0.01)
    heard = child._heard
    time.sleep(0.3)
    assert child._heard <= heard + 1, "one beat may have been on its way"


def test_what_was_heard_ends_a_silence_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(children, "monotonic", lambda: next(clock))  # the machine sleeps at each look
    waiting, answers = children._Waiting(0), SimpleQueue[frames.Frame | None]()
    monkeypatch.setattr(children, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(children, "SILENCE_SECONDS", 0.055)
    for heard in (0, 0, 0, 0, 1, 1, 1, 1, 1):
        assert waiting.listen(answers, is_next=True) == []
        assert waiting.complaint(heard) == ""
    waiting.listen(answers, is_next=True)
    assert waiting.complaint(1) == ""
    waiting.listen(answers, is_next=True)
    assert waiting.complaint(1)


def test_a_parent_that_was_stopped_blames_no_child(demo: Path, probe_cache: Path) -> None:
    """As after Ctrl-Z, or when the machine slept: the parent has not listened, so it has not heard."""
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from threading import Event
        from g4local.backend.process import child, frames
        from g4local.backend.client import WorkerEngine
        from g4local.backend.engine import LoadOptions, Sampling
        from g4local.core.progress import silent
        from g4local.core.prompt import Segment
        engine = WorkerEngine(LoadOptions(Path(sys.argv[1]), 4096, threads=1), cache=Path(sys.argv[2]))
        engine.start(silent, Event())
        hot = Sampling(temperature=50.0, top_p=1.0, top_k=0, seed=5)
        count = 0
        for piece in engine.generate([Segment("hello")], hot, 40, silent, Event()):
            count += 1
            if count == 3:
                child.SILENCE_SECONDS = 3.0
                print("begun", engine.pid, flush=True)
                sys.stdin.readline()
        print("whole", count, flush=True)
        engine.close()
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(demo), str(probe_cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline().split()[1])
        for each in (pid, parent.pid):
            os.kill(each, signal.SIGSTOP)
        Timer(4.0, lambda: [os.kill(each, signal.SIGCONT) for each in (parent.pid, pid)]).start()
        out, _ = parent.communicate("\n", timeout=60)
    assert out.startswith("whole")
