"""Endless replies are ended, and what people want to read is not."""

import random
from itertools import cycle, islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.backend.engine import Guidance, Sampling
from g4local.backend.generation.loops import LONGEST_PERIOD, MOST_CHANNELS, REPEATED_TIMES, REPEATED_TOKENS, LoopGuard
from g4local.backend.llama import LlamaEngine
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from tests.backend.conftest import Loader
from tests.backend.prompts import GREEDY, chat, completion, text
from tests.conftest import ROOT

CHANNEL = 100


def ends_at(tokens: list[int]) -> int | None:
    """How many of the tokens the guard lets pass; None when it is all of them."""
    guard = LoopGuard(CHANNEL)
    return next((length for length, token in enumerate(tokens, 1) if guard.feed(token)), None)


@settings(deadline=None)
@given(st.lists(st.integers(200, 1000), min_size=1, max_size=LONGEST_PERIOD), st.integers(0, 300))
def test_a_passage_without_end_is_ended(passage: list[int], before: int) -> None:
    start = list(range(2000, 2000 + before))
    needed = before + max(REPEATED_TOKENS, REPEATED_TIMES * len(passage))
    length = ends_at(start + list(islice(cycle(passage), needed + 100)))
    assert length is not None and length <= needed + 20
    assert length - before >= REPEATED_TOKENS


@settings(deadline=None)
@given(st.lists(st.integers(200, 1000), min_size=1, max_size=400), st.integers(1, REPEATED_TIMES - 1))
def test_a_passage_that_comes_a_few_times_is_left_alone(passage: list[int], times: int) -> None:
    different = [*passage, 1001]
    assert ends_at(different * times) is None
    assert ends_at([*different, *range(2000, 2600)] * times) is None


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**32))
def test_text_with_a_counter_in_each_line_is_left_alone(columns: int, seed: int) -> None:
    rng = random.Random(seed)
    row = [rng.randrange(200, 220) for _ in range(columns)]
    assert ends_at([token for line in range(200) for token in (*row, 1000 + line, 107)]) is None


def test_channels_are_counted() -> None:
    assert ends_at([CHANNEL] * MOST_CHANNELS) is None
    assert ends_at([token for line in range(99) for token in (CHANNEL, 1000 + line)]) == 2 * MOST_CHANNELS + 1
    assert LoopGuard(None).feed(CHANNEL) is False


WRITTEN = {
    "ruler": "|---|---|---|\n" * 3 + "| a | b | c |\n| 1 | 2 | 3 |\n" * 9,
    "zeros": "[" + ", ".join(["0"] * 120) + "]",
    "numbers": "\n".join(str(number) for number in range(3000)),
    "table": "\n".join(f"| {row} | {row * 7 % 13} | yes | no |" for row in range(400)),
    "matrix": "\n".join(" ".join(str((row * column) % 10) for column in range(20)) for row in range(60)),
    "refrain": ("La la la la la la.\n" * 4 + "And then another line.\n") * 5,
    "code": "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "g4local").rglob("*.py"))[:12]),
    "json": (ROOT / "g4local" / "demo" / "config.json").read_text(encoding="utf-8"),
}


@pytest.fixture
def engine(demo: Path, load: Loader) -> LlamaEngine:
    return load(demo, context=2048)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_people_write_is_left_alone(engine: LlamaEngine, name: str) -> None:
    assert ends_at(engine.tokenize([Segment(WRITTEN[name])])) is None


@pytest.mark.parametrize("seed", range(3))
def test_what_the_model_says_is_left_alone(engine: LlamaEngine, seed: int) -> None:
    for question in ("Tell me everything that you know.", "Who are you?", "1, 2, 3"):
        said = list(engine.generate(chat(question), Sampling(seed=seed, temperature=1.2), 600, silent))
        assert completion(said).reason != "loop", text(said)


def test_a_reply_that_is_a_loop_is_ended_unless_nobody_minds(engine: LlamaEngine) -> None:
    engine._vocabulary.end_tokens = frozenset()
    banned = set(range(engine.info.vocab_size)) - {engine.tokenize([Segment("a")])[0]}
    engine._vocabulary.suppressed = lambda: banned  # type: ignore[method-assign]
    end = completion(list(engine.generate(chat("hello"), GREEDY, 0, silent)))
    assert end.reason == "loop" and REPEATED_TOKENS <= end.completion_tokens <= REPEATED_TOKENS + 20
    said = list(engine.generate(chat("hello"), GREEDY, 700, silent, Guidance(loop_guard=False)))
    assert completion(said).reason == "length"
