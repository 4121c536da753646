"""Conversations with a scripted engine, and what tests ask of their events."""

from collections.abc import Callable
from threading import Event as Wish
from typing import Annotated, Any

from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core.events import (
    Event,
    RawDelta,
    TextDelta,
    TurnFinished,
    TurnStarted,
    Warned,
)
from g4local.core.messages import Message, ToolCall
from g4local.core.progress import silent
from g4local.tools.tool import Tool, ToolError, tool
from tests.fakes import Reply, ScriptedEngine, approve_all


@tool
def add(left: Annotated[int, "One."], right: Annotated[int, "The other."] = 0) -> str:
    """Add."""
    return str(left + right)


@tool
def fail(how: str) -> str:
    """Fail."""
    if how == "loudly":
        raise RuntimeError("Boom.")
    raise ToolError("The disk is full.")


@tool
def record() -> dict[str, Any]:  # type: ignore[misc]
    """Give a record."""
    return {"name": "Ünal", "age": 7}


TOOLS = (add, fail, record)


def call(text: str) -> str:
    return f"<|tool_call>call:{text}<tool_call|>"


ADD = call("add{left:2,right:3}")
ADD_LENGTH = 14
"""Pieces of ADD, without the token that ends the reply."""
ADD_CALL = ToolCall("add", {"left": 2, "right": 3}, "call_0")


def conversation(
    *replies: Reply | str,
    tools: tuple[Tool, ...] = TOOLS,
    approve: Callable[[Any], bool] = approve_all,
    messages: tuple[Message, ...] = (),
    **options: Any,
) -> tuple[Conversation, ScriptedEngine]:
    engine = ScriptedEngine(list(replies))
    return (
        Conversation(engine, tools=tools, approve=approve, messages=messages, options=ConversationOptions(**options)),
        engine,
    )


def said(conversation: Conversation, text: str, cancel: Wish | None = None) -> list[Event]:
    return list(conversation.say(text, report=silent, cancel=cancel or Wish()))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta | RawDelta))


def finish(events: list[Event]) -> TurnFinished:
    assert isinstance(events[-1], TurnFinished)
    assert sum(isinstance(event, TurnFinished) for event in events) == 1
    assert sum(isinstance(event, TurnStarted) for event in events) == 1
    return events[-1]


def warnings(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Warned)]
