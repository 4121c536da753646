"""Histories of every shape that a conversation can have, for properties."""

from collections.abc import Sequence
from itertools import count

from hypothesis import strategies as st

from g4local.core.messages import Message, ToolCall

WORDS = st.text("abc défg\n<|>", min_size=1, max_size=60)
ROUNDS = st.lists(st.lists(WORDS, min_size=1, max_size=2), max_size=2)
"""Rounds of calls, each with the results of its calls."""
TURNS = st.tuples(st.lists(WORDS, min_size=1, max_size=2), ROUNDS, WORDS)
"""Questions in a row, rounds of calls, and an answer."""
ENDS = st.sampled_from(["answer", "results", "calls", "question"])


@st.composite
def histories(draw: st.DrawFn, least: int = 0) -> list[Message]:
    """Some turns, the last of which may lack its answer, its results or both."""
    ids = count()
    messages: list[Message] = []
    turns = draw(st.lists(TURNS, min_size=least, max_size=5))
    for questions, rounds, answer in turns:
        messages += [Message("user", text) for text in questions]
        for results in rounds:
            calls = tuple(ToolCall("add", {"left": 1}, f"call_{next(ids)}") for _ in results)
            messages.append(Message("assistant", tool_calls=calls))
            messages += [
                Message("tool", result, tool_call_id=call.id, name="add")
                for call, result in zip(calls, results, strict=True)
            ]
        messages.append(Message("assistant", answer, thought=draw(st.sampled_from(["", "Hm."]))))
    return list(ended(messages, draw(ENDS)))


def ended(messages: Sequence[Message], end: str) -> Sequence[Message]:
    """The history without what follows the end that is wanted, if the last turn has such a one."""
    if end == "answer" or not messages:
        return messages
    wanted = {"results": "tool", "calls": "assistant", "question": "user"}[end]
    rest = list(messages[:-1])
    while rest and rest[-1].role != wanted and rest[-1].role != "user":
        rest.pop()
    return rest


def length(messages: Sequence[Message]) -> int:
    """A cost: the characters of the texts and one for each message."""
    return sum(len(message.text) + 1 for message in messages)
