"""A child that is stuck is found out and killed; one that is slow, or whose parent was stopped, is not."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from threading import Event, Thread, Timer

import pytest

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions
from g4local.backend.process import child, frames
from g4local.backend.process.child import Child
from g4local.core.errors import Cancelled, EngineDied
from g4local.core.progress import silent
from tests.backend.processes import alive
from tests.backend.prompts import GREEDY, LONG_ANSWER, chat, completion
from tests.conftest import ROOT

SLOW = """
import ctypes, sys
from g4local.backend import llama, worker
from g4local.core.errors import EngineError

class Slow:
    def __init__(self, options, stop, report):
        ctypes.CDLL(None).usleep(int(options.path.name))  # without Python's lock, as llama.cpp computes
        raise EngineError("It has slept.")

llama.LlamaEngine = Slow
worker.BEAT_SECONDS = float(sys.argv[1])
worker.main([])
"""


def slow_child(beat: float) -> Child:
    """A child that is up, sleeps when it is told to load, and says that it lives every so many seconds."""
    child = Child((sys.executable, "-c", SLOW, str(beat)), None)
    assert sleep(child, 0) == "It has slept."
    return child


def sleep(child: Child, milliseconds: int) -> str:
    options = frames.options(LoadOptions(Path(str(1000 * milliseconds))))
    [answer] = child.ask({"do": "start", "options": options}, "slept", Event())
    return str(answer["error"][1])


def test_a_child_that_is_stopped_is_killed_and_told(engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "SILENCE_SECONDS", 1.0)
    first = engine.pid
    assert first
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, Event())
    next(answer)
    os.kill(first, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(EngineDied, match=r"did not answer for 1 seconds while it answered, and was ended\.$") as death:
        list(answer)
    assert 1 <= time.monotonic() - started < 20
    assert death.value.hint and death.value.signal == signal.SIGKILL and not alive(first)
    assert completion(list(engine.generate(chat("hello"), GREEDY, 2, silent, Event()))).completion_tokens


def test_a_stopped_child_is_found_out_by_a_prompt_that_no_pipe_holds(
    engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "SILENCE_SECONDS", 1.0)
    first = engine.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(EngineDied, match="did not answer"):
        list(engine.generate(chat("hello " * 100_000), GREEDY, 2, silent, Event()))
    assert not alive(first)


def test_a_stopped_child_with_such_a_prompt_is_closed(engine: WorkerEngine) -> None:
    first = engine.pid
    assert first
    os.kill(first, signal.SIGSTOP)
    answer = engine.generate(chat("hello " * 100_000), GREEDY, 2, silent, Event())
    told: list[Exception] = []

    def ask() -> None:
        try:
            list(answer)
        except Cancelled as error:
            told.append(error)

    asking = Thread(target=ask, daemon=True)
    asking.start()
    time.sleep(0.2)
    engine.close()
    asking.join(30)
    assert told and not alive(first)


def test_a_stopped_child_that_was_told_to_stop_is_found_out_too(
    engine: WorkerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "SILENCE_SECONDS", 1.0)
    cancel = Event()
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, cancel)
    next(answer)
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)
    cancel.set()
    with pytest.raises(EngineDied, match="did not answer"):
        list(answer)


def test_a_child_that_computes_for_long_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = slow_child(beat=0.1)
    monkeypatch.setattr(child, "SILENCE_SECONDS", 1.0)
    heard = slow._heard
    assert sleep(slow, 1500) == "It has slept."
    assert slow._heard > heard + 3
    slow.close()


def test_without_its_heartbeat_the_same_child_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = slow_child(beat=50)
    monkeypatch.setattr(child, "SILENCE_SECONDS", 0.5)
    with pytest.raises(EngineDied, match="while it slept"):
        sleep(slow, 60_000)


def test_an_idle_child_is_quiet(engine: WorkerEngine) -> None:
    assert engine._child
    heard = engine._child._heard
    time.sleep(0.3)
    assert engine._child._heard == heard


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
        child.SILENCE_SECONDS = 1.0
        engine = WorkerEngine(LoadOptions(Path(sys.argv[1]), 4096, threads=1), cache=Path(sys.argv[2]))
        engine.start(silent, Event())
        hot = Sampling(temperature=50.0, top_p=1.0, top_k=0, seed=5)
        count = 0
        for piece in engine.generate([Segment("hello")], hot, 40, silent, Event()):
            count += 1
            if count == 3:
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
        Timer(2.0, lambda: [os.kill(each, signal.SIGCONT) for each in (parent.pid, pid)]).start()
        out, _ = parent.communicate("\n", timeout=60)
    assert out.startswith("whole")
