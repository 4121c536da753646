"""Where a history is cut, what is kept word for word, and what the model is asked about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.chat import compaction
from g4local.chat.calls import unanswered
from g4local.chat.compaction import HEADING, compacted, cut, pieces, transcript, turns, verbatim
from g4local.core.messages import Message, ToolCall, ToolResponse
from tests.chat.histories import histories, length


@given(histories())
def test_turns_are_all_of_the_history_and_begin_with_questions(messages: list[Message]) -> None:
    parts = turns(messages)
    assert [message for part in parts for message in part] == messages
    assert all(part[0].role == "user" and not unanswered(part) for part in parts[:-1])


@given(histories(), st.integers(0, 400))
def test_a_cut_tears_no_call_from_its_result_and_loses_no_message(messages: list[Message], room: int) -> None:
    done = cut(messages, room, length)
    waits = done.kept and done.kept[-1] is messages[-1] and len(done.older) + len(done.kept) == len(messages)
    if waits or not done.kept:
        assert [*done.older, *done.kept] == messages
    else:  # the last question waits for its answer, without the tools that it has called
        assert list(done.older) == messages
        assert list(done.kept) == [message for message in turns(messages)[-1] if message.role == "user"]
        assert messages[-1].role != "user" or len(done.kept) == 0
    assert not done.kept or done.kept[0].role == "user"
    if len(done.older) < len(messages):
        assert not unanswered(done.older)
    assert done.questions == tuple(message for message in done.older if message.role == "user")[: len(done.questions)]


@given(histories(least=2), st.integers(0, 400))
def test_as_many_turns_are_kept_as_fit_but_never_all(messages: list[Message], room: int) -> None:
    done = cut(messages, room, length)
    assert done.older
    parts = turns(messages)
    if len(done.older) + len(done.kept) == len(messages) and len(turns(done.kept)) > 1:
        assert length(done.kept) <= room
    if length(messages) <= room:
        assert list(done.kept) == parts[-1]
    elif len(parts) > 2 and length(parts[-1]) + length(parts[-2]) <= room:
        assert len(done.kept) >= len(parts[-1]) + len(parts[-2])


@given(histories(least=1), st.integers(1, 400), st.text("xyz", min_size=1, max_size=20))
def test_a_compacted_history_asks_and_answers_in_turn(messages: list[Message], room: int, text: str) -> None:
    done = cut(messages, room // 2, length)
    kept = verbatim(done.questions, room, length)
    made = compacted(kept, text, done.kept)
    assert [message for message in made if message.summary] == [Message("assistant", HEADING + text, summary=True)]
    assert not done.questions or made[0].role == "user"
    assert unanswered(made) == unanswered(done.kept)
    again = cut(made, 0, length)
    assert len(again.questions) <= len([message for message in made if message.role == "user"])


@given(histories(), st.integers(2, 200))
def test_the_newest_questions_that_fit_are_kept_word_for_word(messages: list[Message], room: int) -> None:
    questions = [message for message in messages if message.role == "user"]
    kept = verbatim(questions, room, length)
    assert length(kept) <= room
    whole = [message for message in kept if message in questions]
    if questions and length(questions[-1:]) <= room:
        assert kept[-1] == questions[-1] and whole == kept
    elif questions:
        [begun] = kept
        assert begun.text.endswith("…") and questions[-1].text.startswith(begun.text[:-1])
    assert kept == verbatim(kept, room, length)


@given(st.lists(st.text(max_size=50), max_size=8), st.integers(1, 60))
def test_pieces_lose_nothing_and_are_no_longer_than_asked_for(texts: list[str], most: int) -> None:
    made = pieces(texts, most, len)
    assert "".join(made) == "".join(texts)
    assert all(0 < len(piece) <= most for piece in made)
    assert len(made) <= 2 * (sum(map(len, texts)) // most) + 1


def test_a_transcript_names_who_said_what_and_leaves_thoughts_out() -> None:
    assert transcript(
        [
            Message("user", "2 + 3?"),
            Message("assistant", "I add.", thought="Easy."),
            Message("assistant", tool_calls=(ToolCall("add", {"left": 2, "right": 3}, "call_0"),)),
            Message("tool", "5", tool_call_id="call_0", name="add"),
            Message("assistant", HEADING + "All is well.", summary=True),
            Message("assistant", tool_responses=(ToolResponse("clock", "noon"),)),
        ]
    ) == [
        "User: 2 + 3?\n\n",
        "Assistant: I add.\n\n",
        "The assistant called add(left=2, right=3)\n\n",
        "add answered: 5\n\n",
        "Summary of what came before: All is well.\n\n",
        "clock answered: noon\n\n",
    ]


@pytest.mark.parametrize(("room", "suffices"), [(4096, True), (128, True), (127, False), (-5, False)])
def test_the_parts_of_a_budget_leave_half_of_the_room(room: int, suffices: bool) -> None:
    budget = compaction.budget(room)
    assert budget.suffices == suffices
    assert budget.summary + budget.questions + budget.kept <= max(room, 0) // 2 or room < 0
