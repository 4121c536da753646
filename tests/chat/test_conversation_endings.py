from dataclasses import replace
from threading import Event as Wish

import pytest

from g4local.chat.calls import unanswered
from g4local.core.errors import ContextFull, EngineDied, EngineError, UsageError
from g4local.core.events import (
    Event,
    MalformedCall,
    RawDelta,
    ToolFinished,
    ToolRequested,
    TurnFinished,
    TurnStarted,
    Usage,
)
from g4local.core.messages import Message, ToolCall
from g4local.core.progress import Progress, silent
from tests.chat.talk import ADD, ADD_CALL, ADD_LENGTH, TOOLS, call, conversation, finish, said, text_of, warnings
from tests.fakes import INFO, Reply


def test_a_cancelled_answer_is_kept_as_far_as_it_came() -> None:
    chat, engine = conversation(Reply("One two three four", cancels_after=2), "Yes.", tools=())
    events = said(chat, "Count!")
    assert text_of(events) == "One two" and finish(events).reason == "cancelled"
    assert chat.messages[-1] == Message("assistant", "One two")
    said(chat, "Go on")
    assert "<|turn>model\nOne two<turn|>\n<|turn>user\nGo on" in engine.prompts[1]


def test_a_turn_that_is_cancelled_before_its_first_word_can_go_on() -> None:
    chat, engine = conversation(Reply("One", cancels_after=0), "Two.", tools=())
    assert finish(said(chat, "Well?")).reason == "cancelled"
    assert chat.messages == [Message("user", "Well?")]
    assert text_of(list(chat.resume(report=silent, cancel=Wish()))) == "Two."
    assert engine.prompts[0] == engine.prompts[1]


def test_a_load_that_is_cancelled_ends_the_turn_and_keeps_the_question() -> None:
    chat, engine = conversation("Hello.")
    cancelled = Wish()
    cancelled.set()
    events = said(chat, "Hi", cancelled)
    assert finish(events).reason == "cancelled" and chat.messages == [Message("user", "Hi")] and not engine.prompts


def test_a_cancel_inside_a_call_reports_no_broken_call() -> None:
    chat, _ = conversation(Reply("Well. " + ADD, cancels_after=6))
    events = said(chat, "2 + 3?")
    assert not [event for event in events if isinstance(event, MalformedCall)]
    assert chat.messages[1:] == [Message("assistant", "Well.")]


def test_a_cancel_between_tools_leaves_every_call_answered() -> None:
    cancel = Wish()

    def approve(each: ToolCall) -> bool:
        if each.arguments["left"] == 4:
            cancel.set()
        return True

    chat, engine = conversation(ADD + call("add{left:4}") + call("add{left:6}"), "Hello.", approve=approve)
    events = said(chat, "All?", cancel)
    assert [(event.call.id, event.result.value) for event in events if isinstance(event, ToolFinished)] == [
        ("call_0", "5"),
        ("call_1", "cancelled by the user"),
    ]
    assert finish(events).reason == "cancelled"
    assert [message.text for message in chat.messages if message.role == "tool"] == [
        "5",
        "error: cancelled by the user",
        "error: cancelled by the user",
    ]
    said(chat, "Hi")
    assert len(engine.prompts) == 2


def test_a_cancel_after_a_whole_call_answers_it() -> None:
    chat, _ = conversation(Reply(ADD, cancels_after=ADD_LENGTH))
    events = said(chat, "2 + 3?")
    assert finish(events).reason == "cancelled" and not [event for event in events if isinstance(event, ToolRequested)]
    assert chat.messages[-1].text == "error: cancelled by the user"


def test_a_death_in_mid_answer_keeps_what_was_said_and_the_chat_goes_on() -> None:
    chat, engine = conversation(Reply("One two three", dies_after=2), "Hello again.", tools=())
    events: list[Event] = []
    with pytest.raises(EngineDied):
        events.extend(chat.say("Count!", report=silent, cancel=Wish()))
    assert text_of(events) == "One two"
    assert chat.messages == [Message("user", "Count!"), Message("assistant", "One two")]
    assert text_of(said(chat, "Hi")) == "Hello again." and engine.starts == 2


def test_a_death_before_the_first_word_leaves_a_question_that_can_be_asked_again() -> None:
    chat, _ = conversation(Reply("One", dies_after=0), "Two.", tools=())
    with pytest.raises(EngineDied):
        said(chat, "Well?")
    assert chat.messages == [Message("user", "Well?")]
    assert text_of(list(chat.retry(report=silent, cancel=Wish()))) == "Two."


def test_a_death_after_a_whole_call_leaves_it_to_be_resumed() -> None:
    chat, _ = conversation(Reply(ADD, dies_after=ADD_LENGTH), "It is 5.")
    with pytest.raises(EngineDied):
        said(chat, "2 + 3?")
    assert unanswered(chat.messages) == [ADD_CALL]
    assert text_of(list(chat.resume(report=silent, cancel=Wish()))) == "It is 5."


def test_a_death_between_two_rounds_is_resumed_without_running_the_tool_again() -> None:
    chat, engine = conversation(ADD, Reply("It", dies_after=0), "It is 5.")
    with pytest.raises(EngineDied):
        said(chat, "2 + 3?")
    events = list(chat.resume(report=silent, cancel=Wish()))
    assert text_of(events) == "It is 5." and not [event for event in events if isinstance(event, ToolFinished)]
    assert engine.prompts[1] == engine.prompts[2]


def test_a_model_that_does_not_load_is_an_error_and_the_question_is_kept() -> None:
    chat, engine = conversation("Hello.")
    engine.start_error = EngineError("No memory.")
    with pytest.raises(EngineError, match="No memory"):
        said(chat, "Hi")
    assert chat.messages == [Message("user", "Hi")]


def test_a_front_end_that_stops_listening_leaves_a_valid_history() -> None:
    chat, _ = conversation("One two three", ADD, "Done.")
    for _event, _ in zip(stream := chat.say("Count!", report=silent, cancel=Wish()), range(3), strict=False):
        pass
    stream.close()  # type: ignore[attr-defined]
    assert chat.messages[-1].text.startswith("One")
    for event in (stream := chat.say("2 + 3?", report=silent, cancel=Wish())):
        if isinstance(event, ToolRequested):
            break
    stream.close()  # type: ignore[attr-defined]
    assert [each.name for each in unanswered(chat.messages)] == ["add"]
    assert text_of(list(chat.resume(report=silent, cancel=Wish()))) == "Done."


def test_a_question_that_finds_no_room_is_taken_back() -> None:
    chat, _ = conversation("One.", Reply("", no_room=True), tools=())
    said(chat, "First?")
    before = list(chat.messages)
    with pytest.raises(ContextFull):
        said(chat, "A very long question")
    assert chat.messages == before


def test_an_answer_whose_retry_finds_no_room_is_kept() -> None:
    chat, _ = conversation("One.", Reply("", no_room=True), tools=())
    said(chat, "First?")
    with pytest.raises(ContextFull):
        list(chat.retry(report=silent, cancel=Wish()))
    assert chat.messages[-1] == Message("assistant", "One.")


def test_results_that_find_no_room_end_the_turn_and_are_kept() -> None:
    chat, _ = conversation(ADD, Reply("", no_room=True))
    events = said(chat, "2 + 3?")
    end = finish(events)
    assert (end.reason, end.context_full) == ("length", True) and "1,000 tokens" in warnings(events)[0]
    assert [message.role for message in chat.messages] == ["user", "assistant", "tool"]


def test_a_context_that_fills_up_ends_the_answer_with_a_warning() -> None:
    chat, _ = conversation(Reply("One two", reason="context"), tools=())
    events = said(chat, "Count!")
    assert finish(events) == replace(finish(events), reason="length", context_full=True)
    assert "full" in warnings(events)[0] and chat.messages[-1].text == "One two"


def test_an_answer_that_is_cut_off_at_its_most_tokens_says_so() -> None:
    chat, _ = conversation(Reply("One two", reason="length"), tools=(), max_tokens=2)
    events = said(chat, "Count!")
    assert (finish(events).reason, finish(events).context_full) == ("length", False)
    assert warnings(events) == ["The answer was cut off at 2 tokens, the most that were allowed."]


def test_a_call_that_can_not_be_read_is_shown_and_ends_the_turn() -> None:
    chat, _ = conversation("Sure." + call("add(left=2)"), tools=TOOLS)
    events = said(chat, "2 + 3?")
    assert MalformedCall("call:add(left=2)") in events and finish(events).reason == "stop"
    assert chat.messages[1:] == [Message("assistant", "Sure.")]


def test_an_empty_answer_is_an_answer() -> None:
    chat, _ = conversation("", "Yes.", tools=())
    assert finish(said(chat, "Hm?")).reason == "stop"
    assert chat.messages[-1] == Message("assistant", "")


def test_a_retry_replaces_all_that_followed_the_last_question() -> None:
    chat, engine = conversation("Hi.", ADD, "It is 5.", "Five.")
    said(chat, "Hello")
    said(chat, "2 + 3?")
    assert text_of(list(chat.retry(report=silent, cancel=Wish()))) == "Five."
    assert [message.text for message in chat.messages] == ["Hello", "Hi.", "2 + 3?", "Five."]
    assert engine.prompts[3] == engine.prompts[1]


def test_a_conversation_is_taken_back_to_a_question_that_is_then_edited() -> None:
    chat, engine = conversation("One.", "Two.", "Three.", tools=())
    said(chat, "First?")
    said(chat, "Second?")
    assert chat.rewind(2) == "Second?"
    assert [message.text for message in chat.messages] == ["First?", "One."]
    said(chat, "Other?")
    assert "Second" not in engine.prompts[2] and "Other" in engine.prompts[2]


def test_what_there_is_not_can_be_neither_resumed_nor_retried_nor_taken_back() -> None:
    chat, _ = conversation("One.", tools=())
    for nothing in (chat.resume, chat.retry):
        with pytest.raises(UsageError):
            list(nothing(report=silent, cancel=Wish()))
    said(chat, "First?")
    with pytest.raises(UsageError, match="no unfinished turn"):
        list(chat.resume(report=silent, cancel=Wish()))
    for index in (-1, 1, 2):
        with pytest.raises(UsageError):
            chat.rewind(index)
    assert len(chat.messages) == 2


def test_a_thought_that_was_cut_off_is_no_answer_and_is_asked_for_again() -> None:
    history = (Message("user", "First?"), Message("assistant", "", "Hm, let me"))
    chat, engine = conversation("One.", messages=history, tools=())
    assert chat.unfinished
    assert text_of(list(chat.resume(report=silent, cancel=Wish()))) == "One."
    assert [message.text for message in chat.messages] == ["First?", "One."] and "let me" not in engine.prompts[0]
    assert not chat.unfinished


def test_a_stored_history_that_ends_in_calls_runs_the_ones_without_a_result() -> None:
    other = ToolCall("add", {"left": 4}, "call_1")
    history = (
        Message("user", "Both?"),
        Message("assistant", tool_calls=(ADD_CALL, other)),
        Message("tool", "5", tool_call_id="call_0", name="add"),
    )
    chat, engine = conversation("5 and 4.", messages=history)
    events = list(chat.resume(report=silent, cancel=Wish()))
    assert [event.call for event in events if isinstance(event, ToolFinished)] == [other]
    assert text_of(events) == "5 and 4." and engine.prompts[0].count("<|tool_response>") == 2


def test_calls_without_ids_are_answered_one_by_one() -> None:
    same = ToolCall("add", {"left": 1})
    history = [Message("assistant", tool_calls=(same, same)), Message("tool", "1", name="add")]
    assert unanswered(history) == [same]
    assert unanswered([*history, Message("tool", "1", name="add")]) == []
    assert unanswered([*history, Message("user", "Hi")]) == []
    assert unanswered([]) == []


def test_an_empty_answer_is_told() -> None:
    chat, _ = conversation("", "<|channel>thought\nHm.<channel|>", "Two.", tools=())
    for question, told in (("First?", 1), ("Second?", 1), ("Third?", 0)):
        assert len(warnings(said(chat, question))) == told


def test_a_turn_that_was_stopped_in_its_prompt_tells_no_figures() -> None:
    chat, _ = conversation(Reply("One.", cancels_after=0), tools=())
    end = finish(said(chat, "First?"))
    assert (end.reason, end.usage, end.timing.ttft, end.timing.prefill) == ("cancelled", Usage(), None, 0)


def test_a_small_model_gets_the_template_of_the_small_ones() -> None:
    chat, engine = conversation("One.", tools=())
    engine.info = replace(INFO, per_layer_embeddings=True)
    said(chat, "First?")
    assert engine.prompts[0].endswith("<|turn>model\n")


def test_raw_sends_the_text_as_it_is_and_shows_the_markup() -> None:
    chat, engine = conversation("Hi <|channel>thought\n<channel|>you" + ADD, "x", raw=True)
    events = said(chat, "<|turn>user\nHi<turn|>\n<|turn>model\n")
    assert text_of(events) == "Hi <|channel>thought\n<channel|>you" + ADD + "<|tool_response>"
    assert {type(event) for event in events} == {TurnStarted, RawDelta, TurnFinished}
    assert finish(events).reason == "stop" and chat.messages == []
    specials = [segment.text for segment in engine.prompt_segments[0] if segment.special]
    assert specials == ["<bos>", "<|turn>", "<turn|>", "<|turn>"]
    said(chat, "<bos>Hi")
    assert engine.prompts[1] == "<bos>Hi"


def test_raw_can_be_cancelled_and_be_full() -> None:
    chat, _ = conversation(
        Reply("One two", cancels_after=1), Reply("One", reason="context"), Reply("", no_room=True), raw=True
    )
    assert finish(said(chat, "a")).reason == "cancelled"
    assert finish(said(chat, "a")).context_full
    with pytest.raises(ContextFull):
        said(chat, "a")
    cancelled = Wish()
    cancelled.set()
    assert finish(said(chat, "a", cancelled)).reason == "cancelled"


def test_progress_of_the_load_is_reported() -> None:
    chat, _ = conversation("Hi.")
    stages: list[Progress] = []
    list(chat.say("Hi", report=stages.append, cancel=Wish()))
    assert [progress.stage for progress in stages] == ["load"]
