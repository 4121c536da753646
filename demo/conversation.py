"""A synthetic conversation: its messages, what the evaluation expects of the last turn, and its settings."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from g4local.core.messages import Json, Message, ToolCall
from g4local.tools.registry import Tool, builtin, declaration

LEARNT = ("calculate", "clock", "list_files", "read_file")


@dataclass(slots=True)
class Conversation:
    """What is said, and under which settings."""

    messages: list[Message]
    tools: tuple[str, ...] = ()
    """Names of the declared tools, in the registry's order."""
    thinking: bool = False
    intent: str = ""
    """What the last question is about; "calculate" and the like when it needs that tool."""
    call: ToolCall | None = None
    """The call that the last question needs."""
    facts: tuple[str, ...] = field(default=())
    """What the last answer must contain, because the tool said it."""
    others: tuple[Tool, ...] = ()
    """Tools that are declared behind those, of which the model has learnt nothing."""

    @property
    def declarations(self) -> list[dict[str, Json]]:
        """The declared tools as the template takes them."""
        learnt = (tool for tool in builtin_tools() if tool.name in self.tools)
        return [declaration(tool) for tool in (*learnt, *self.others)]


@cache
def builtin_tools() -> tuple[Tool, ...]:
    """The tools of g4local that the model learns to use, in the registry's order."""
    return tuple(tool for tool in builtin(Path()) if tool.name in LEARNT)


def some_tools(random: Random, wanted: str = "") -> tuple[str, ...]:
    """Names of declared tools: all, or some, with `wanted` among them."""
    names = [tool.name for tool in builtin_tools()]
    if random.random() < 0.4:
        return tuple(names)
    return tuple(name for name in names if name == wanted or random.random() < 0.3)


def question(text: str) -> Message:
    """What the user says."""
    return Message("user", text)


def reply(text: str, thought: str = "") -> Message:
    """What the model answers."""
    return Message("assistant", text, thought=thought)


def call_and_result(name: str, arguments: dict[str, Any], result: str, thought: str = "") -> list[Message]:
    """A tool call and what came of it."""
    call = ToolCall(name, arguments, "call_0")
    return [
        Message("assistant", "", thought=thought, tool_calls=(call,)),
        Message("tool", result, tool_call_id="call_0", name=name),
    ]
