"""What the session store keeps, as values, and how rows of its tables become them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from g4local.core.errors import UsageError
from g4local.core.messages import Json, Message, Role, from_dict, to_dict

_LONGEST_TITLE = 72
UNTITLED = "untitled"

STORED = "messages.id, messages.parent, messages.turn, messages.created, role, messages.text, messages.rest"
"""The columns that `stored` takes."""

LATEST = 253_402_300_799.0
"""The end of the year 9999, in seconds since 1970."""

_ROLES = frozenset(get_args(Role))

_PLAIN = "{}"
"""The rest of a message that has nothing but words; most are such, and long sessions are read at once."""


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of a session without its messages."""

    id: str
    title: str
    head: int | None
    """The message that was said last; None when all was taken back."""
    messages: int
    """How many there are from the beginning to the head."""
    settings: Mapping[str, Json]
    """What the last turn was asked with; empty when that is not known."""
    forked_from: str | None
    created: float
    """Seconds since 1970, as all times here."""
    updated: float

    def setting(self, name: str) -> str:
        """A text of the last turn's settings; empty when there is none."""
        value = self.settings.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message where it is kept."""

    id: int
    parent: int | None
    turn: int | None
    created: float
    message: Message


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn was asked with and what came of it, so that it can be asked again."""

    id: int
    settings: Mapping[str, Json]
    result: Mapping[str, Json] | None
    """None where the turn broke off."""
    created: float


def numbers(tree: Sequence[Stored]) -> dict[int, int]:
    """The numbers by which people name a session's messages, 1 and on in the order in which they were said, by ids."""
    return {each.id: number for number, each in enumerate(tree, 1)}


def title_of(text: str) -> str:
    """A session's title from the first thing that was said: its first words, on one line."""
    words = " ".join(text.split())
    return (words if len(words) <= _LONGEST_TITLE else f"{words[: _LONGEST_TITLE - 1].rstrip()}…") or UNTITLED


def storable(text: str) -> str:
    """The text without what SQLite can't hold: halves of surrogate pairs, which names of files bring along."""
    return text.encode("utf-8", "replace").decode("utf-8")


def columns(message: Message) -> tuple[str, str, str]:
    """A message's role, its words, and all else as JSON."""
    entry = to_dict(message)
    del entry["role"]
    if isinstance(message.content, str):
        del entry["content"]
    return message.role, storable(message.text), json.dumps(entry)


def message(role: object, text: object, rest: object) -> Message:
    """The message in these columns; ValueError when a damaged file holds something else there."""
    if rest == _PLAIN and role in _ROLES and isinstance(text, str):
        return Message(cast(Role, role), text)
    return _message({"role": role, "content": text, **_object(rest)})


def drafted(entries: object) -> list[Message]:
    """The messages of a draft; ValueError as of `message`."""
    found = json.loads(entries) if isinstance(entries, str) else None
    if not isinstance(found, list):
        raise ValueError("a draft is no list")  # noqa: TRY004
    return [_message(entry) for entry in found]


def stored(row: tuple[Any, ...]) -> Stored:
    """The message in the columns of STORED; ValueError as of `message`, also of the functions below."""
    number, parent, turn, created, role, text, rest = row
    return Stored(number, parent, turn, _time(created), message(role, text, rest))


def session(row: tuple[Any, ...]) -> Session:
    """The session in a row of the store's query."""
    name, title, head, depth, settings, forked_from, created, updated = row
    if not isinstance(title, str):
        raise ValueError(f"the title of session {name} is no text")  # noqa: TRY004
    return Session(name, title, head, depth, _object(settings or "{}"), forked_from, _time(created), _time(updated))


def turn(row: tuple[Any, ...]) -> Turn:
    """The turn in a row of its table."""
    number, settings, result, created = row
    return Turn(number, _object(settings), None if result is None else _object(result), _time(created))


def _message(entry: Any) -> Message:
    try:
        return from_dict(entry)
    except UsageError as error:
        raise ValueError(error.message) from error


def _object(text: object) -> dict[str, Json]:
    value = json.loads(text) if isinstance(text, str) else None
    if not isinstance(value, dict):
        raise ValueError("what should be an object is none")  # noqa: TRY004
    return value


def _time(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise ValueError(f"{value!r} is no time")
    return value
