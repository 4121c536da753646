"""What a generation yields, how it ends, and what it refuses."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from g4local.backend.engine import RANGES, Completion, Piece, Sampling
from g4local.backend.fit.memory import PIECE
from g4local.backend.generation.sampling import check
from g4local.backend.llama import LlamaEngine
from g4local.backend.model.vocabulary import Utf8Text
from g4local.core.errors import ContextFull, EngineError, UsageError
from g4local.core.progress import Progress, silent
from g4local.core.prompt import Segment
from tests.backend.conftest import Loader
from tests.backend.prompts import GREEDY, chat, completion, ids, special, words
from tests.conftest import ROOT

ANY = Sampling(seed=7)
HOT = Sampling(temperature=3.0, top_p=1.0)
Afresh = Callable[[Sampling], list[Piece | Completion]]
TRAINED = json.loads((ROOT / "g4local" / "demo" / "config.json").read_text(encoding="utf-8"))["text_config"]


@pytest.fixture
def engine(demo: Path, load: Loader) -> LlamaEngine:
    return load(demo)


@pytest.fixture
def endless(engine: LlamaEngine) -> LlamaEngine:
    """An engine whose answers go on until something else ends them."""
    engine._vocabulary.end_tokens = frozenset()
    return engine


def test_what_is_known_of_the_model_is_its_own(engine: LlamaEngine, demo: Path) -> None:
    info = engine.info
    assert (info.path, info.architecture) == (demo, "gemma4")
    assert info.trained_context == TRAINED["max_position_embeddings"]
    assert info.vocab_size == TRAINED["vocab_size"]
    assert info.per_layer_embeddings and info.name
    assert info.end_tokens == {info.special_tokens[name] for name in ("<eos>", "<turn|>", "<|tool_response>")}


def test_the_real_context_is_told_and_not_the_one_that_was_asked_for(demo: Path, load: Loader) -> None:
    assert load(demo, context=300).info.context == 512
    assert load(demo, context=0).info.context == TRAINED["max_position_embeddings"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", -1),
        ("threads", 513),
        ("threads", 2**31),
        ("gpu_layers", -2),
        ("gpu_layers", 513),
        ("gpu_layers", 2**32),
    ],
)
def test_options_that_would_hang_or_wrap_are_refused(demo: Path, load: Loader, name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"{name} is {value}") as refused:
        load(demo, **{name: value})
    assert "512" in refused.value.hint


@pytest.mark.parametrize("context", [TRAINED["max_position_embeddings"] + 1, -1, 10**9])
def test_a_context_that_the_model_was_not_trained_for_is_refused(demo: Path, load: Loader, context: int) -> None:
    with pytest.raises(UsageError, match="was trained for") as refused:
        load(demo, context=context)
    assert str(TRAINED["max_position_embeddings"]) in refused.value.hint


def test_a_generation_ends_at_its_length(endless: LlamaEngine) -> None:
    end = completion(list(endless.generate(chat("hello"), ANY, 9, silent)))
    assert (end.reason, end.completion_tokens, end.end_token) == ("length", 9, None)
    assert end.prompt_tokens == len(endless.tokenize(chat("hello")))


def test_a_generation_ends_with_its_end_token_which_says_nothing(engine: LlamaEngine) -> None:
    first, *_ = ids(engine.generate(chat("hello"), GREEDY, 20, silent))
    engine._vocabulary.end_tokens = frozenset({first})
    said = list(engine.generate(chat("hello"), GREEDY, 20, silent))
    assert (completion(said).reason, completion(said).end_token) == ("stop", first)
    assert ids(said) == [first]


def test_a_generation_ends_when_the_context_is_full(demo: Path, load: Loader) -> None:
    engine = load(demo, context=256)
    engine._vocabulary.end_tokens = frozenset()
    prompt = chat("hello")
    end = completion(list(engine.generate(prompt, ANY, 0, silent)))
    assert end.reason == "context"
    assert end.prompt_tokens + end.completion_tokens == 256


def test_a_prompt_without_room_for_an_answer_is_refused_and_the_longest_one_is_not(demo: Path, load: Loader) -> None:
    engine = load(demo, context=256)
    tokens = engine.tokenize(chat(words(3, 200)))
    with pytest.raises(ContextFull, match=r"256.*256"):
        next(engine.extend(tokens[:256], set(), ANY, 0, silent))
    assert engine._cache.tokens == []
    said = list(engine.extend(tokens[:255], set(), ANY, 5, silent))
    assert completion(said).completion_tokens == 1


def test_a_text_that_can_never_fit_is_refused_before_it_is_tokenized(engine: LlamaEngine) -> None:
    vocabulary = engine._vocabulary
    longest = max((vocabulary.piece(token) for token in range(vocabulary.size)), key=len)
    engine._vocabulary.tokenize = lambda prompt: pytest.fail("tokenized")  # type: ignore[method-assign]
    with pytest.raises(ContextFull, match=str(engine.info.context)):
        next(engine.generate([Segment(longest.decode() * engine.info.context)], ANY, 0, silent))
    with pytest.raises(pytest.fail.Exception):
        next(engine.generate([Segment(longest.decode() * (engine.info.context - 1))], ANY, 0, silent))


def test_an_empty_prompt_is_refused(engine: LlamaEngine) -> None:
    with pytest.raises(UsageError, match="empty"):
        next(engine.generate([Segment("")], ANY, 0, silent))


@pytest.fixture
def afresh(demo: Path, load: Loader) -> Afresh:
    """Answers in a context of its own, as `run` does: what is reused may round differently, and hot dice show it."""
    return lambda sampling: list(load(demo).generate(chat("hello"), sampling, 20, silent))


def test_a_seed_repeats_an_answer_and_another_seed_gives_another(afresh: Afresh) -> None:
    answers = [ids(afresh(replace(HOT, seed=seed))) for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]


def test_a_seed_that_was_drawn_is_told_and_repeats_the_answer(afresh: Afresh) -> None:
    first = afresh(HOT)
    seed = completion(first).seed
    assert 0 <= seed <= RANGES["seed"][1]
    assert ids(first) == ids(afresh(replace(HOT, seed=seed)))
    assert completion(afresh(HOT)).seed != seed


def test_greedy_is_what_is_left_of_the_dice_when_only_one_token_may_come(endless: LlamaEngine) -> None:
    greedy = ids(endless.generate(chat("hello"), GREEDY, 20, silent))
    for single in (Sampling(top_k=1), Sampling(top_p=1e-9), Sampling(min_p=1.0)):
        assert ids(endless.generate(chat("hello"), single, 20, silent)) == greedy


def test_a_repeat_penalty_counts_the_prompt_and_keeps_tokens_from_coming_again(endless: LlamaEngine) -> None:
    said = ids(endless.generate(chat("hello"), Sampling(temperature=0, repeat_penalty=1000), 25, silent))
    assert len(set(said)) == len(said)
    assert not set(said) & set(endless.tokenize(chat("hello")))


def test_media_tokens_and_the_models_own_suppressed_tokens_are_never_said(endless: LlamaEngine) -> None:
    media = {endless.info.special_tokens[name] for name in ("<|image|>", "<image|>", "<|audio|>", "<|video|>")}
    assert media <= endless._vocabulary.suppressed()
    everything = Sampling(temperature=1000.0, top_p=1.0, top_k=0, seed=3)
    assert not media & set(ids(endless.generate(chat("hello"), everything, 500, silent)))
    # With all tokens but one suppressed, that one is said: the bias reaches the sampler.
    endless._vocabulary.suppressed = lambda: set(range(endless.info.vocab_size)) - {1234}  # type: ignore[method-assign]
    assert ids(endless.generate(chat("hello"), everything, 3, silent)) == [1234] * 3


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=math.nan),
        Sampling(temperature=math.inf),
        Sampling(temperature=-1.0),
        Sampling(top_k=-1),
        Sampling(top_p=1.5),
        Sampling(min_p=-0.1),
        Sampling(repeat_penalty=0.0),
        Sampling(seed=-1),
        Sampling(seed=2**32 - 1),
    ],
    ids=str,
)
def test_sampling_that_means_nothing_is_refused(sampling: Sampling) -> None:
    with pytest.raises(UsageError):
        check(sampling)


def test_prefill_is_reported_from_nothing_to_all(engine: LlamaEngine) -> None:
    told: list[Progress] = []
    prompt = chat(words(4, 250))
    end = completion(list(engine.generate(prompt, ANY, 1, told.append)))
    assert {(step.stage, step.total, step.unit) for step in told} == {("prefill", end.prompt_tokens, "tokens")}
    assert [step.done for step in told] == [*range(0, end.prompt_tokens, PIECE), end.prompt_tokens]


def test_an_abandoned_generation_leaves_an_engine_that_goes_on(endless: LlamaEngine) -> None:
    abandoned = endless.generate(chat("hello"), GREEDY, 0, silent)
    for _ in range(3):
        next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]
    fresh = ids(endless.generate(chat("hello"), GREEDY, 10, silent))
    assert len(fresh) == 10


def test_pieces_are_whole_characters_however_the_bytes_fall(engine: LlamaEngine) -> None:
    spelled = "né 中 🙂!"
    tokens = engine.tokenize([Segment(spelled)])
    vocabulary = engine._vocabulary
    decoder = Utf8Text(vocabulary)
    pieces = [decoder.feed(token) for token in tokens]
    assert "".join(pieces) == spelled
    assert "\ufffd" not in "".join(pieces) and "" in pieces
    broken = Utf8Text(vocabulary)
    first_byte = next(token for token in tokens if vocabulary.piece(token) == "中".encode()[:1])
    end = engine.info.special_tokens["<turn|>"]
    assert broken.feed(first_byte) + broken.feed(end) == "\ufffd"


def test_timings_and_counts_add_up(engine: LlamaEngine) -> None:
    said = list(engine.generate(chat("hello"), ANY, 5, silent))
    end = completion(said)
    assert end.prefill_seconds > 0
    assert end.completion_tokens == len(ids(said))
    again: Completion = completion(list(engine.generate(chat("hello"), ANY, 5, silent)))
    assert again.reused_tokens == end.prompt_tokens


def test_a_special_token_that_is_unknown_is_named(engine: LlamaEngine) -> None:
    with pytest.raises(EngineError, match=r"<\|nonsense\|>"):
        engine.tokenize([special("<|nonsense|>")])


@pytest.mark.parametrize("context", [1, 8, 255, 256, 257, 300, 511, 512])
def test_a_prompt_fits_a_small_context_or_is_refused(context: int, demo: Path, load: Loader) -> None:
    engine = load(demo, context)
    assert engine.info.context == -(-context // 256) * 256
    token = engine.info.special_tokens["<|turn>"]
    for length in (engine.info.context - 1, engine.info.context, engine.info.context + 1):
        said = engine.extend([token] * length, set(), GREEDY, 3, silent)
        if length < engine.info.context:
            assert completion(list(said)).prompt_tokens == length
        else:
            with pytest.raises(ContextFull):
                list(said)
