"""A conversation of another program as it is put into the store, and JSON of which nothing is sure."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from g4local.core.messages import Json, Message, ToolCall
from g4local.store.values import LATEST


@dataclass(frozen=True, slots=True)
class Node:
    """A message in its tree."""

    message: Message
    parent: int | None
    """The index of what was said before it; nodes stand behind their parents."""
    created: float = 0
    """Seconds since 1970; 0 where that is not known."""
    turn: int | None = None
    """The index of its turn."""


@dataclass(frozen=True, slots=True)
class ImportedTurn:
    """What a turn was asked with, and what came of it."""

    settings: Mapping[str, Json]
    result: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A conversation of another program."""

    source: str
    """The program, its own id of the conversation and when it was changed, so that it is imported once."""
    title: str
    nodes: Sequence[Node]
    head: int | None
    """The index of the message that was said last."""
    created: float = 0
    updated: float = 0
    turns: Sequence[ImportedTurn] = ()
    left_out: int = 0
    """Parts that are no text: images, files, what other programs' tools did."""
    own_id: str = ""
    """The session's id, if it was one of g4local's."""


@dataclass(slots=True)
class Tree:
    """A conversation's nodes while they are read."""

    nodes: list[Node] = field(default_factory=list)
    left_out: int = 0

    def add(self, message: Message, parent: int | None, created: float = 0) -> int:
        """Add a message behind another one; its index. All belong to the one turn that `settled` gives."""
        self.nodes.append(Node(message, parent, created, 0))
        return len(self.nodes) - 1

    def add_all(self, messages: Sequence[Message], parent: int | None, created: float = 0) -> int | None:
        """Add messages behind each other; the index of the last one."""
        for message in messages:
            parent = self.add(message, parent, created)
        return parent

    def first_words(self) -> str:
        """What the user said first."""
        return next((node.message.text for node in self.nodes if node.message.role == "user"), "")


def fingerprint(conversation: Mapping[str, Any]) -> str:
    """The hash of all that a file says of a conversation, which stands in for an id or a time that it does not tell."""
    return sha256(json.dumps(conversation, sort_keys=True).encode()).hexdigest()


def settled(model: str, system: str) -> list[ImportedTurn]:
    """The one turn of a conversation of which no more is known than its model and its system prompt."""
    return [ImportedTurn({"model": model, "system": system})]


def reply(text: str, thought: str, calls: Sequence[ToolCall]) -> list[Message]:
    """A model's reply; what it said before a call is a message of its own, as in conversations of g4local."""
    if text and calls:
        return [Message("assistant", text, thought), Message("assistant", tool_calls=tuple(calls))]
    return [Message("assistant", text, thought, tuple(calls))] if text or thought or calls else []


def table(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def seconds(value: Any, unit: float = 1) -> float:
    """A time in seconds since 1970, from a number of such units; 0 where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return min(max(0.0, value * unit), LATEST)
