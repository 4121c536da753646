"""Drafts change no answer: with F32 weights, each token, each end and what is kept are those of plain decoding."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.backend import llama as engines
from g4local.backend.draft import drafts
from g4local.backend.draft.drafts import Cost, Drafter, Drafts, Pace
from g4local.backend.draft.ngram import Ngrams
from g4local.backend.engine import FREE, MOST_DRAFTS, Completion, Constraint, Guidance, Piece, Sampling
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.model import loading
from g4local.backend.state import cache, prefix
from g4local.core.errors import EngineError
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from tests import checkpoints
from tests.backend.conftest import Loader
from tests.backend.prompts import chat, completion, ids, words
from tests.backend.test_exactness import assert_same_tokens
from tests.conftest import Tiny

GREEDY = Sampling(temperature=0, seed=2)
WARM = Sampling(seed=3, temperature=1.5)
HOT = Sampling(seed=4, temperature=30.0, top_p=1.0)
PENALTY = Sampling(seed=5, temperature=2.0, repeat_penalty=1.3)
SAMPLINGS = {"greedy": GREEDY, "warm": WARM, "hot": HOT, "penalty": PENALTY}
samplings = pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)


class Oracle:
    """Knows the answer, and drafts some of its tokens wrongly."""

    def __init__(self, answer: Sequence[int], wrong: float, seed: int = 0) -> None:
        self.answer, self.wrong = answer, wrong
        self.random = random.Random(seed)
        self.said = 0
        self.longest = 0

    def begin(self, text: Sequence[int]) -> None:
        self.said = 0

    def feed(self, token: int) -> None:
        self.said += 1

    def draft(self, row: int, most: int) -> list[int]:
        right = [*self.answer[self.said :], *[5] * most][:most]
        drafted = [token if self.random.random() >= self.wrong else self.random.randrange(300) for token in right]
        self.longest = max(self.longest, len(drafted))
        return drafted


class Eager(Pace):
    """As many drafts as there may be, now and then fewer."""

    def __init__(self) -> None:
        super().__init__(Cost(0.0, 0.0))
        self.random = random.Random(1)

    @property
    def most(self) -> int:
        return self.random.choice((MOST_DRAFTS, MOST_DRAFTS, self.random.randint(0, MOST_DRAFTS)))


def drafting(engine: LlamaEngine, drafter: Drafter | None) -> LlamaEngine:
    def begun(tokens: Sequence[int]) -> Drafts | None:
        if drafter is None:
            return None
        drafter.begin(tokens)
        return Drafts(drafter, Eager())

    engine._drafts = begun  # type: ignore[method-assign]
    return engine


@pytest.fixture(autouse=True)
def exact_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and values in F32, too: rounded to 16 bits, some would fall to the other side."""
    monkeypatch.setitem(loading._GGML_TYPES, "f16", llama.GGML_TYPE_F32)


@pytest.fixture
def pair(exact: Path, load: Loader) -> tuple[LlamaEngine, LlamaEngine]:
    """Two engines, one of which is to draft."""
    return load(exact, draft="off"), load(exact)


Said = list[Piece | Completion]
Outcome = tuple[list[Piece], tuple[Any, ...], list[int]]


def outcome(engine: LlamaEngine, said: Said) -> Outcome:
    """All that may not differ: pieces, the end, and what the cache holds."""
    end = completion(said)
    told = (end.reason, end.end_token, end.completion_tokens, end.prompt_tokens, end.thought_cut, end.seed)
    return [item for item in said if isinstance(item, Piece)], told, list(engine._cache.tokens)


def assert_same(
    pair: tuple[LlamaEngine, LlamaEngine],
    prompt: list[Segment],
    sampling: Sampling,
    most: int = 40,
    guidance: Guidance = FREE,
    wrong: Sequence[float] = (0.0, 0.3, 1.0),
) -> Completion:
    """The plain answer is that of an oracle's drafts, of partly and wholly wrong ones, and of n-grams."""
    plain, drafted = pair
    plain._cache.clear()
    wanted = outcome(plain, list(drafting(plain, None).generate(prompt, sampling, most, silent, guidance)))
    answer = [piece.token for piece in wanted[0]]
    drafters: list[Drafter] = [*(Oracle(answer, share) for share in wrong), Ngrams()]
    for drafter in drafters:
        drafted._cache.clear()
        said = list(drafting(drafted, drafter).generate(prompt, sampling, most, silent, guidance))
        assert outcome(drafted, said) == wanted
        assert_true(drafted)
        if isinstance(drafter, Oracle) and drafter.wrong == 0:
            right = completion(said)
    assert right.accepted_tokens == right.drafted_tokens or right.reason in ("stop", "loop")
    return right


def assert_true(engine: LlamaEngine) -> None:
    """The memory holds as many tokens as the cache says."""
    memory = llama.llama_get_memory(engine._context)
    assert llama.llama_memory_seq_pos_max(memory, 0) + 1 == len(engine._cache.tokens)


@samplings
def test_an_answer_is_the_same_with_drafts(pair: tuple[LlamaEngine, LlamaEngine], sampling: Sampling) -> None:
    for prompt in (chat(words(1, 40)), chat("What is 12 + 30?")):
        assert_same(pair, prompt, sampling)


@samplings
def test_so_is_an_endless_one(pair: tuple[LlamaEngine, LlamaEngine], sampling: Sampling) -> None:
    for engine in pair:
        engine._vocabulary.end_tokens = frozenset()
    end = assert_same(pair, chat("hello"), sampling, 70, Guidance(loop_guard=False))
    assert end.accepted_tokens > 50


@pytest.mark.parametrize("most", [1, 2, 3, 7, 8, 9, 17])
def test_it_ends_at_its_length_wherever_that_falls(pair: tuple[LlamaEngine, LlamaEngine], most: int) -> None:
    for engine in pair:
        engine._vocabulary.end_tokens = frozenset()
    assert assert_same(pair, chat("hello"), HOT, most).reason == "length"


def test_it_ends_with_the_context_full_to_the_last_token(exact: Path, load: Loader) -> None:
    pair = load(exact, context=256, draft="off"), load(exact, context=256)
    for engine in pair:
        engine._vocabulary.end_tokens = frozenset()
    for length in (240, 248, 250, 253, 255):
        for engine in pair:
            engine._cache.clear()
        tokens = pair[0].tokenize(chat(words(3, 200)))[:length]
        plain = outcome(pair[0], list(pair[0].extend(tokens, set(), HOT, 0, silent)))
        answer = [piece.token for piece in plain[0]]
        said = list(drafting(pair[1], Oracle([*answer, *[9] * 20], 0.0)).extend(tokens, set(), HOT, 0, silent))
        assert outcome(pair[1], said) == plain
        assert (completion(said).reason, len(answer)) == ("context", 256 - length)


def test_an_end_token_among_drafts_ends_the_answer(pair: tuple[LlamaEngine, LlamaEngine]) -> None:
    plain, drafted = pair
    for engine in pair:
        engine._vocabulary.end_tokens = frozenset()
    answer = ids(plain.generate(chat("hello"), HOT, 30, silent))
    for place in range(1, 15, 2):
        for engine in pair:
            engine._cache.clear()
            engine._vocabulary.end_tokens = frozenset({answer[place]})
        wanted = outcome(plain, list(plain.generate(chat("hello"), HOT, 30, silent)))
        said = list(drafting(drafted, Oracle(answer, 0.0)).generate(chat("hello"), HOT, 30, silent))
        assert outcome(drafted, said) == wanted
        assert completion(said).reason == "stop"


@pytest.mark.parametrize("after", [1, 2, 3, 5, 8, 13])
def test_a_cancelled_answer_is_the_same_as_far_as_it_goes(exact: Path, load: Loader, after: int) -> None:
    flags = StopFlag(), StopFlag()
    pair = load(exact, draft="off", stop=flags[0]), load(exact, stop=flags[1])
    answer = ids(pair[0].generate(chat("hello"), HOT, 60, silent))
    pair[0]._cache.clear()
    drafting(pair[1], Oracle(answer, 0.2))
    found = []
    for engine, flag in zip(pair, flags, strict=True):
        said: Said = []
        for item in engine.generate(chat("hello"), HOT, 60, silent):
            said.append(item)
            if len(said) == after:
                flag.set()
        found.append(outcome(engine, said))
        assert completion(said).reason == "cancelled"
        assert_true(engine)
    assert found[0] == found[1]


def test_an_abandoned_answer_leaves_a_cache_that_is_true(pair: tuple[LlamaEngine, LlamaEngine]) -> None:
    plain, drafted = pair
    for engine in pair:
        engine._vocabulary.end_tokens = frozenset()
    answer = ids(plain.generate(chat("hello"), HOT, 60, silent))
    for after in range(1, 12):
        said = drafting(drafted, Oracle(answer, 0.2)).generate(chat("hello"), HOT, 60, silent)
        for _ in range(after):
            next(said)
        said.close()  # type: ignore[attr-defined]
        assert_true(drafted)
        assert ids(drafting(drafted, None).generate(chat("hello"), HOT, 60, silent)) == answer


REGEX = Constraint("regex", r"(red|green|blue)(, (red|green|blue)){4,9}")
SCHEMA = Constraint(
    "schema", '{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a","b"]}'
)
GUIDANCES = {
    "regex": Guidance(answer=REGEX),
    "schema": Guidance(answer=SCHEMA),
    "thinking": Guidance(answer=REGEX, thinking=True, think_budget=9),
    "budget": Guidance(in_thought=True, think_budget=7),
    "loop": Guidance(loop_guard=True),
}


@pytest.mark.parametrize("name", GUIDANCES)
@pytest.mark.parametrize("sampling", [GREEDY, WARM, PENALTY], ids=["greedy", "warm", "penalty"])
def test_what_holds_an_answer_within_bounds_holds_it_alike(
    pair: tuple[LlamaEngine, LlamaEngine], name: str, sampling: Sampling
) -> None:
    assert_same(pair, chat("hello"), sampling, 60, GUIDANCES[name], wrong=(0.0, 0.4))


def test_a_loop_is_ended_at_the_same_token(pair: tuple[LlamaEngine, LlamaEngine]) -> None:
    token = pair[0].tokenize([Segment("a")])[0]
    for engine in pair:
        everything = set(range(engine.info.vocab_size))
        engine._vocabulary.suppressed = lambda everything=everything: everything - {token}  # type: ignore[method-assign]
    end = assert_same(pair, chat("hello"), GREEDY, 600, wrong=(0.0,))
    assert end.reason == "loop"


def test_suppressed_tokens_are_not_said_though_they_are_drafted(pair: tuple[LlamaEngine, LlamaEngine]) -> None:
    image = pair[1].info.special_tokens["<|image|>"]
    said = ids(drafting(pair[1], Oracle([image] * 60, 0.0)).generate(chat("hello"), HOT, 60, silent))
    assert image not in said


def test_what_is_cut_back_can_always_be_continued_exactly(
    tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sliding cache of 256 cells and a window of 16, filled several times over by drafts that do not hold."""
    for module in (cache, engines, loading):
        monkeypatch.setattr(module, "BATCH", 64)
    for kind in checkpoints.KINDS:
        plain, drafted = load(tiny(kind, "F32"), draft="off"), load(tiny(kind, "F32"))
        for engine in (plain, drafted):
            engine._vocabulary.end_tokens = frozenset()
        cut = drafted._cache.cut

        def checked(length: int, engine: LlamaEngine = drafted, cut: Callable[[int], None] = cut) -> None:
            assert prefix.is_exact(length, engine._cache._oldest(), engine._cache._window)
            cut(length)

        drafted._cache.cut = checked  # type: ignore[method-assign]
        tokens = plain.tokenize(chat(words(1, 85)))
        answer = ids(plain.extend(tokens, set(), GREEDY, 60, silent))
        for wrong in (0.3, 1.0):
            drafted._cache.clear()
            said = ids(drafting(drafted, Oracle(answer, wrong)).extend(tokens, set(), GREEDY, 60, silent))
            assert_same_tokens(plain, tokens, said, rounding=0.02)


def test_a_context_has_room_for_as_many_outputs_as_there_may_be(exact: Path, load: Loader) -> None:
    """One more would end the process."""
    engine = load(exact)
    oracle = Oracle([], 1.0)
    list(drafting(engine, oracle).generate(chat("hello"), HOT, 60, silent))
    assert oracle.longest == MOST_DRAFTS


def test_a_batch_that_can_not_be_computed_ends_the_answer_and_leaves_an_empty_cache(
    exact: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(exact)
    drafting(engine, Oracle([], 1.0))
    said = engine.generate(chat("hello"), HOT, 60, silent)
    next(said)
    monkeypatch.setattr(llama, "llama_decode", lambda context, batch: -3)
    with pytest.raises(EngineError, match="-3"):
        list(said)
    assert engine._cache.tokens == []


# How many are drafted.

costs = st.floats(0.01, 1.0)


@given(costs, st.floats(0.0, 2.0), st.lists(st.tuples(st.integers(0, MOST_DRAFTS), st.integers(0, 5)), max_size=200))
def test_drafts_never_lose_more_than_they_may(cost: float, first: float, results: list[tuple[int, int]]) -> None:
    price = Cost(cost, 5.0, 0.01, first)
    credit = max(drafts._CREDIT, min(price.of(each) for each in (1, 3, MOST_DRAFTS) if price.of(each) < each))
    pace, lost, said = Pace(price), 0.0, 0
    for held, between in results:
        most = pace.most
        if most:
            lost += price.of(most) - min(held, most)
            pace.tell(most, min(held, most))
        for _ in range(between + 1):
            pace.said()
            said += 1
        assert lost <= credit + drafts._RISK * said + 1e-6


def test_wrong_drafts_are_given_up_and_tried_again_now_and_then() -> None:
    pace, drafted = Pace(Cost(0.2, 5.0)), []
    for _ in range(1000):
        most = pace.most
        drafted.append(most)
        pace.tell(most, 0) if most else None
        pace.said()
    assert set(drafted) == {0, 1}
    assert sum(drafted[100:]) * 0.2 <= drafts._RISK * 900 + 0.2
    assert all(sum(drafted[start : start + 25]) for start in range(0, 1000, 25))


@pytest.mark.parametrize(("cost", "least"), [(drafts.REPACKED, 1), (drafts.AS_THEY_ARE, 2)])
def test_fewer_drafts_than_can_pay_are_left_out(cost: Cost, least: int) -> None:
    text = [*range(10, 60), 1, *range(10, 60)]
    every, told = Drafts(Ngrams(), Pace(cost)), []
    every.drafter.begin(text[:51])
    for place in range(51, len(text)):
        every.feed(text[place])
        drafted = every.draft(0, MOST_DRAFTS)
        if drafted:
            told.append(len(drafted))
            every.tell(len(drafted), len(drafted))
    assert told[0] == (1 if least == 1 else 3) and max(told) == MOST_DRAFTS
    assert all(count >= least for count in told)


def test_where_one_draft_can_not_pay_more_of_them_are_tried() -> None:
    pace = Pace(drafts.AS_THEY_ARE)
    lengths = []
    for _ in range(6):
        lengths.append(pace.most)
        pace.tell(pace.most, pace.most)
    assert lengths[0] == 3 and lengths[-1] == MOST_DRAFTS
    assert drafts.AS_THEY_ARE.of(1) >= 1 > drafts.REPACKED.of(1)


def test_right_drafts_become_longer_at_once_also_after_wrong_ones() -> None:
    pace = Pace(Cost(0.2, 5.0))
    for _ in range(500):
        if pace.most:
            pace.tell(pace.most, 0)
        pace.said()
    while not pace.most:
        pace.said()
    lengths = []
    for _ in range(4):
        lengths.append(pace.most)
        pace.tell(pace.most, pace.most)
    assert lengths == [1, 3, MOST_DRAFTS, MOST_DRAFTS]
