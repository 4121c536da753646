"""The engine's process is killed, stuck or out of memory at every point of a turn: nothing that was said is lost.

What is said after it is what a fresh process says to the same history, and no process is left behind.
"""

import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Wish

import pytest

from g4local import library
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Sampling
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core.errors import BadGguf, DoesNotFit, EngineDied, EngineError, G4Error
from g4local.core.events import Event, TextDelta
from g4local.core.messages import Message
from g4local.core.progress import Progress, silent
from g4local.settings import Paths, paths
from tests.backend.processes import alive

GREEDY = ConversationOptions(sampling=Sampling(temperature=0), max_tokens=40)
FIRST, SECOND = "What is g4local?", "How do I convert a checkpoint to a GGUF?"
TEXT = "one two three four five six seven " * 60
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_AS, ({nbytes}, {nbytes}))
runpy.run_module("g4local.backend.worker", run_name="__main__")
"""

Made = Callable[..., WorkerEngine]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return paths({"G4LOCAL_HOME": str(tmp_path_factory.mktemp("home"))})


@pytest.fixture(scope="module")
def gguf(places: Paths) -> Path:
    return library.gguf(library.find("demo", places), None, places, silent, Wish())


@pytest.fixture
def made(places: Paths, gguf: Path) -> Iterator[Made]:
    """Makes engines that are closed after the test."""
    engines: list[WorkerEngine] = []

    def make(**more: object) -> WorkerEngine:
        options = LoadOptions(gguf, context=2048, threads=1)
        engines.append(WorkerEngine(options, cache=places.cache, logs=places.logs, **more))  # type: ignore[arg-type]
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def expected(places: Paths, gguf: Path) -> Iterator[Callable[[list[Message]], str]]:
    """What a process to which nothing happens says to a history that ends in a question."""
    engine = WorkerEngine(LoadOptions(gguf, context=2048, threads=1), cache=places.cache)

    def said(history: list[Message]) -> str:
        talk = Conversation(engine, options=GREEDY, messages=history)
        list(talk.resume(report=silent, cancel=Wish()))
        return talk.messages[-1].text

    yield said
    engine.close()


def struck(talk: Conversation, engine: WorkerEngine, phase: str, strike: Callable[[int], None]) -> None:
    """Ask a long question and strike the process once in that phase; whatever comes of it, nothing said is lost."""
    struck_at: list[int] = []

    def hit() -> None:
        if engine.pid and not struck_at:
            struck_at.append(engine.pid)
            strike(engine.pid)

    def report(progress: Progress) -> None:
        if progress.stage == phase:
            hit()

    heard = ""
    try:
        for event in talk.say(TEXT, report=report, cancel=Wish()):
            heard += event.text if isinstance(event, TextDelta) else ""
            if phase == "decode" and isinstance(event, TextDelta):
                hit()
    except EngineDied:
        assert not alive(struck_at[0]), "neither a process nor a zombie"
        raise
    finally:
        assert struck_at
        assert talk.messages[0] == Message("user", FIRST) and talk.messages[2] == Message("user", TEXT)
        assert "".join(message.text for message in talk.messages[3:]) == heard


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        *(("load", signal.SIGKILL), ("prefill", signal.SIGSEGV), ("decode", signal.SIGKILL)),
        *(
            pytest.param(phase, number, marks=pytest.mark.reference)
            for phase, number in (("load", 11), ("prefill", 9), ("decode", 11), ("decode", 6))
        ),
    ],
)
def test_a_death_loses_nothing_and_the_next_turn_goes_on(
    made: Made, expected: Callable[[list[Message]], str], phase: str, number: int
) -> None:
    engine = made()
    talk = Conversation(engine, options=GREEDY)
    ask(talk, FIRST)
    if phase == "load":
        engine.close()
    with pytest.raises(EngineDied, match=rf"{signal.Signals(number).name}.*while it (answered|loaded)") as death:
        struck(talk, engine, phase, lambda pid: os.kill(pid, number))
    assert death.value.hint
    history = list(talk.messages)
    ask(talk, SECOND)
    assert talk.messages[:-1] == [*history, Message("user", SECOND)]
    assert talk.messages[-1].text == expected(talk.messages[:-1])


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process as Linux can")
@pytest.mark.parametrize("phase", ["prefill", pytest.param("decode", marks=pytest.mark.reference)])
def test_memory_that_runs_out_in_a_turn_is_a_death_like_any_other_or_is_not_noticed(
    made: Made, expected: Callable[[list[Message]], str], phase: str
) -> None:
    engine = made()
    talk = Conversation(engine, options=GREEDY)
    ask(talk, FIRST)
    history = list(talk.messages)

    def limit(pid: int) -> None:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)

    try:
        struck(talk, engine, phase, limit)
        assert talk.messages[-1].text == expected(talk.messages[:-1]), "it lives, since it needed nothing more"
    except EngineError as error:
        assert error.message.endswith(".") and "\n" not in error.message and error.hint
    assert talk.messages[: len(history)] == history
    engine.close()
    ask(talk, SECOND)
    assert talk.messages[-1].text == expected(talk.messages[:-1])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to RLIMIT_AS")
def test_memory_that_is_too_little_for_a_load_is_told(made: Made) -> None:
    """Whatever is the first thing that finds none: Python, OpenBLAS, llama.cpp's mapping, its caches or its graph."""
    outcomes = []
    for mbytes in (60, 280, 4000):
        command = (sys.executable, "-P", "-c", LIMITED.format(nbytes=mbytes << 20))
        engine = made(command=command)
        try:
            engine.start(silent, Wish())
            outcomes.append("loaded")
        except G4Error as error:
            outcomes.append(type(error).__name__)
            assert isinstance(error, DoesNotFit | EngineError), error.message
            assert error.message.endswith(".") and "\n" not in error.message and error.hint
            assert engine.pid is None
        engine.close()
    assert outcomes[0] != "loaded" and outcomes[-1] == "loaded"


def test_a_file_that_is_cut_off_while_it_is_in_use_is_told_and_not_loaded_again(
    places: Paths, gguf: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(gguf, tmp_path / "model.gguf"))
    options = LoadOptions(copy, context=512, threads=1, extra_buffers=False)
    engine = WorkerEngine(options, cache=places.cache)
    talk = Conversation(engine, options=GREEDY)
    talk.load(silent, Wish())
    os.truncate(copy, copy.stat().st_size // 2)
    with pytest.raises(EngineDied, match=r"SIGBUS.*while it answered") as death:
        ask(talk, FIRST)
    assert "file" in death.value.hint and talk.messages == [Message("user", FIRST)]
    with pytest.raises(BadGguf, match="is cut off"):
        ask(talk, SECOND)
    shutil.copy(gguf, copy)
    ask(talk, SECOND)
    assert talk.messages[-1].role == "assistant"
    engine.close()


def ask(talk: Conversation, text: str) -> list[Event]:
    return list(talk.say(text, report=silent, cancel=Wish()))
