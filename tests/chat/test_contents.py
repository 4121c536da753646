"""What fills a context, and what can be left out of it."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from g4local.chat.calls import unanswered
from g4local.chat.contents import DROPPED, Contents, contents, lightened
from g4local.core.messages import Message, ToolCall, ToolResponse
from tests.chat.histories import histories, length


def count(messages: Sequence[Message], *, system: bool = True, tools: bool = True) -> int:
    """Texts, thoughts and results by their characters, 10 for the system prompt, 100 for the tools, 1 for the frame."""
    answers = sum(len(str(each.response)) for message in messages for each in message.tool_responses)
    return (
        length(messages) + sum(len(message.thought) for message in messages) + answers + 10 * system + 100 * tools + 1
    )


@given(histories())
def test_the_parts_add_up_to_the_whole(messages: list[Message]) -> None:
    made = contents(messages, 1000, count)
    assert made.used == count(messages)
    assert (made.system, made.tools) == (10, 100)
    assert made.results == sum(len(message.text) for message in messages if message.role == "tool")
    assert made.thoughts == sum(len(message.thought) for message in messages)
    assert made.free == max(0, 1000 - made.used)


def test_nearly_full_is_85_percent_and_more_than_all_is_no_room() -> None:
    made = contents([Message("user", "x" * 738)], 1000, count)
    assert (made.used, made.nearly_full) == (850, True)
    assert not replace(made, history=made.history - 1).nearly_full
    assert Contents(10, 5, 5, 5, 5, 5).free == 0


@given(histories(), st.integers(0, 2))
def test_only_results_and_running_thoughts_are_left_out(messages: list[Message], keep_turns: int) -> None:
    light = lightened(messages, keep_turns)
    assert count(light) <= count(messages)
    assert unanswered(light) == unanswered(messages)
    for before, after in zip(messages, light, strict=True):
        if before.role == "tool":
            assert after == before or after == replace(before, content=DROPPED)
        else:
            assert after in (before, replace(before, thought=""))
    assert lightened(light, keep_turns) == light


def test_results_of_the_last_turns_stay() -> None:
    long = "a long result " * 10
    turn = [
        Message("user", "Well?"),
        Message("assistant", tool_calls=(ToolCall("add", {}, "call_0"),)),
        Message("tool", long, tool_call_id="call_0", name="add"),
        Message("assistant", "Done.", thought="Hm."),
    ]
    texts = [[m.text for m in lightened([*turn, *turn], keep) if m.role == "tool"] for keep in (2, 1, 0)]
    assert texts == [[long, long], [DROPPED, long], [DROPPED, DROPPED]]
    assert lightened([*turn, *turn], 1)[-1].thought == "Hm.", "the next question drops it anyway"
    running = [replace(message, thought="So.") if message.tool_calls else message for message in turn[:3]]
    assert [m.thought for m in lightened([*turn, *running], 1)] == ["", "", "", "Hm.", "", "", ""]
    inside = Message("assistant", tool_responses=(ToolResponse("a", long), ToolResponse("b", 5)))
    [light] = lightened([inside], 0)
    assert light.tool_responses == (ToolResponse("a", DROPPED), ToolResponse("b", 5))
