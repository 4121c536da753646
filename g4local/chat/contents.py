"""What fills a conversation's context, part by part, and which of it can be left out; it knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from g4local.chat.calls import unanswered
from g4local.core.messages import Message, ToolResponse

DROPPED = "(This result was dropped to make room.)"
"""What stands in the place of a tool's result that was dropped; the model sees it."""
NEARLY_FULL = 0.85
"""A context filled to this share is worth a word before it ends an answer."""


class Count(Protocol):
    """Counts the tokens of the prompt that these messages would be, with or without what comes before them."""

    def __call__(self, messages: Sequence[Message], *, system: bool = True, tools: bool = True) -> int:
        """Tokens, all markup included."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Tokens of what the model would be sent now."""

    context: int
    """Tokens that there is room for."""
    system: int
    """The system prompt."""
    tools: int
    """What the model is told of the tools."""
    history: int
    """Questions, answers and calls, and the markup around everything."""
    thoughts: int
    """Thoughts of a turn that is not over; earlier ones are not sent."""
    results: int
    """What tools answered."""

    @property
    def used(self) -> int:
        """Tokens of all parts."""
        return self.system + self.tools + self.history + self.thoughts + self.results

    @property
    def free(self) -> int:
        """Tokens of room for the answer; none where it does not even fit."""
        return max(0, self.context - self.used)

    @property
    def nearly_full(self) -> bool:
        """Whether it is time to make room."""
        return self.used >= NEARLY_FULL * self.context


def contents(messages: Sequence[Message], context: int, count: Count) -> Contents:
    """What the messages fill a context of so many tokens with: each part is what the prompt is shorter without it."""
    bare = [_without(message) for message in messages]
    silent = [replace(message, thought="") for message in messages]
    everything, no_thoughts, no_results = count(messages), count(silent), count(bare)
    no_tools = count(bare, tools=False)
    history = count(bare, system=False, tools=False)
    return Contents(
        context=context,
        system=no_tools - history,
        tools=no_results - no_tools,
        history=history,
        thoughts=everything - no_thoughts,
        results=no_thoughts - no_results,
    )


def lightened(messages: Sequence[Message], keep_turns: int) -> list[Message]:
    """The messages without thoughts of a running turn, and without the results that stand before the last turns.

    A short result stays, since the note in its place would be as long; calls and answers stay as they are.
    """
    questions = [index for index, message in enumerate(messages) if message.role == "user"]
    is_over = not messages or (messages[-1].role == "assistant" and not unanswered(messages))
    running = len(messages) if is_over else questions[-1] if questions else 0
    kept_from = len(messages) if keep_turns == 0 else questions[-keep_turns] if len(questions) >= keep_turns else 0
    return [
        _without_results(replace(message, thought="") if index > running else message, index < kept_from)
        for index, message in enumerate(messages)
    ]


def _without_results(message: Message, wanted: bool) -> Message:
    if not wanted:
        return message
    if message.role == "tool" and len(message.text) > len(DROPPED):
        return replace(message, content=DROPPED)
    responses = tuple(
        ToolResponse(answer.name, DROPPED) if len(str(answer.response)) > len(DROPPED) else answer
        for answer in message.tool_responses
    )
    return replace(message, tool_responses=responses)


def _without(message: Message) -> Message:
    """The message with neither thought nor results."""
    empty = tuple(ToolResponse(answer.name, "") for answer in message.tool_responses)
    content = "" if message.role == "tool" else message.content
    return replace(message, thought="", content=content, tool_responses=empty)
