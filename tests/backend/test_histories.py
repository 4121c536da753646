"""Any history with the built-in model: each answer is, token for token, that of a context which has seen nothing.

Weights, keys and values have 32 bits here, so that what is added up together hardly matters.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, Literal

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from g4local.backend import llama as engines
from g4local.backend.draft import drafting, drafts, ngram
from g4local.backend.draft.drafts import Cost
from g4local.backend.engine import MOST_DRAFTS, Sampling
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp import crowd
from g4local.backend.model import loading
from g4local.backend.state import cache, resumption
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.chat.room import Room
from g4local.core.errors import ContextFull, EngineError, UsageError
from g4local.core.progress import silent
from g4local.tools.registry import builtin
from tests.backend.conftest import Loader, Pair
from tests.backend.inprocess import InProcess, Reply, logits
from tests.backend.prompts import GREEDY, ids, words

Action = Literal["say", "retry", "edit", "fork", "restart", "think", "ahead", "drop", "compact", "stop"]
Drafting = Literal["off", "ngram", "rash", "mtp"]
"""No drafts; n-grams while they pay; as many as there may be after each single token, or by a random assistant."""

KINDS: tuple[tuple[Drafting, int], ...] = (("off", 128), ("ngram", 512), ("rash", 128), ("mtp", 128))
"""Of a batch of histories: what drafts, and the longest batch of tokens, on which a sliding cache's size hangs.

The quick batch does without the last one.
"""
QUICK = 1
"""Batches that every run does; `make reference` does all."""
BATCHES = [pytest.param(number, marks=[] if number < QUICK else pytest.mark.reference) for number in range(13)]

ACTIONS: tuple[Action, ...] = (
    *("say", "say", "say", "retry", "edit", "fork", "restart"),
    *("think", "ahead", "drop", "compact", "stop"),
)
QUESTIONS = (
    "What is g4local?",
    "What is 12 * 34.5 - 3? Use the calculator.",
    "Read the file notes.txt",
    "How do I convert a checkpoint to a GGUF?",
    "Say it again: one two three one two three one two three",
)
LENGTHS = (0, 0, 0, 40, 160)
"""Words behind a question: some fill the window of 128 tokens, some a sliding cache of 256 cells."""
CONTEXT = 2048
ROUNDING = 0.01
"""What logits of numbers of 32 bits may differ by; without a part of its window a context is wrong by far more."""


class Restless:
    """A clock of processor time by which other programs want the cores at one moment and not at the next."""

    def __init__(self) -> None:
        self._random = Random(1)
        self._seconds = 0.0

    def __call__(self) -> float:
        self._seconds += self._random.choice((0.0, 1e6))
        return self._seconds


@pytest.fixture(autouse=True)
def exact_and_restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and values in 32 bits, threads that come and go, snapshots of all that is long enough for one."""
    monkeypatch.setitem(loading._GGML_TYPES, "f16", llama.GGML_TYPE_F32)
    monkeypatch.setattr(crowd, "process_time", Restless())
    for name in ("LOOK_SECONDS", "HOLD_SECONDS", "LONGEST_HOLD_SECONDS"):
        monkeypatch.setattr(crowd, name, 0.0)
    monkeypatch.setattr(resumption, "WORTH", 0)


class Player:
    """A person who does all that can be done with a conversation."""

    def __init__(self, load: Callable[[], LlamaEngine], folder: Path) -> None:
        self._load = load
        self.engine = InProcess(load())
        (folder / "notes.txt").write_text(words(7, 60), encoding="utf-8")
        self._talk = Conversation(
            self.engine,
            tools=builtin(folder),
            approve=lambda call: True,
            options=ConversationOptions(sampling=Sampling(temperature=0), max_tokens=48, max_rounds=3),
        )

    def do(self, action: Action, number: int) -> None:
        """One action; one that makes no sense now, or finds no room, does nothing."""
        with suppress(ContextFull, UsageError):
            self._does(action, number)

    def _does(self, action: Action, number: int) -> None:  # noqa: C901 (one flat match)
        talk = self._talk
        questions = [index for index, message in enumerate(talk.messages) if message.role == "user"]
        match action:
            case "restart":
                self.engine.engine.wait(20)
                self.engine.engine.close()
                self.engine.engine = self._load()
            case "think":
                talk.options = replace(talk.options, thinking=not talk.options.thinking)
            case "ahead":
                talk.read_ahead()
            case "drop":
                room = Room(talk, silent, Event())
                room.take(room.lighter())
            case "compact":
                room = Room(talk, silent, Event())
                with suppress(EngineError):  # a small model does not always write a summary
                    room.take(room.summarised())
            case "retry":
                list(talk.retry(report=silent, cancel=Event()))
            case "stop":
                self.engine.stopped_after = 2 + number % 9
                self._ask(number)
            case "edit" | "fork" if questions:
                talk.rewind(questions[-1] if action == "edit" else questions[number % len(questions)])
                self._ask(number)
            case "say" | "edit" | "fork":
                self._ask(number)

    def _ask(self, number: int) -> None:
        text = f"{QUESTIONS[number % len(QUESTIONS)]} {words(number, LENGTHS[number // 5 % len(LENGTHS)])}"
        list(self._talk.say(text.strip(), report=silent, cancel=Event()))


def assert_said_afresh(reply: Reply, fresh: LlamaEngine) -> None:
    """A context without reuse, drafts and other threads says the same tokens to the same prompt."""
    fresh._cache.clear()
    most = len(reply.said) if reply.end.reason == "cancelled" else reply.most
    again = fresh.extend(reply.prompt, set(), GREEDY, most, silent, reply.guidance)
    first = next(again)
    assert np.abs(logits(fresh) - reply.logits).max() < ROUNDING
    assert ids([first, *again]) == reply.said


def played(seed: int, loaded: Callable[..., LlamaEngine], drafted: Drafting) -> Player:
    """A person after a history, and all that was said in it."""
    pick = Random(seed)
    threads = pick.choice((1, 1, 2))
    with TemporaryDirectory() as folder:

        def load() -> LlamaEngine:
            draft = "ngram" if drafted == "rash" else drafted
            return loaded(draft=draft, threads=threads, snapshots=Path(folder) / "snapshots")

        player = Player(load, Path(folder))
        player.do("say", pick.randrange(100))
        for _ in range(pick.randint(5, 11)):
            player.do(pick.choice(ACTIONS), pick.randrange(100))
        player.engine.engine.wait(20)
        player.engine.close()
    return player


@pytest.mark.parametrize("batch", BATCHES)
def test_any_history_is_answered_as_a_fresh_context_answers(
    batch: int, demo_pair: Pair, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(**options: Any) -> LlamaEngine:
        return load(demo_pair[0], context=CONTEXT, drafter=demo_pair[1], **options)

    fresh, replies = loaded(draft="off"), list[Reply]()
    for number, (drafted, most) in enumerate(KINDS if batch else KINDS[:-1]):
        with monkeypatch.context() as patch:
            for module in (cache, engines, loading):
                patch.setattr(module, "BATCH", most)
            if drafted in ("rash", "mtp"):
                patch.setattr(drafting, "cost", lambda choice, model, repacked: Cost(0.0, 0.0))
                patch.setattr(drafting, "Ngrams", lambda: ngram.Ngrams(1))
                patch.setattr(drafts, "_LENGTHS", (MOST_DRAFTS,))
                patch.setattr(ngram, "_TRUST", ())
            player = played(batch * len(KINDS) + number, loaded, drafted)
        replies += player.engine.replies
    for reply in replies:
        assert not reply.end.warnings
        assert_said_afresh(reply, fresh)
    assert any(reply.end.accepted_tokens for reply in replies)
    assert sum(reply.end.reused_tokens > 0 for reply in replies) > len(replies) / 3
