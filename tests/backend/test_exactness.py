"""What is said after reuse is what a fresh context says: the same tokens, and the same logits up to rounding."""

import ctypes
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from g4local.backend import llama as engines
from g4local.backend.engine import Completion
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.model import loading
from g4local.backend.state import cache, prefix
from g4local.core.progress import Progress, silent
from g4local.core.prompt import Segment
from tests import checkpoints
from tests.backend.conftest import Loader
from tests.backend.inprocess import logits
from tests.backend.prompts import GREEDY, chat, completion, ids, words
from tests.conftest import Tiny

ROUNDING = 0.1
"""Logits may differ by this much, since a batch and a single token are added up in different orders."""
WRONG = 1.0
"""Logits of a context that lacks a part of its window differ by more."""

LONG = words(1, 85)
OTHER = words(2, 70)

kinds = pytest.mark.parametrize("kind", checkpoints.KINDS)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 64 tokens make a sliding cache of 256 cells, which a prompt of 300 tokens overflows."""
    monkeypatch.setattr(cache, "BATCH", 64)
    monkeypatch.setattr(engines, "BATCH", 64)
    monkeypatch.setattr(loading, "BATCH", 64)


@pytest.fixture
def load(load: Loader) -> Loader:
    """Engines whose answers go on until they are stopped, whatever their random weights say."""

    def loaded(*arguments: Any, **options: Any) -> LlamaEngine:
        engine = load(*arguments, **options)
        engine._vocabulary.end_tokens = frozenset()
        return engine

    return loaded


def ask(engine: LlamaEngine, prompt: list[Segment], tokens: int = 12) -> tuple[list[int], Completion]:
    said = list(engine.generate(prompt, GREEDY, tokens, silent))
    return ids(said), completion(said)


def difference(used: LlamaEngine, fresh: LlamaEngine, prompt: list[Segment]) -> tuple[float, Completion]:
    """The largest difference of logits after the prompt and along one answer, in which both say the same."""
    said, end = ask(used, prompt, 1)
    worst = 0.0
    tokens = used.tokenize(prompt)
    for _ in range(8):
        again = ids(fresh.extend(tokens, set(), GREEDY, 1, silent))
        worst = max(worst, float(np.abs(logits(used) - logits(fresh)).max()))
        tokens = [*tokens, *said]
        if said != again:
            break
        said = ids(used.extend(tokens, set(), GREEDY, 1, silent))
    return worst, end


def assert_same(used: LlamaEngine, fresh: LlamaEngine, prompt: list[Segment], reused: range) -> None:
    said, end = ask(used, prompt)
    assert end.reused_tokens in reused
    assert_same_tokens(fresh, fresh.tokenize(prompt), said)
    fresh._cache.clear()
    assert difference(used, fresh, prompt)[0] <= ROUNDING


def assert_same_tokens(fresh: LlamaEngine, prompt: list[int], said: list[int], rounding: float = ROUNDING) -> None:
    """Equal, unless two tokens were equally likely up to rounding."""
    again = ids(fresh.extend(prompt, set(), GREEDY, len(said), silent))
    length = prefix.common(said, again)
    if length < len(said):
        list(fresh.extend([*prompt, *said[:length]], set(), GREEDY, 1, silent))
        row = logits(fresh)
        assert row[again[length]] - row[said[length]] <= rounding


@kinds
def test_a_second_turn_says_what_a_fresh_context_says(kind: checkpoints.Kind, tiny: Tiny, load: Loader) -> None:
    engine = load(tiny(kind))
    _, first = ask(engine, chat(LONG), 60)
    assert first.prompt_tokens > 300 and first.reused_tokens == 0
    again = chat(LONG, "so it is", "and then?")
    assert_same(engine, load(tiny(kind)), again, range(first.prompt_tokens - 1, first.prompt_tokens + 1))


@kinds
def test_a_second_turn_after_a_long_answer_comes_back_by_its_checkpoint(
    kind: checkpoints.Kind, tiny: Tiny, load: Loader
) -> None:
    engine = load(tiny(kind))
    prompt = engine.tokenize(chat(LONG))
    _, first = ask(engine, chat(LONG), 1)
    list(engine.extend([*prompt, *engine.tokenize([Segment(OTHER)])], set(), GREEDY, 1, silent))
    assert llama.llama_memory_seq_pos_min(llama.llama_get_memory(engine._context), 0) > first.prompt_tokens - 16
    assert_same(engine, load(tiny(kind)), chat(LONG, "no", "why?"), range(first.prompt_tokens, first.prompt_tokens + 1))


@kinds
def test_an_answer_that_is_part_of_the_next_prompt_is_not_decoded_again(
    kind: checkpoints.Kind, tiny: Tiny, load: Loader
) -> None:
    engine, fresh = load(tiny(kind)), load(tiny(kind))
    prompt = engine.tokenize(chat(LONG))
    answer = ids(engine.extend(prompt, set(), GREEDY, 40, silent))
    longer = [*prompt, *answer, *engine.tokenize([Segment("and then?")])]
    said = list(engine.extend(longer, set(), GREEDY, 12, silent))
    assert completion(said).reused_tokens == len(prompt) + len(answer) - 1
    assert_same_tokens(fresh, longer, ids(said))


@kinds
@pytest.mark.parametrize("length", [20, 300])
def test_an_edited_first_turn_says_what_a_fresh_context_says(
    kind: checkpoints.Kind, length: int, tiny: Tiny, load: Loader
) -> None:
    engine = load(tiny(kind))
    ask(engine, chat(LONG), 60)
    ask(engine, chat(LONG, "so it is", "and then?"), 60)
    assert_same(engine, load(tiny(kind)), chat(LONG[:length] + " edited " + OTHER[:90]), range(1000))


@kinds
def test_an_answer_asked_for_again_is_the_same(kind: checkpoints.Kind, tiny: Tiny, load: Loader) -> None:
    engine = load(tiny(kind))
    first, end = ask(engine, chat(LONG), 60)
    again, other_end = ask(engine, chat(LONG), 60)
    assert other_end.reused_tokens == end.prompt_tokens
    assert again == first


@kinds
def test_after_a_cancelled_answer_a_turn_says_what_a_fresh_context_says(
    kind: checkpoints.Kind, tiny: Tiny, load: Loader
) -> None:
    stop = StopFlag()
    engine = load(tiny(kind), stop=stop)
    answer = engine.generate(chat(LONG), GREEDY, 0, silent)
    for _ in range(20):
        next(answer)
    stop.set()
    assert completion(list(answer)).reason == "cancelled"
    stop.clear()
    assert_same(engine, load(tiny(kind)), chat(LONG, "so it", "go on"), range(1, 1000))


@kinds
def test_after_a_cancelled_prefill_a_turn_says_what_a_fresh_context_says(
    kind: checkpoints.Kind, tiny: Tiny, load: Loader
) -> None:
    stop = StopFlag()
    engine = load(tiny(kind), stop=stop)

    def stop_after_half(progress: Progress) -> None:
        if progress.done > 150:
            stop.set()

    cancelled = list(engine.generate(chat(LONG), GREEDY, 0, stop_after_half))
    assert completion(cancelled).reason == "cancelled" and len(cancelled) == 1
    stop.clear()
    kept = len(engine._cache.tokens)
    assert 150 < kept < completion(cancelled).prompt_tokens
    assert_same(engine, load(tiny(kind)), chat(LONG), range(kept, kept + 1))


def test_a_stop_in_the_middle_of_a_computation_leaves_what_was_before(tiny: Tiny, load: Loader) -> None:
    stop = StopFlag()
    engine = load(tiny("ple"), stop=stop)
    ask(engine, chat(LONG), 5)
    before = list(engine._cache.tokens)
    stop.set()
    assert not engine._cache.decode(engine.tokenize([Segment(OTHER)])[:64], logits=True)
    stop.clear()
    assert engine._cache.tokens == before
    assert_same(engine, load(tiny("ple")), chat(LONG, "so it is", "and then?"), range(300, 1000))


@kinds
def test_without_the_rule_of_the_oldest_position_the_logits_are_wrong(
    kind: checkpoints.Kind, tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, fresh = load(tiny(kind)), load(tiny(kind))
    edited = chat(LONG[:150] + " edited")
    for rule, is_right in ((prefix.is_exact, True), (lambda length, oldest, window: True, False)):
        monkeypatch.setattr(prefix, "is_exact", rule)
        engine._cache.clear()
        fresh._cache.clear()
        ask(engine, chat(LONG), 60)
        list(engine.extend([*engine._cache.tokens, *engine.tokenize([Segment(OTHER)])], set(), GREEDY, 1, silent))
        worst, end = difference(engine, fresh, edited)
        assert (worst <= ROUNDING) if is_right else (worst > WRONG and end.reused_tokens > 0)


def test_the_quantized_built_in_model_goes_through_a_chat_as_fresh_contexts_do(
    demo: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BATCH", 512)
    monkeypatch.setattr(engines, "BATCH", 512)
    monkeypatch.setattr(loading, "BATCH", 512)
    engine, fresh = load(demo, context=2048), load(demo, context=2048)
    first, second = words(1, 250), words(2, 60)
    for prompt in (
        chat(first),
        chat(first, "yes", second),
        chat(first, "yes", second, "no", "and why?"),
        chat(first, "yes", "edited"),
        chat(first[:300], "from the beginning"),
        chat(first),
    ):
        said, _ = ask(engine, prompt, 30)
        fresh._cache.clear()
        # 4 bits a weight: a product of four rows and one of a single row add up in different orders.
        assert_same_tokens(fresh, fresh.tokenize(prompt), said, rounding=0.5)


def test_checkpoints_stay_within_their_bytes_and_the_least_used_goes_first(tiny: Tiny, load: Loader) -> None:
    engine = load(tiny("dense"))
    ask(engine, chat(LONG), 1)
    length, state = engine._cache.checkpoints.popitem()
    assert length == len(engine._cache.tokens)
    engine._cache.checkpoints.clear()
    engine._cache.checkpoints[length] = state
    engine._cache._budget = 2 * state.nbytes + 100
    answers = ["first", "second", "third"]
    for count in (1, 2, 3):
        turns = [LONG, *(turn for answer in answers[:count] for turn in (answer, "next"))]
        ask(engine, chat(*turns), 1)
    kept = list(engine._cache.checkpoints)
    assert len(kept) == 2 and length not in kept
    assert sum(state.nbytes for state in engine._cache.checkpoints.values()) <= engine._cache._budget


def test_a_checkpoint_that_cannot_be_read_back_costs_a_prefill_and_no_more(tiny: Tiny, load: Loader) -> None:
    engine = load(tiny("dense"))
    ask(engine, chat(LONG), 1)
    list(engine.extend([*engine._cache.tokens, *engine.tokenize([Segment(OTHER)])], set(), GREEDY, 1, silent))
    for length in engine._cache.checkpoints:
        engine._cache.checkpoints[length] = cache.Checkpoint((ctypes.c_uint8 * 9)())
    assert_same(engine, load(tiny("dense")), chat(LONG, "no", "why?"), range(1))
