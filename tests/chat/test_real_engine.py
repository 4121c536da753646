"""A conversation with the built-in model in a child process: reuse changes nothing, and nothing dies with the child."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Wish

import pytest

from g4local import library
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Sampling
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core.errors import EngineDied
from g4local.core.events import Event, TextDelta, TurnFinished
from g4local.core.messages import Message
from g4local.core.progress import silent
from g4local.settings import Paths, paths

GREEDY = ConversationOptions(sampling=Sampling(temperature=0), max_tokens=80)
QUESTIONS = ["What is g4local?", "How do I convert a checkpoint to a GGUF?", "Thanks! And how do I leave the chat?"]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return paths({"G4LOCAL_HOME": str(tmp_path_factory.mktemp("home"))})


@pytest.fixture
def engine(places: Paths) -> Iterator[Callable[[], WorkerEngine]]:
    """Makes engines that are closed after the test."""
    engines: list[WorkerEngine] = []

    def made() -> WorkerEngine:
        gguf = library.gguf(library.find("demo", places), None, places, silent, Wish())
        engines.append(WorkerEngine(LoadOptions(gguf), cache=places.cache, logs=places.logs))
        return engines[-1]

    yield made
    for each in engines:
        each.close()


def ask(conversation: Conversation, question: str, cancel: Wish | None = None) -> list[Event]:
    return list(conversation.say(question, report=silent, cancel=cancel or Wish()))


def afresh(engine: WorkerEngine, messages: list[Message], question: str) -> str:
    """What a model that has never seen this conversation answers."""
    conversation = Conversation(engine, options=GREEDY, messages=messages)
    events = ask(conversation, question)
    assert reused(events) == 0
    engine.close()
    return conversation.messages[-1].text


def reused(events: list[Event]) -> int:
    ending = events[-1]
    assert isinstance(ending, TurnFinished)
    return ending.usage.reused


def test_later_turns_say_what_a_fresh_context_says(engine: Callable[[], WorkerEngine]) -> None:
    conversation, fresh = Conversation(engine(), options=GREEDY), engine()
    for question in QUESTIONS:
        before = list(conversation.messages)
        events = ask(conversation, question)
        assert bool(before) == (reused(events) > 0)
        assert conversation.messages[-1].text == afresh(fresh, before, question)


def test_an_edited_first_turn_says_what_a_fresh_context_says(engine: Callable[[], WorkerEngine]) -> None:
    conversation, fresh = Conversation(engine(), options=GREEDY), engine()
    for question in QUESTIONS:
        ask(conversation, question)
    assert conversation.rewind(0) == QUESTIONS[0]
    ask(conversation, "Who are you?")
    assert conversation.messages[-1].text == afresh(fresh, [], "Who are you?")


def test_a_turn_after_a_cancelled_answer_says_what_a_fresh_context_says(engine: Callable[[], WorkerEngine]) -> None:
    conversation, fresh = Conversation(engine(), options=GREEDY), engine()
    cancel = Wish()
    for event in conversation.say(QUESTIONS[1], report=silent, cancel=cancel):
        if isinstance(event, TextDelta):
            cancel.set()
    assert isinstance(event, TurnFinished) and event.reason == "cancelled"
    before = list(conversation.messages)
    assert before[-1].role == "assistant" and before[-1].text
    ask(conversation, QUESTIONS[2])
    assert conversation.messages[-1].text == afresh(fresh, before, QUESTIONS[2])


def test_the_same_question_again_says_the_same(engine: Callable[[], WorkerEngine]) -> None:
    conversation = Conversation(engine(), options=GREEDY)
    ask(conversation, QUESTIONS[0])
    first = list(conversation.messages)
    list(conversation.retry(report=silent, cancel=Wish()))
    assert conversation.messages == first


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_an_engine_that_is_killed_in_mid_answer_leaves_a_conversation_that_goes_on(
    engine: Callable[[], WorkerEngine], number: signal.Signals
) -> None:
    model = engine()
    conversation = Conversation(model, options=GREEDY)
    with pytest.raises(EngineDied) as caught:
        for event in conversation.say(QUESTIONS[1], report=silent, cancel=Wish()):
            if isinstance(event, TextDelta) and model.pid:
                os.kill(model.pid, number)
    assert caught.value.signal == number
    assert number.name in caught.value.message
    assert conversation.messages[0].text == QUESTIONS[1]
    events = ask(conversation, QUESTIONS[2])
    assert isinstance(events[-1], TurnFinished) and events[-1].reason in ("stop", "length")


def test_the_log_of_llama_cpp_is_kept(engine: Callable[[], WorkerEngine], places: Paths) -> None:
    ask(Conversation(engine(), options=GREEDY), QUESTIONS[0])
    assert isinstance(places.logs, Path) and (places.logs / "engine.log").stat().st_size > 0
