"""What a transcript holds of a history, and of a turn."""

from hypothesis import given
from hypothesis import strategies as st

from g4local.core.events import (
    MalformedCall,
    RawDelta,
    TextDelta,
    ThoughtDelta,
    ToolFinished,
    ToolRequested,
    ToolResult,
    Warned,
)
from g4local.core.messages import Media, Message, Text, ToolCall, ToolResponse
from g4tui.widgets.note import Noted
from g4tui.widgets.question import Asked
from g4tui.widgets.record import Record
from g4tui.widgets.reply import Part
from g4tui.widgets.thought import CHUNK, Chunk, Thinking, pour
from g4tui.widgets.tool_card import Called

CALL = ToolCall("calculate", {"expression": "2 + 2"}, "call_0")


def kinds(record: Record) -> list[str]:
    return [type(entry).__name__ for entry in record.entries]


def called(record: Record) -> list[Called]:
    return [entry for entry in record.entries if isinstance(entry, Called)]


def test_a_history_is_read_with_its_thoughts_calls_and_results() -> None:
    record = Record()
    record.read(
        [
            Message("system", "Be brief."),
            Message("user", (Media("image"), Text("How much is 2 + 2?"))),
            Message("assistant", "Let me see.", "Easy.", (CALL,)),
            Message("tool", "4", tool_call_id="call_0"),
            Message("assistant", "It is 4."),
            Message("user", "Sure?"),
        ]
    )
    assert kinds(record) == ["Asked", "Thinking", "Part", "Called", "Part", "Asked"]
    first = record.entries[0]
    assert isinstance(first, Asked)
    assert (first.index, first.text, first.media) == (0, "How much is 2 + 2?", ("image",))
    assert (called(record)[0].state, called(record)[0].result) == ("done", "4")
    parts = [entry for entry in record.entries if isinstance(entry, Part)]
    assert parts[0].said is parts[1].said
    assert parts[0].said.text == "Let me see.\n\nIt is 4."
    assert [part.is_first for part in parts] == [True, False]


def test_results_that_stand_inside_the_answer_belong_to_its_calls() -> None:
    record = Record()
    record.read(
        [Message("assistant", "4.", tool_calls=(CALL,), tool_responses=(ToolResponse("calculate", {"is": 4}),))]
    )
    assert kinds(record) == ["Called", "Part"]
    assert called(record)[0].result == '{\n  "is": 4\n}'


def test_failed_refused_and_unanswered_calls_are_told_apart() -> None:
    calls = tuple(ToolCall("run", {"n": n}, f"call_{n}") for n in range(3))
    record = Record()
    record.read(
        [
            Message("assistant", tool_calls=calls),
            Message("tool", "error: no such file", tool_call_id="call_0"),
            Message("tool", "error: refused by the user", tool_call_id="call_1"),
        ]
    )
    assert [each.state for each in called(record)] == ["failed", "refused", "no result"]


def test_a_turn_is_told_as_the_history_that_it_becomes() -> None:
    record, history = Record(), Record()
    record.ask("How much?")
    for event in (
        ThoughtDelta("Ea"),
        ThoughtDelta("sy."),
        TextDelta("Let me "),
        TextDelta("see."),
        ToolRequested(CALL),
        ToolFinished(CALL, ToolResult("4", ok=True)),
        TextDelta("It is 4."),
    ):
        record.add(event)
    record.end()
    history.read(
        [
            Message("user", "How much?"),
            Message("assistant", "Let me see.", "Easy.", (CALL,)),
            Message("tool", "4", tool_call_id="call_0"),
            Message("assistant", "It is 4."),
        ]
    )
    assert kinds(record) == kinds(history)
    assert called(record)[0].state == called(history)[0].state == "done"


def test_calls_without_an_answer_end_with_the_turn() -> None:
    record = Record()
    record.ask("Go.")
    record.add(ToolRequested(CALL))
    assert record.want(CALL) is called(record)[0]
    assert called(record)[0].state == "asks"
    record.end()
    assert called(record)[0].state == "no result"


def test_the_same_call_twice_has_two_cards() -> None:
    record = Record()
    record.ask("Go.")
    for value in ("4", "5"):
        record.add(ToolRequested(CALL))
        record.add(ToolFinished(CALL, ToolResult(value, ok=True)))
    assert [each.result for each in called(record)] == ["4", "5"]


def test_a_call_that_asks_before_it_is_told_of_has_one_card() -> None:
    record = Record()
    record.want(CALL)
    record.add(ToolRequested(CALL))
    assert len(called(record)) == 1


def test_warnings_and_calls_that_cannot_be_read_are_notes() -> None:
    record = Record()
    for event in (TextDelta("So"), Warned("The context is full."), MalformedCall("call:{"), TextDelta(" it goes on.")):
        record.add(event)
    assert kinds(record) == ["Part", "Noted", "Noted", "Part"]
    assert [entry.kind for entry in record.entries if isinstance(entry, Noted)] == ["warning", "warning"]


def test_an_answer_of_nothing_but_empty_lines_is_no_part() -> None:
    record = Record()
    record.add(TextDelta("\n\n"))
    record.end()
    assert record.entries == []


@given(st.lists(st.text(alphabet="ab \n", max_size=30), max_size=30))
def test_words_of_a_thought_are_counted_however_it_comes(pieces: list[str]) -> None:
    thinking = Thinking()
    for piece in filter(None, pieces):
        thinking.add(piece)
    assert thinking.words == len("".join(pieces).split())


@given(st.lists(st.text(alphabet="ab\n", max_size=3 * CHUNK), max_size=6))
def test_chunks_hold_all_lines_of_a_text(pieces: list[str]) -> None:
    chunks: list[Chunk] = []
    for piece in pieces:
        pour(piece, chunks)
    assert "\n".join(chunk.text for chunk in chunks) == "".join(pieces)


def test_an_unfolded_thought_is_shown_whole_and_goes_on() -> None:
    record = Record()
    record.ask("Why?")
    record.add(ThoughtDelta("First. "))
    thinking = record.entries[1]
    assert isinstance(thinking, Thinking)
    assert record.toggle(thinking) == []
    record.add(ThoughtDelta("Second."))
    assert [entry.text for entry in record.entries if isinstance(entry, Chunk)] == ["First. Second."]
    record.add(TextDelta("Because."))
    assert len(record.toggle(thinking)) == 1
    assert kinds(record) == ["Asked", "Thinking", "Part"]


def test_the_raw_view_is_plain_text() -> None:
    record = Record()
    record.add(RawDelta("<|channel>thought"))
    record.add(RawDelta("\n[b]no markup[/b]"))
    assert [entry.text for entry in record.entries if isinstance(entry, Chunk)] == [
        "<|channel>thought\n[b]no markup[/b]"
    ]


def test_what_steers_a_terminal_is_made_visible_before_it_is_shown_or_copied() -> None:
    record = Record()
    record.add(TextDelta("a\x1b[2Jb\u2028c\u202ed"))
    record.end()
    part = record.entries[0]
    assert isinstance(part, Part)
    assert part.text == part.said.text == "a␛[2Jb\nc\ufffdd"
