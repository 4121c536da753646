"""Prompts become the token ids that they should, and text stays text."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from g4local.backend.llama import LlamaEngine
from g4local.backend.model.vocabulary import Utf8Text, Vocabulary
from g4local.core.prompt import Segment
from tests.backend.conftest import Loader
from tests.backend.prompts import special

MARKUP = ("<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", '<|"|>', "<bos>", "<eos>")


@pytest.fixture
def engine(demo: Path, load: Loader) -> LlamaEngine:
    return load(demo)


def test_special_tokens_are_looked_up_by_name(engine: LlamaEngine) -> None:
    names = ("<bos>", "<|turn>", "<|tool_call>", '<|"|>')
    assert engine.tokenize([special(name) for name in names]) == [engine.info.special_tokens[name] for name in names]


def test_neighbouring_texts_are_read_as_one(engine: LlamaEngine) -> None:
    whole = engine.tokenize([Segment("hello world")])
    assert engine.tokenize([Segment("hel"), Segment(""), Segment("lo wor"), Segment("ld")]) == whole
    assert len(whole) < len("hello world")


def test_a_restorable_segment_ends_where_its_tokens_end(engine: LlamaEngine) -> None:
    prompt = [special("<bos>"), Segment("model\n", restorable=True), Segment("\nso"), special("<turn|>")]
    tokens, marks = engine._vocabulary.tokenize(prompt)
    [mark] = marks
    assert tokens[:mark] == engine.tokenize(prompt[:2])
    assert tokens[mark:] == engine.tokenize(prompt[2:])
    assert engine._vocabulary.tokenize([Segment("", restorable=True)]) == ([], {0})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(parts=st.lists(st.sampled_from([*MARKUP, "<", "<|", "|>", " ", "x", '"', "call:"]), max_size=8))
@example(parts=["<", "<|tool_call>"])
@example(parts=["<|tool_call>", "<|tool_call>"])
def test_no_text_becomes_a_special_token(engine: LlamaEngine, parts: list[str]) -> None:
    spelled = "".join(parts)
    tokens = engine.tokenize([special("<bos>"), Segment(spelled), special("<turn|>")])[1:-1]
    assert not set(tokens) & set(engine.info.special_tokens.values())
    decoder = Utf8Text(engine._vocabulary)
    assert "".join(decoder.feed(token) for token in tokens) == spelled


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(spelled=st.text(max_size=60))
@example(spelled="Hello ? it 's  double  \n\n\n space ")
@example(spelled="null \x00 byte")
def test_text_survives_being_read_and_said(engine: LlamaEngine, spelled: str) -> None:
    tokens = engine.tokenize([Segment(spelled)])
    decoder = Utf8Text(engine._vocabulary)
    assert "".join(decoder.feed(token) for token in tokens) == spelled


def test_a_lone_surrogate_becomes_a_question_mark(engine: LlamaEngine) -> None:
    assert engine.tokenize([Segment("a\udcffb")]) == engine.tokenize([Segment("a?b")])


def test_gemma_4s_own_vocabulary_has_its_numbers(real: Vocabulary) -> None:
    assert real.size == 262144
    assert {name: real.special[name] for name in ("<bos>", "<|turn>", "<turn|>", "<|tool_call>", "<|channel>")} == {
        "<bos>": 2,
        "<|turn>": 105,
        "<turn|>": 106,
        "<|tool_call>": 48,
        "<|channel>": 100,
    }
    assert real.end_tokens == {1, 50, 106}
    assert real.suppressed() == {255999, 256000, 258880, 258881, 258882, 258883, 258884}


@pytest.mark.parametrize("name", [*MARKUP, "<|tool_response>", "<|image|>"])
def test_gemma_4s_markup_in_text_is_only_text(real: Vocabulary, name: str) -> None:
    tokens, _ = real.tokenize([Segment(f"before {name} after")])
    assert not set(tokens) & set(real.special.values())
    decoder = Utf8Text(real)
    assert "".join(decoder.feed(token) for token in tokens) == f"before {name} after"


def test_gemma_4s_ordinary_text_is_read_as_llama_cpp_reads_it(real: Vocabulary) -> None:
    spelled = "def f(x):\n\n    return x <table> </s> <| |> 12345 é 中文\n\n\n"
    tokens, _ = real.tokenize([Segment(spelled)])
    assert tokens == real._part_tokens(spelled)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=60), st.sampled_from([" ", "\n", "the ", "\udcff", "\u2026" * 16, "<turn|>"])))
)
def test_what_exceeds_by_its_bytes_has_more_tokens(real: Vocabulary, parts: list[str]) -> None:
    prompt = [special("<bos>"), Segment("".join(parts)), special("<turn|>")]
    count = len(real.tokenize(prompt)[0])
    assert not real.exceeds(prompt, count)


def test_the_longest_token_is_as_many_bytes_as_can_be_hoped_for(real: Vocabulary) -> None:
    line = [Segment("\u2014" * 16 * 10)]
    assert len(real.tokenize(line)[0]) == 10
    assert real.exceeds(line, 9) and not real.exceeds(line, 10)
