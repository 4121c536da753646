"""What is said: values that know nothing of models, files or screens.

The dictionaries are OpenAI's chat messages, as Google's templates for Gemma 4 take them (`reasoning_content` is the
thought, `tool_responses` are results kept inside an assistant message; `summary` is g4local's own).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from g4local.core.errors import UsageError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Role = Literal["system", "developer", "user", "assistant", "tool"]
MediaKind = Literal["image", "audio", "video"]

_MEDIA_TYPES: dict[str, MediaKind] = {
    "image": "image",
    "image_url": "image",
    "audio": "audio",
    "input_audio": "audio",
    "video": "video",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A part of a message that is text."""

    text: str


@dataclass(frozen=True, slots=True)
class Media:
    """A part of a message that is an image, a sound or a film."""

    kind: MediaKind


Part = Text | Media


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's wish to have a tool run."""

    name: str
    arguments: dict[str, Json]
    id: str = ""


@dataclass(frozen=True, slots=True)
class ToolResponse:
    """What a tool answered, kept inside the assistant's message."""

    name: str
    response: Json


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said by one side; two equal messages are equal, wherever they are kept."""

    role: Role
    content: str | tuple[Part, ...] = ""
    thought: str = ""
    """What the model thought before it answered; assistants only."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    """The call that this message answers; tools only."""
    name: str = ""
    """The tool that answers; tools only."""
    tool_responses: tuple[ToolResponse, ...] = ()
    summary: bool = False
    """Whether the text stands in the place of older messages, which were taken out to make room; assistants only."""

    @property
    def text(self) -> str:
        """The message's text without its media."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, Text))


def to_dict(message: Message) -> dict[str, Json]:
    """The message as an OpenAI chat message; fields that say nothing are left out."""
    content: Json = message.content if isinstance(message.content, str) else [_part_dict(p) for p in message.content]
    entry: dict[str, Json] = {"role": message.role, "content": content}
    if message.thought:
        entry["reasoning_content"] = message.thought
    if message.tool_calls:
        entry["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": cast(Json, call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        entry["tool_call_id"] = message.tool_call_id
    if message.name:
        entry["name"] = message.name
    if message.tool_responses:
        entry["tool_responses"] = [{"name": r.name, "response": r.response} for r in message.tool_responses]
    if message.summary:
        entry["summary"] = True
    return entry


def from_dict(entry: Mapping[str, Any]) -> Message:
    """The message that an OpenAI chat message means; UsageError when it means none."""
    try:
        if entry["role"] not in get_args(Role):
            raise UsageError(
                f"A message has the unknown role {entry['role']!r}.", f"Roles: {', '.join(get_args(Role))}."
            )
        content = entry.get("content")
        return Message(
            role=entry["role"],
            content=content if isinstance(content, str) else tuple(_part(part) for part in content or ()),
            thought=_string(entry, "reasoning_content"),
            tool_calls=tuple(_call(call) for call in entry.get("tool_calls") or ()),
            tool_call_id=_string(entry, "tool_call_id"),
            name=_string(entry, "name"),
            tool_responses=tuple(
                ToolResponse(_string(answer, "name"), answer["response"])
                for answer in entry.get("tool_responses") or ()
            ),
            summary=entry.get("summary") is True,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"A message is not an OpenAI chat message: {type(error).__name__}: {error}.",
            'Messages look like {"role": "user", "content": "Hello"}.',
        ) from error


def _part_dict(part: Part) -> dict[str, Json]:
    return {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": part.kind}


def _part(entry: Mapping[str, Any]) -> Part:
    kind = entry["type"]
    if kind == "text":
        return Text(_string(entry, "text"))
    if kind not in _MEDIA_TYPES:
        raise UsageError(
            f"A message has a part of the unknown type {kind!r}.", "Parts are text, image, audio or video."
        )
    return Media(_MEDIA_TYPES[kind])


def _call(entry: Mapping[str, Any]) -> ToolCall:
    """A call; OpenAI's arguments are the text of a JSON object, ours and Google's the object itself."""
    name, arguments = _string(entry["function"], "name"), entry["function"].get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            raise UsageError(
                f"The arguments of the call to {name!r} are no JSON object.", 'They look like {"path": "x"}.'
            )
    return ToolCall(name, dict(arguments or {}), _string(entry, "id"))


def _string(entry: Mapping[str, Any], key: str) -> str:
    """The string under a key, empty when there is none."""
    value = entry.get(key)
    if not isinstance(value, str | None):
        raise TypeError(f"{key} is no string")
    return value or ""
