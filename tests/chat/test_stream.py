import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.backend.engine import EngineInfo, Piece
from g4local.chat.stream import ReplyStream, Start, start_of
from g4local.chat.template import markup, render
from g4local.core.events import Event, MalformedCall, TextDelta, ThoughtDelta
from g4local.core.messages import Message, ToolCall
from g4local.core.prompt import Segment

NAMES = (
    *("<bos>", "<eos>", "<|turn>", "<turn|>", "<|think|>", "<|image|>", "<|tool>", "<|tool_response>"),
    *("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", '<|"|>', "<tool_response|>"),
)
IDS = {name: 7000 + 13 * index for index, name in enumerate(NAMES)}
INFO = EngineInfo(
    path=Path("model.gguf"),
    name="model",
    architecture="gemma4",
    context=512,
    trained_context=512,
    vocab_size=9000,
    special_tokens={**IDS, "<table>": 5},
    end_tokens=frozenset({IDS["<eos>"], IDS["<turn|>"], IDS["<|tool_response>"]}),
    per_layer_embeddings=False,
)
GOLDEN = Path(__file__).parent.parent / "golden" / "replies.jsonl"
REPLIES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").rstrip("\n").split("\n")]
MARK = "\ue000"
"""The text of every special token's piece in the tests of what may be said: it must never turn up."""


def pieces(reply: str | Sequence[Segment], cuts: Iterable[int] = (), mark: str = "") -> list[Piece]:
    """The reply as pieces: special tokens whole, text cut at these places (counted over all its characters)."""
    segments = markup(reply, NAMES) if isinstance(reply, str) else reply
    cut = set(cuts)
    result: list[Piece] = []
    place = 0
    for segment in segments:
        if segment.special:
            result.append(Piece(IDS[segment.text], mark))
            continue
        word = ""
        for character in segment.text:
            if place in cut and word:
                result.append(Piece(1, word))
                word = ""
            word += character
            place += 1
        result.append(Piece(1, word))
    return result


def run(reply: Iterable[Piece], start: Start = "text") -> tuple[ReplyStream, list[Event]]:
    stream = ReplyStream(INFO, start=start)
    events = [event for piece in reply for event in stream.feed(piece)]
    return stream, events + stream.finish()


def told(events: Iterable[Event]) -> tuple[str, str, list[str]]:
    """All text, all thought and all malformed calls of the events."""
    events = list(events)
    return (
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ThoughtDelta)),
        [event.raw for event in events if isinstance(event, MalformedCall)],
    )


def check(expected: dict[str, object], reply: list[Piece]) -> None:
    stream, events = run(reply, expected["start"])
    text, thought, malformed = told(events)
    assert (text, thought) == (stream.text, stream.thought) == (expected["text"], expected["thought"])
    assert [{"name": call.name, "arguments": call.arguments} for call in stream.calls] == expected["calls"]
    assert bool(malformed) == expected["malformed"]


@pytest.mark.parametrize("expected", REPLIES, ids=lambda reply: reply["id"])
@pytest.mark.parametrize("cuts", [(), range(1000)], ids=["whole", "characters"])
def test_a_reply_means_what_it_should(expected: dict[str, object], cuts: Iterable[int]) -> None:
    check(expected, pieces(expected["reply"], cuts))
    check(expected, [*pieces(expected["reply"], cuts, mark=MARK), Piece(IDS["<turn|>"], MARK)])


@given(st.sampled_from(REPLIES), st.sets(st.integers(0, 90)))
def test_any_way_of_cutting_a_reply_tells_the_same(expected: dict[str, object], cuts: set[int]) -> None:
    check(expected, pieces(expected["reply"], cuts))


segments = st.builds(Segment, st.sampled_from(NAMES), st.just(True)) | st.builds(
    Segment,
    st.sampled_from(["thought", "tho", "ught", "\n", " ", "word", "call:f{", "}", "a:", "1", ",", "é😀", "[", "]"]),
)


@given(st.lists(segments), st.sampled_from(["text", "thought"]), st.sets(st.integers(0, 60)))
def test_any_tokens_at_all_are_told_without_markup(reply: list[Segment], start: Start, cuts: set[int]) -> None:
    stream, events = run(pieces(reply, mark=MARK), start)
    text, thought, malformed = told(events)
    assert (text, thought) == (stream.text, stream.thought)
    assert MARK not in text + thought + "".join(malformed)
    assert "<" not in text + thought
    assert text == text.rstrip()
    assert thought == thought.strip()
    again, other_events = run(pieces(reply, cuts), start)
    assert told(other_events) == (text, thought, malformed)
    assert (again.calls, malformed) == (stream.calls, told(other_events)[2])


@given(st.text())
def test_plain_text_is_told_as_it_is(text: str) -> None:
    stream, events = run([Piece(1, character) for character in text])
    assert stream.text == text.rstrip()
    assert told(events) == (stream.text, "", [])
    assert stream.thought_tokens == 0


@pytest.mark.parametrize("name", NAMES)
def test_markup_spelled_in_plain_characters_is_text(name: str) -> None:
    stream, _ = run([Piece(1, f"{name}call:f{{}}"), Piece(2, name)])
    assert stream.text == f"{name}call:f{{}}{name}"
    assert stream.calls == []


def test_a_user_defined_token_that_is_no_markup_is_a_word() -> None:
    stream, _ = run([Piece(5, "<table>"), Piece(1, "x")])
    assert stream.text == "<table>x"


@pytest.mark.parametrize(
    ("reply", "text", "thought"),
    [
        ("  indented", "  indented", ""),
        ("Wait. \n<|tool_call>call:f{}<tool_call|>\n<|tool_call>call:f{}<tool_call|>", "Wait.", ""),
        ("<|channel>thought\n\n a \n b\n\n<channel|>\n\nHello\n", "Hello", "a \n b"),
        ("One<|channel>thought\nx<channel|> two", "One two", "x"),
        ("<|channel>thought\na<channel|><|channel>thought\nb<channel|>c", "c", "a\n\nb"),
        ("<|channel>thought\na<|channel>thought\nb<channel|>c", "c", "a\n\nb"),
        ("<|channel>thinking<channel|>", "thinking", ""),
        ("<|channel>tho", "tho", ""),
        ("<|channel>tho<channel|>x", "thox", ""),
        ("<|channel>thought\nI call.<|tool_call>call:f{}<tool_call|>", "", "I call."),
        ("<|channel>", "", ""),
        ("<tool_call|>x<|think|>y", "xy", ""),
    ],
)
def test_whitespace_and_stray_markup_belong_to_nothing(reply: str, text: str, thought: str) -> None:
    for cuts in ((), range(1000)):
        stream, events = run(pieces(reply, cuts))
        assert told(events) == (text, thought, [])
        assert (stream.text, stream.thought) == (text, thought)


def test_whitespace_is_told_as_soon_as_a_word_follows_it() -> None:
    stream = ReplyStream(INFO)
    given = ["One", " ", "\n", "two"]
    assert [stream.feed(Piece(1, word)) for word in given] == [[TextDelta("One")], [], [], [TextDelta(" \ntwo")]]


@pytest.mark.parametrize(
    ("reply", "calls", "malformed"),
    [
        ("<|tool_call><|tool_call>call:f{}<tool_call|>", ["f"], []),
        ("<|tool_call>call:f{<|tool_call>call:g{}<tool_call|>", ["g"], ["call:f{"]),
        ('<|tool_call>call:f{a:<|"|>x<tool_call|>text', [], ['call:f{a:<|"|>x']),
        ("<|tool_call>call:f{}<channel|><tool_call|>", [], ["call:f{}<channel|>"]),
        ("<|tool_call>call:f{}", [], ["call:f{}"]),
    ],
)
def test_a_call_that_cannot_be_read_is_told_as_it_was_written(
    reply: str, calls: list[str], malformed: list[str]
) -> None:
    stream, events = run(pieces(reply))
    assert [call.name for call in stream.calls] == calls
    assert told(events)[2] == malformed


def test_calls_are_numbered_from_where_the_caller_says() -> None:
    stream = ReplyStream(INFO, first_call=3)
    for piece in pieces("<|tool_call>call:f{}<tool_call|><|tool_call>call:g{x:1}<tool_call|>"):
        assert stream.feed(piece) == []
    assert stream.calls == [ToolCall("f", {}, "call_3"), ToolCall("g", {"x": 1}, "call_4")]


def test_thought_tokens_are_those_from_the_opener_to_the_closer() -> None:
    reply = [
        *pieces("<|channel>"),
        *(Piece(1, word) for word in ("thought", "\n", "Hm", "...")),
        *pieces("<channel|>Yes."),
    ]
    assert run(reply)[0].thought_tokens == 6
    assert run(reply[3:], "thought")[0].thought_tokens == 3


def test_the_reply_starts_where_the_prompt_has_left_off() -> None:
    question = (Message("user", "Hi"),)
    asked = (
        *question,
        Message("assistant", tool_calls=(ToolCall("f", {}, "1"),)),
        Message("tool", "x", tool_call_id="1"),
    )
    assert start_of(render(question, variant="large")) == "text"
    assert start_of(render(question, variant="edge", enable_thinking=True)) == "text"
    assert start_of(render(asked, variant="large", enable_thinking=True)) == "thought"
    assert start_of([Segment("once upon a time")]) == "text"
