"""Room in a context, made by dropping and by summarising, with a scripted model."""

from dataclasses import replace
from threading import Event as Wish

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.chat.calls import unanswered
from g4local.chat.compaction import HEADING, REQUEST
from g4local.chat.contents import DROPPED
from g4local.chat.conversation import Conversation
from g4local.chat.room import Room, context_of
from g4local.core.errors import Cancelled, ContextFull, EngineDied, EngineError, G4Error, UsageError
from g4local.core.messages import Message, ToolCall
from g4local.core.progress import Progress, silent
from tests.chat.histories import histories
from tests.chat.talk import conversation, said, text_of
from tests.chat.test_conversation_validity import assert_asks_the_model, assert_valid
from tests.fakes import INFO, Reply, ScriptedEngine

LONG = "word " * 50
LOOK_UP = ToolCall("add", {"left": 1}, "call_0")


def turn(question: str, answer: str = LONG) -> tuple[Message, ...]:
    return (Message("user", question), Message("assistant", answer.strip()))


def with_result(result: str, number: int = 0) -> tuple[Message, ...]:
    call = replace(LOOK_UP, id=f"call_{number}")
    return (
        Message("user", "Look it up!"),
        Message("assistant", tool_calls=(call,)),
        Message("tool", result, tool_call_id=call.id, name="add"),
        Message("assistant", "Done."),
    )


def talk(
    *replies: Reply | str, messages: tuple[Message, ...], context: int = 1000
) -> tuple[Conversation, ScriptedEngine]:
    chat, engine = conversation(*replies, tools=(), messages=messages)
    engine.info = replace(INFO, context=context)
    engine.has_limits = True
    return chat, engine


def room(chat: Conversation, question: str = "", cancel: Wish | None = None) -> Room:
    return Room(chat, silent, cancel or Wish(), question)


def test_the_contents_are_what_the_next_prompt_has() -> None:
    chat, engine = talk("Yes.", messages=with_result("r" * 50))
    chat.options = replace(chat.options, system="Be brief.")
    made = room(chat, "Really?").contents()
    said(chat, "Really?")
    assert made.used == len(engine.tokenize(engine.prompt_segments[-1], Wish()))
    assert (made.context, made.results, made.thoughts, made.tools) == (1000, 50, 0, 0)
    assert made.system == len("system\nBe brief.\n") + 2


def test_old_results_are_dropped_first_and_the_last_ones_where_that_is_not_enough() -> None:
    chat, engine = talk("Yes.", messages=(*with_result("a" * 300), *with_result("b" * 300, 1)))
    old = room(chat).lighter()
    assert [message.text for message in old.messages if message.role == "tool"] == [DROPPED, "b" * 300]
    assert old.won == 300 - len(DROPPED)
    both = room(chat, "q" * 400).lighter()
    assert [message.text for message in both.messages if message.role == "tool"] == [DROPPED, DROPPED]
    assert chat.messages[2].text == "a" * 300, "nothing has changed so far"
    room(chat).take(both)
    said(chat, "q" * 400)
    assert DROPPED in engine.prompts[-1] and "aaa" not in engine.prompts[-1]
    with pytest.raises(UsageError):
        room(chat).lighter()


def test_older_turns_become_a_summary_behind_their_questions() -> None:
    told: list[Progress] = []
    chat, engine = talk("All short.", "Yes.", messages=(*turn("One?"), *turn("Two?"), *turn("Three?", "3.")))
    change = Room(chat, told.append, Wish(), "Four?").summarised()
    assert change.messages == (
        Message("user", "One?"),
        Message("user", "Two?"),
        Message("assistant", HEADING + "All short.", summary=True),
        *turn("Three?", "3."),
    )
    assert (change.summary, change.cut) == ("All short.", False) and change.won > 0
    assert engine.prompts[0].startswith("<bos><|turn>user\nOne?<turn|>\n<|turn>model\nword"), "what the cache holds"
    assert REQUEST in engine.prompts[0] and engine.requests[0][0].temperature == 0
    assert engine.requests[0][1] < 128
    assert {step.stage for step in told} >= {"summary"}
    Room(chat, silent, Wish()).take(change)
    said(chat, "Four?")
    assert f"<|turn>model\n{HEADING}All short.<turn|>\n<|turn>user\nThree?" in engine.prompts[-1]
    assert change.after == len(engine.tokenize(engine.prompt_segments[-1], Wish()))


def test_a_history_longer_than_the_context_is_summarised_in_pieces() -> None:
    history = tuple(message for number in range(12) for message in turn(f"Question {number}?"))
    chat, engine = talk(*(f"Summary {number}." for number in range(40)), messages=history)
    change = room(chat, "And now?").summarised()
    assert len(engine.prompts) > 2
    assert all("Summary" in prompt for prompt in engine.prompts[1:])
    assert change.summary == f"Summary {len(engine.prompts) - 1}."
    assert change.before > 1000 > change.after
    whole = "".join(engine.prompts)
    assert all(f"Question {number}?" in whole for number in range(10))


def test_a_model_that_calls_a_tool_instead_is_asked_about_a_transcript() -> None:
    history = (*turn("One?", "1 " * 100), *turn("Two?", "2 " * 100))
    chat, engine = talk("<|tool_call>call:add{left:1}<tool_call|>", "Fine.", messages=history)
    assert room(chat).summarised().summary == "Fine."
    assert len(engine.prompts) == 2 and "User: One?" in engine.prompts[1]


def test_a_thought_is_no_part_of_a_summary() -> None:
    chat, engine = talk("<|channel>thought\nHm.<channel|>Short.", messages=(*turn("One?"), *turn("Two?")))
    chat.options = replace(chat.options, thinking=True)
    assert room(chat).summarised().summary == "Short."
    assert engine.guidance[0].think_budget == 1


def test_a_question_that_waits_is_asked_again_after_a_summary_of_what_its_tools_said() -> None:
    waiting = with_result("r" * 900)[:3]
    chat, engine = talk("It was r.", "", "Then r.", messages=(*turn("One?", "1."), *waiting))
    engine.replies = ["Part.", "Part.", "It was r.", "Then r."]
    change = room(chat).summarised()
    assert [message.role for message in change.messages] == ["user", "assistant", "user"]
    assert change.messages[-1].text == "Look it up!"
    room(chat).take(change)
    engine.replies = ["Then r."]
    assert text_of(list(chat.resume(report=silent, cancel=Wish()))) == "Then r."


def test_a_summary_that_is_stopped_or_fails_changes_nothing() -> None:
    history = (*turn("One?"), *turn("Two?"))
    for reply, error in (
        (Reply("A long summary", cancels_after=1), Cancelled),
        (Reply("A long summary", dies_after=1), EngineDied),
    ):
        chat, _ = talk(reply, messages=history)
        with pytest.raises(error):
            room(chat).summarised()
        assert chat.messages == list(history)
    chat, _ = talk("", "", messages=history)
    with pytest.raises(EngineError, match="no summary"):
        room(chat).summarised()
    chat, _ = talk("x" * 900, messages=history)
    with pytest.raises(UsageError, match="no shorter"):
        room(chat).summarised()
    assert chat.messages == list(history)


def test_a_summary_that_is_cut_off_says_so() -> None:
    chat, _ = talk(Reply("A long", reason="length"), messages=(*turn("One?"), *turn("Two?")))
    assert room(chat).summarised().cut


def test_where_nothing_can_be_made_of_it_that_is_said() -> None:
    chat, _ = talk(messages=())
    with pytest.raises(UsageError, match="nothing to summarise"):
        room(chat).summarised()
    chat, _ = talk(messages=turn("One?", "1."))
    with pytest.raises(UsageError, match="nothing to summarise"):
        room(chat).summarised()
    chat, _ = talk(messages=(*turn("One?"), *turn("Two?")))
    with pytest.raises(ContextFull, match="The question alone takes 9"):
        room(chat, "q" * 900).summarised()
    chat, _ = talk(messages=(*turn("One?"), *turn("Two?" * 200)), context=450)
    with pytest.raises(ContextFull, match="too small for a summary"):
        room(chat).summarised()


def test_a_second_summary_takes_in_the_first() -> None:
    history = tuple(message for number in range(4) for message in turn(f"{number}?"))
    chat, engine = talk(*["First."] * 9, messages=history)
    Room(chat, silent, Wish()).take(room(chat).summarised())
    engine.replies = [LONG] * 2
    for number in range(2):
        said(chat, f"later {number}?")
    engine.replies = ["Second."] * 5
    change = room(chat).summarised()
    assert [message.text for message in change.messages if message.summary] == [f"{HEADING}Second."]
    assert "First." in "".join(engine.prompts[-5:])


def test_a_question_inside_a_summary_can_not_be_asked_again() -> None:
    chat, _ = talk(messages=(*turn("One?"), Message("assistant", "S", summary=True)))
    chat.messages = [Message("user", "One?"), Message("assistant", "S", summary=True)]
    with pytest.raises(UsageError, match="part of a summary"):
        list(chat.retry(report=silent, cancel=Wish()))
    with pytest.raises(UsageError, match="part of a summary"):
        chat.rewind(0)
    assert len(chat.messages) == 2


def test_calls_after_a_summary_have_new_ids() -> None:
    chat, engine = conversation("<|tool_call>call:add{left:2}<tool_call|>", "Two.", messages=with_result("1", 5))
    said(chat, "Again!")
    assert [call.id for message in chat.messages for call in message.tool_calls] == ["call_5", "call_6"]
    assert engine.starts == 1


def test_a_model_that_can_have_more_is_hinted_at() -> None:
    assert "2,000" in context_of(INFO) and "--ctx max" in context_of(INFO)
    assert context_of(replace(INFO, context=2000)) == ""


@settings(max_examples=60, deadline=None)
@given(histories(), st.sampled_from(["", "And now?"]), st.integers(300, 1200), st.booleans())
def test_whatever_is_taken_out_the_conversation_stays_valid_and_goes_on(
    messages: list[Message], question: str, context: int, drops: bool
) -> None:
    chat, engine = talk(messages=tuple(messages), context=context)
    engine.replies = ["S."] * 100
    before = list(chat.messages)
    try:
        change = room(chat, question).lighter() if drops else room(chat, question).summarised()
    except G4Error as error:
        assert error.hint and chat.messages == before
        return
    assert chat.messages == before and change.won > 0
    asked = [message.text for message in before if message.role == "user"]
    chat.messages[:] = change.messages
    rest = iter(asked)
    kept = [message.text for message in chat.messages if message.role == "user"]
    assert all(text in rest or text.endswith("…") for text in kept), "word for word, and in their order"
    if unanswered(before) and not unanswered(chat.messages):
        assert chat.unfinished
    engine.replies = ["Here I am."]
    engine.has_limits = False
    if chat.unfinished and not unanswered(chat.messages) and not question:
        assert text_of(list(chat.resume(report=silent, cancel=Wish()))) == "Here I am."
    else:
        assert text_of(said(chat, "Still there?")) == "Here I am."
    assert_asks_the_model(engine.prompt_segments[-1], thinking=False)
    if not any(message.summary for message in chat.messages):
        return
    assert sum(message.summary for message in chat.messages) == 1
    tail = chat.messages[next(i for i, message in enumerate(chat.messages) if message.summary) + 1 :]
    assert_valid(tail) if tail else None
