"""The engine in its child: the same answers, deaths that are errors, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from threading import Event, Thread

import pytest

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Sampling
from g4local.backend.process import child
from g4local.core.errors import BadGguf, ContextFull, EngineDied, EngineError, ModelNotFound, UsageError
from g4local.core.progress import Progress, silent
from g4local.core.prompt import Segment
from tests.backend.conftest import Loader, WorkerLoader
from tests.backend.processes import alive, is_zombie, wait_until, within
from tests.backend.prompts import GREEDY, LONG_ANSWER, chat, completion, ids, special, words
from tests.conftest import ROOT


def test_the_child_says_what_an_engine_in_this_process_says(demo: Path, engine: WorkerEngine, load: Loader) -> None:
    here = load(demo)
    assert engine.start(silent, Event()) == here.info
    assert engine.tokenize(chat("hello"), Event()) == here.tokenize(chat("hello"))
    there = list(engine.generate(chat("hello"), LONG_ANSWER, 20, silent, Event()))
    said = list(here.generate(chat("hello"), LONG_ANSWER, 20, silent))
    assert there[:-1] == said[:-1]
    assert completion(there).reason == completion(said).reason


def test_any_text_reaches_the_child(engine: WorkerEngine) -> None:
    assert engine.tokenize([Segment('\x00 \udcff "\\ \n 🙂')], Event()) == engine.tokenize(
        [Segment('\x00 ? "\\ \n 🙂')], Event()
    )


def test_loading_and_prefill_are_reported(demo: Path, worker: WorkerLoader) -> None:
    told: list[Progress] = []
    engine = worker(demo)
    engine.start(told.append, Event())
    assert {step.stage for step in told} == {"load"} and told[-1].done == told[-1].total
    told.clear()
    list(engine.generate(chat(words(1, 50)), GREEDY, 1, told.append, Event()))
    assert {step.stage for step in told} == {"prefill"} and told[-1].done == told[-1].total


def test_a_second_start_loads_nothing(engine: WorkerEngine) -> None:
    pid = engine.pid
    told: list[Progress] = []
    engine.start(told.append, Event())
    assert told == [] and engine.pid == pid


def test_errors_of_the_child_arrive_as_they_were_raised(
    demo: Path, engine: WorkerEngine, worker: WorkerLoader, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"<\|nonsense\|>"):
        engine.tokenize([special("<|nonsense|>")], Event())
    with pytest.raises(ContextFull) as full:
        list(engine.generate(chat(words(1, 1000)), GREEDY, 0, silent, Event()))
    assert full.value.hint
    with pytest.raises(UsageError):
        list(engine.generate(chat("hello"), Sampling(top_k=-1), 0, silent, Event()))
    assert engine.tokenize(chat("hello"), Event())
    with pytest.raises(ModelNotFound):
        worker(tmp_path / "none.gguf").start(silent, Event())
    (tmp_path / "bad.gguf").write_bytes(b"FUGG")
    with pytest.raises(BadGguf):
        worker(tmp_path / "bad.gguf").start(silent, Event())
    with pytest.raises(UsageError, match="was trained for"):
        worker(demo, context=10**6).start(silent, Event())


def test_a_failed_load_leaves_no_child(worker: WorkerLoader, tmp_path: Path) -> None:
    engine = worker(tmp_path / "none.gguf")
    with pytest.raises(ModelNotFound):
        engine.start(silent, Event())
    assert engine.pid is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_death_in_an_answer_is_an_error_and_the_next_start_makes_a_new_child(
    engine: WorkerEngine, number: signal.Signals
) -> None:
    first = engine.pid
    assert first
    answer = engine.generate(chat("hello"), LONG_ANSWER, 0, silent, Event())
    next(answer)
    os.kill(first, number)
    with pytest.raises(EngineDied, match=f"{number.name}.*while it answered") as death:
        list(answer)
    assert death.value.signal == number and death.value.hint and death.value.log
    assert engine.pid is None and not alive(first)
    engine.start(silent, Event())
    assert engine.pid not in (None, first)
    assert len(ids(engine.generate(chat("hello"), LONG_ANSWER, 3, silent, Event()))) in (1, 2, 3)


def test_a_death_while_nothing_is_asked_is_not_noticed_by_the_next_question(engine: WorkerEngine) -> None:
    first = engine.pid
    assert first
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: engine.pid is None)
    engine.start(silent, Event())
    said = list(engine.generate(chat("hello"), GREEDY, 3, silent, Event()))
    assert completion(said).reused_tokens == 0


def test_a_death_while_it_loads_is_an_error(demo: Path, worker: WorkerLoader) -> None:
    engine = worker(demo)

    def kill(progress: Progress) -> None:
        if engine.pid:  # what it said before it died is still reported
            os.kill(engine.pid, signal.SIGSEGV)

    with pytest.raises(EngineDied, match=r"SIGSEGV.*while it loaded demo\.gguf") as death:
        engine.start(kill, Event())
    assert death.value.signal == signal.SIGSEGV
    assert engine.start(silent, Event()).architecture == "gemma4"


def test_a_child_that_ends_by_itself_is_told_with_its_exit_code(demo: Path, probe_cache: Path, tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text("import sys\nprint('last words', file=sys.stderr)\nraise MemoryError('no room')\n")
    engine = WorkerEngine(
        LoadOptions(demo, extra_buffers=False), cache=probe_cache, command=(sys.executable, str(script))
    )
    with pytest.raises(EngineDied, match=r"exit code 1 while it loaded.*MemoryError: no room") as death:
        engine.start(silent, Event())
    assert death.value.signal is None
    assert "last words" in death.value.log


def test_an_abort_in_llama_cpp_is_told_with_its_reason(demo: Path, probe_cache: Path, tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text("import os, sys\nprint('/a/b/x.cpp:1: GGML_ASSERT(y) failed', file=sys.stderr)\nos.abort()\n")
    engine = WorkerEngine(
        LoadOptions(demo, extra_buffers=False), cache=probe_cache, command=(sys.executable, str(script))
    )
    with pytest.raises(EngineDied, match=r"SIGABRT.*: x\.cpp:1: GGML_ASSERT\(y\) failed\."):
        engine.start(silent, Event())


def test_the_child_outlives_the_thread_that_started_it(demo: Path, worker: WorkerLoader) -> None:
    engine = worker(demo)
    starter = Thread(target=engine.start, args=(silent, Event()))
    starter.start()
    starter.join()
    pid = engine.pid
    time.sleep(0.2)
    assert pid and engine.pid == pid
    assert engine.tokenize(chat("hello"), Event())


def test_the_terminals_interrupt_does_not_reach_the_child(engine: WorkerEngine) -> None:
    assert engine.pid
    assert os.getpgid(engine.pid) != os.getpgid(0)
    os.kill(engine.pid, signal.SIGINT)
    assert completion(list(engine.generate(chat("hello"), GREEDY, 1, silent, Event()))).completion_tokens == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("doing", ["waits", "loads", "reads a prompt", "answers"])
def test_the_child_ends_with_its_parent(demo: Path, probe_cache: Path, number: signal.Signals, doing: str) -> None:
    program = textwrap.dedent(
        """
        import signal, sys, time
        from pathlib import Path
        from threading import Event
        from g4local.backend.client import WorkerEngine
        from g4local.backend.engine import LoadOptions, Sampling
        from g4local.core.progress import silent
        from g4local.core.prompt import Segment
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup lets programs ignore it
        engine = WorkerEngine(LoadOptions(Path(sys.argv[1]), 4096, threads=1), cache=Path(sys.argv[2]))
        tell = lambda progress: print(engine.pid, flush=True)
        engine.start(tell if sys.argv[3] == "loads" else silent, Event())
        if sys.argv[3] == "reads a prompt":
            list(engine.generate([Segment("x" * 4000)], Sampling(), 0, tell, Event()))
        if sys.argv[3] == "answers":
            hot = Sampling(temperature=50.0, top_p=1.0, top_k=0, seed=5)
            for piece in engine.generate([Segment("x")], hot, 0, silent, Event()):
                print(engine.pid, flush=True)
        print(engine.pid, flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(demo), str(probe_cache), doing], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(number)
        try:
            assert parent.wait(20) == -number
        finally:
            parent.kill()
    assert wait_until(lambda: not alive(pid) or is_zombie(pid), 3)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_twenty_starts_and_closes_leave_no_process_and_no_descriptor(demo: Path, worker: WorkerLoader) -> None:
    engine = worker(demo, context=256)
    engine.start(silent, Event())
    engine.close()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    pids = []
    for _ in range(20):
        engine.start(silent, Event())
        pids.append(engine.pid)
        engine.close()
        engine.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert len(set(pids)) == 20 and not any(alive(pid) for pid in pids if pid)


def test_llama_cpps_words_go_to_the_log_file_and_nowhere_else(
    engine: WorkerEngine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    list(engine.generate(chat("hello"), GREEDY, 1, silent, Event()))
    engine.close()
    assert "llama_model_loader" in (tmp_path / "logs" / "engine.log").read_text(encoding="utf-8")
    assert capfd.readouterr() == ("", "")


def test_a_long_log_file_is_put_aside(demo: Path, worker: WorkerLoader, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "engine.log").write_bytes(b"x" * (child.LOG_BYTES + 1))
    engine = worker(demo)
    engine.start(silent, Event())
    engine.close()
    assert (logs / "engine.log.1").stat().st_size == child.LOG_BYTES + 1
    assert 0 < (logs / "engine.log").stat().st_size < child.LOG_BYTES


def test_a_log_that_cannot_be_written_is_no_reason_not_to_answer(demo: Path, probe_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    engine = WorkerEngine(LoadOptions(demo, 512, threads=1), cache=probe_cache, logs=tmp_path / "logs")
    try:
        assert engine.start(silent, Event()).architecture == "gemma4"
    finally:
        engine.close()


def test_the_parent_loads_neither_llama_cpp_nor_numpy_to_answer(demo: Path, probe_cache: Path) -> None:
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from threading import Event
        from g4local.backend.client import WorkerEngine
        from g4local.backend.engine import LoadOptions, Sampling
        from g4local.core.progress import silent
        from g4local.core.prompt import Segment
        engine = WorkerEngine(LoadOptions(Path(sys.argv[1]), 512, threads=1), cache=Path(sys.argv[2]))
        print(len(list(engine.generate([Segment("hello")], Sampling(), 1, silent, Event()))))
        engine.close()
        print([name for name in ("llama_cpp", "numpy") if name in sys.modules])
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(demo), str(probe_cache)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert answer.stdout.split("\n")[:2] == ["2", "[]"], answer.stderr


def test_a_file_in_the_users_folder_is_no_module_of_the_child(
    demo: Path, worker: WorkerLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "queue", "json", "g4local"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert worker(demo).start(silent, Event()).architecture == "gemma4"


READING = """
from g4local.backend import llama, worker
read = llama.LlamaEngine.read
def told(engine, prompt):
    read(engine, prompt)
    print("read", len(engine._cache.tokens), "of", len(engine.tokenize(prompt)), file=sys.stderr, flush=True)
import sys
llama.LlamaEngine.read = told
worker.main([])
"""
"""A child that tells how much it has read ahead."""


def test_reading_ahead_returns_at_once_and_ends_with_the_next_request(
    demo: Path, probe_cache: Path, tmp_path: Path
) -> None:
    options, command = LoadOptions(demo, 4096, threads=1), (sys.executable, "-P", "-c", READING)
    engine = WorkerEngine(options, cache=probe_cache, logs=tmp_path, command=command)
    engine.read(chat("nobody is there"))
    assert engine.pid is None
    engine.start(silent, Event())
    first, running = engine.pid, engine._child
    assert first and running
    os.kill(first, signal.SIGSTOP)  # all that is asked reaches it at one moment
    for number in range(8):
        within(lambda number=number: engine.read(chat(words(number, 1200))))  # type: ignore[misc]
    answer = engine.generate(chat("hello"), GREEDY, 3, silent, Event())
    go_on = Thread(target=lambda: wait_until(lambda: bool(running._answers)) and os.kill(first, signal.SIGCONT))
    go_on.start()
    said = within(lambda: list(answer))
    go_on.join()
    assert completion(said).reused_tokens < 20
    engine.read(chat("hello", "so it is"))
    again = list(engine.generate(chat("hello", "so it is", "and then?"), GREEDY, 3, silent, Event()))
    assert completion(again).completion_tokens > 0
    engine.close()
    log = (tmp_path / "engine.log").read_text(encoding="utf-8")
    read = [(int(count), int(total)) for count, total in re.findall(r"^read (\d+) of (\d+)$", log, re.M)]
    assert len(read) == 9 and all(count < total / 2 for count, total in read[:8])
