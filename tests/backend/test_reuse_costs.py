"""What a turn processes of its prompt: what is new, and at most eight tokens of what is not."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from g4local.backend import llama as engines
from g4local.backend.engine import Sampling
from g4local.backend.llama import LlamaEngine
from g4local.backend.model import loading
from g4local.backend.state import cache, prefix, resumption
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


def questions(talk: Conversation) -> list[int]:
    return [index for index, message in enumerate(talk.messages) if message.role == "user"]


def question_tokens(reply: Reply, engine: InProcess) -> int:
    """Tokens of a prompt from its last question on."""
    turn = engine.engine.info.special_tokens["<|turn>"]
    return len(reply.prompt) - [place for place, token in enumerate(reply.prompt) if token == turn][-2]


@pytest.mark.parametrize("seed", [pytest.param(n, marks=[] if n < 3 else pytest.mark.reference) for n in range(40)])
def test_so_does_each_turn_of_any_history(
    seed: int, demo: Path, load: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions, edits, regenerations, forks from any earlier turn, and restarts, in any order."""
    monkeypatch.setattr(resumption, "WORTH", 0)
    pick, is_edge, thinks, forgets_soon = random.Random(seed), seed & 1 == 0, seed & 2 > 0, seed & 4 == 0
    for module in (cache, engines, loading) if forgets_soon else ():
        monkeypatch.setattr(module, "BATCH", 128)

    def again() -> LlamaEngine:
        return load(demo, context=4096, snapshots=tmp_path / "snapshots")

    engine = InProcess(again(), edge=is_edge)
    options = ConversationOptions(thinking=thinks, sampling=Sampling(temperature=0), max_tokens=60)
    talk = Conversation(engine, tools=available(tmp_path)[0], approve=lambda call: True, options=options)
    list(talk.say(FIRST, report=silent, cancel=Event()))
    for _ in range(10):
        action = pick.choice(["say", "say", "retry", "edit", "fork", "restart"])
        before = engine.replies[-1:]
        first = len(engine.replies)
        text = f"{pick.choice([CALCULATION, OTHER])} {words(pick.randrange(100), pick.choice([0, 5, 120]))}".strip()
        if action == "restart":
            engine.engine.wait(20)
            engine.engine.close()
            engine.engine = again()
        elif action == "retry":
            list(talk.retry(report=silent, cancel=Event()))
        else:
            if action != "say":
                talk.rewind(pick.choice(questions(talk)[1:] or [0]) if action == "fork" else questions(talk)[-1])
            list(talk.say(text, report=silent, cancel=Event()))
        for reply in engine.replies[first:]:
            own = question_tokens(reply, engine) if action in ("edit", "fork") and reply is engine.replies[first] else 0
            assert reply.processed <= max(own, new(reply, before)) + prefix.CLOSE, action
            before = [reply]
