"""A context that fills up with the built-in model: its own summary makes room, and loses nothing if it is stopped."""

from collections.abc import Iterator
from threading import Event as Wish

import pytest

from g4local import library
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Sampling
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.chat.room import Room
from g4local.core.errors import Cancelled, ContextFull
from g4local.core.events import Event, TurnFinished
from g4local.core.progress import Progress, silent
from g4local.settings import paths

QUESTIONS = ("What is g4local?", "How do I convert a checkpoint to a GGUF?", "And how do I leave the chat?")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerEngine]:
    """The built-in model with a context of 256 tokens."""
    places = paths({"G4LOCAL_HOME": str(tmp_path_factory.mktemp("home"))})
    gguf = library.gguf(library.find("demo", places), None, places, silent, Wish())
    engine = WorkerEngine(LoadOptions(gguf, context=256, threads=1), cache=places.cache, logs=places.logs)
    yield engine
    engine.close()


@pytest.fixture
def full(engine: WorkerEngine) -> Conversation:
    """A conversation in which the next question finds no room."""
    talk = Conversation(engine, options=ConversationOptions(sampling=Sampling(temperature=0), max_tokens=40))
    for number in range(20):
        try:
            ask(talk, QUESTIONS[number % 3])
        except ContextFull:
            return talk
    raise AssertionError("the context never filled up")


def ask(talk: Conversation, text: str) -> list[Event]:
    return list(talk.say(text, report=silent, cancel=Wish()))


def test_the_question_that_did_not_fit_is_answered_after_a_summary(full: Conversation) -> None:
    last = full.messages[-2:]
    room = Room(full, silent, Wish(), QUESTIONS[0])
    contents = room.contents()
    assert contents.used >= 0.6 * contents.context
    change = room.summarised()
    assert change.summary and change.before == contents.used and change.after <= 128 + 16
    room.take(change)
    assert [message.summary for message in full.messages].count(True) == 1 and full.messages[-2:] == last
    events = ask(full, QUESTIONS[0])
    assert isinstance(events[-1], TurnFinished) and events[-1].reason in ("stop", "length")
    assert events[-1].usage.prompt == change.after


def test_a_summary_that_is_stopped_loses_nothing_and_the_chat_goes_on(full: Conversation, engine: WorkerEngine) -> None:
    before, pid = list(full.messages), engine.pid
    cancel = Wish()

    def stop(progress: Progress) -> None:
        if progress.stage == "summary" and progress.unit == "tokens":
            cancel.set()

    with pytest.raises(Cancelled):
        Room(full, stop, cancel, QUESTIONS[0]).summarised()
    assert full.messages == before and engine.pid == pid
    room = Room(full, silent, Wish(), QUESTIONS[0])
    room.take(room.summarised())
    assert ask(full, QUESTIONS[0])


def test_a_history_twice_as_long_as_the_context_is_summarised_in_pieces(full: Conversation) -> None:
    full.messages[:0] = full.messages
    told: list[Progress] = []
    room = Room(full, told.append, Wish())
    assert room.contents().free == 0
    change = room.summarised()
    assert {step.unit for step in told if step.stage == "summary"} == {"pieces", "tokens"}
    assert change.before > 256 > change.after
    room.take(change)
    assert ask(full, QUESTIONS[1])
