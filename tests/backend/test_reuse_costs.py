"""What a turn processes of its prompt: what is new, and at most eight tokens of what is not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from g4local.backend.engine import Sampling
from g4local.backend.llama import LlamaEngine
from g4local.backend.state import prefix, resumption
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core import events
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from g4local.tools.registry import available
from tests.backend.conftest import Loader
from tests.backend.inprocess import InProcess, Reply
from tests.backend.prompts import words

FIRST = f"What is this about? {words(1, 200)}"
CALCULATION = "What is 12 * 34.5 - 3? Use the calculator."
OTHER = "How do I convert a checkpoint to a GGUF?"
TURN_TOKENS = 12
"""The markup of a turn, and of the next one's beginning."""


def new(reply: Reply, before: list[Reply]) -> int:
    """Tokens of a prompt that no prompt before had there, and no answer to one."""
    return len(reply.prompt) - max(prefix.common([*each.prompt, *each.said], reply.prompt) for each in before)


def turns(talk: Conversation, engine: InProcess, again: Callable[[], LlamaEngine]) -> Iterator[Iterator[events.Event]]:
    """Turns of all kinds, the last ones by a new engine."""
    yield talk.say(FIRST, report=silent, cancel=Event())
    yield talk.say(CALCULATION, report=silent, cancel=Event())
    yield talk.say(OTHER, report=silent, cancel=Event())
    yield talk.retry(report=silent, cancel=Event())
    last = [index for index, message in enumerate(talk.messages) if message.role == "user"][-1]
    talk.rewind(last)
    yield talk.say("How do I quantize a model?", report=silent, cancel=Event())
    engine.engine.wait(20)
    engine.engine = again()
    yield talk.say("Thanks. How do I leave the chat?", report=silent, cancel=Event())
    talk.rewind(last)
    yield talk.say("What time is it?", report=silent, cancel=Event())
    engine.engine.wait(20)
    engine.engine = again()
    yield talk.retry(report=silent, cancel=Event())
    talk.rewind([index for index, message in enumerate(talk.messages) if message.role == "user"][1])
    yield talk.say("What is g4local?", report=silent, cancel=Event())


@pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "no-thinking"])
@pytest.mark.parametrize("edge", [True, False], ids=["edge", "large"])
def test_a_turn_processes_what_is_new_and_eight_tokens(
    edge: bool, thinking: bool, demo: Path, load: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "WORTH", 0)

    def again() -> LlamaEngine:
        return load(demo, context=4096, snapshots=tmp_path / "snapshots")

    engine = InProcess(load(demo, context=4096, snapshots=tmp_path / "snapshots"), edge)
    talk = Conversation(
        engine,
        tools=available(tmp_path)[0],
        approve=lambda call: True,
        options=ConversationOptions(thinking=thinking, sampling=Sampling(temperature=0), max_tokens=60),
    )
    seen: list[Reply] = []
    for turn in turns(talk, engine, again):
        list(turn)
        for index, reply in enumerate(engine.replies[len(seen) :]):
            before = engine.replies[len(seen) + index - 1 :][:1] if index else seen  # a tool's result is new once more
            assert not before or reply.processed <= new(reply, before) + prefix.CLOSE
        seen = list(engine.replies)


@pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "no-thinking"])
@pytest.mark.parametrize("edge", [True, False], ids=["edge", "large"])
def test_after_reading_ahead_a_turn_processes_its_question_alone(
    edge: bool, thinking: bool, demo: Path, load: Loader
) -> None:
    engine = InProcess(load(demo, context=4096), edge)
    talk = Conversation(engine, options=ConversationOptions(thinking=thinking, sampling=Sampling(temperature=0)))
    for question in (FIRST, OTHER, "What is g4local?"):
        list(talk.say(question, report=silent, cancel=Event()))
        talk.read_ahead()
        tokens = len(engine.tokenize([Segment(question)], Event()))
        assert question == FIRST or engine.replies[-1].processed <= tokens + TURN_TOKENS
