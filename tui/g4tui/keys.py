"""All keys of the app in one table: what each does, where it holds, and the id by which a person can remap it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType
from textual.keys import format_key

Scope = Literal[
    "app",
    "chat",
    "prompt",
    "transcript",
    "question",
    "thought",
    "reply",
    "code",
    "tool_card",
    "models",
    "dialog",
    "choice",
    "tick",
    "path",
    "sessions",
    "session_list",
    "help",
]
"""Where keys hold: everywhere, on one screen, or in one widget."""


_FUNCTION = re.compile(r"f\d+")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or several that do the same."""

    keys: str
    """As Textual names them, with commas between."""
    action: str
    """The action of the scope's widget that it runs."""
    says: str
    """What it does, in a word or two."""
    is_shown: bool = True
    """Whether the footer shows it; the help shows all."""
    is_first: bool = False
    """Whether it counts before the keys of the widget that has the focus."""


KEYS: Mapping[Scope, tuple[Key, ...]] = {
    "app": (
        Key("f1", "help", "Help"),
        Key("f2", "go('chat')", "Chat", is_shown=False),
        Key("f3", "go('models')", "Models"),
        Key("f4", "go('sessions')", "Sessions"),
        Key("ctrl+p", "command_palette", "Find what can be done", is_shown=False, is_first=True),
        Key("ctrl+q", "leave", "Quit"),
        Key("ctrl+z", "suspend_process", "Suspend", is_shown=False, is_first=True),
    ),
    "chat": (
        Key("escape", "stop", "Stop"),
        Key("ctrl+n", "new", "New chat"),
        Key("ctrl+r", "retry", "Ask again"),
        Key("ctrl+g", "resume", "Go on", is_shown=False),
        Key("ctrl+t", "think", "Thinking"),
        Key("ctrl+l", "copy_answer", "Copy answer", is_shown=False),
        Key("ctrl+o", "editor", "Editor", is_shown=False),
        Key("f6", "drop", "Drop results", is_shown=False, is_first=True),
        Key("f7", "compact", "Summarise", is_shown=False, is_first=True),
        Key("f8", "double", "Double context", is_shown=False),
        Key("pageup", "page(-1)", "Page up", is_shown=False, is_first=True),
        Key("pagedown", "page(1)", "Page down", is_shown=False, is_first=True),
    ),
    "prompt": (
        Key("enter", "send", "Send", is_shown=False),
        Key("ctrl+j,shift+enter,alt+enter", "newline", "New line", is_shown=False),
        Key("tab", "complete", "Complete", is_shown=False),
        Key("up", "earlier", "Line above, or earlier question", is_shown=False),
        Key("down", "later", "Line below, or later question", is_shown=False),
    ),
    "transcript": (
        Key("up,k", "move(-1)", "Block above", is_shown=False),
        Key("down,j", "move(1)", "Block below", is_shown=False),
        Key("pageup", "page(-1)", "Page up", is_shown=False),
        Key("pagedown", "page(1)", "Page down", is_shown=False),
        Key("home,g", "begin", "First message", is_shown=False),
        Key("end,G", "end", "Last message", is_shown=False),
    ),
    "question": (
        Key("e", "edit", "Edit"),
        Key("c", "copy", "Copy"),
        Key("q", "quote", "Quote"),
        Key("left", "branch(-1)", "Version before"),
        Key("right", "branch(1)", "Next version"),
        Key("enter", "unfold", "Unfold", is_shown=False),
    ),
    "thought": (
        Key("enter", "unfold", "Unfold"),
        Key("c", "copy", "Copy"),
    ),
    "reply": (
        Key("c", "copy", "Copy answer"),
        Key("q", "quote", "Quote"),
    ),
    "code": (Key("c", "copy", "Copy code"),),
    "tool_card": (
        Key("y", "answer('once')", "Allow once"),
        Key("a", "answer('session')", "In this session"),
        Key("f", "answer('folder')", "In this folder"),
        Key("n", "answer('no')", "Refuse"),
        Key("enter", "unfold", "Unfold"),
        Key("c", "copy", "Copy"),
    ),
    "models": (
        Key("slash", "filter", "Filter"),
        Key("l", "load", "Load"),
        Key("p", "pull", "Pull"),
        Key("v", "verify", "Verify"),
        Key("x,delete", "remove", "Remove"),
        Key("i", "bring", "Import"),
        Key("c", "convert", "Convert"),
        Key("space", "pause", "Stop or go on"),
        Key("plus,equals_sign", "context(1)", "More context", is_shown=False),
        Key("minus", "context(-1)", "Less context", is_shown=False),
        Key("r,f5", "look", "Look again", is_shown=False),
        Key("backspace", "tidy", "Clear jobs that are over", is_shown=False),
        Key("escape", "back", "Back", is_shown=False),
    ),
    "dialog": (
        Key("escape", "leave", "Cancel"),
        Key("down", "app.focus_next", "Next", is_shown=False),
        Key("up", "app.focus_previous", "Previous", is_shown=False),
    ),
    "choice": (
        Key("left", "step(-1)", "Word before", is_shown=False),
        Key("right", "step(1)", "Next word", is_shown=False),
    ),
    "tick": (Key("space", "turn", "Set or take back", is_shown=False),),
    "path": (
        Key("tab", "complete", "Complete, or next field", is_shown=False),
        Key("down", "down", "Into the list", is_shown=False),
    ),
    "sessions": (
        Key("escape", "back", "Back"),
        Key("slash", "search", "Search"),
    ),
    "session_list": (
        Key("enter", "select", "Go on"),
        Key("r", "screen.rename", "Rename"),
        Key("f", "screen.fork", "Fork"),
        Key("e", "screen.export", "Export"),
        Key("d,delete", "screen.remove", "Remove"),
        Key("u", "screen.undo", "Undo"),
    ),
    "help": (Key("escape,q,f1", "leave", "Back"),),
}


def key_id(scope: Scope, key: Key) -> str:
    """The id of a key, by which it is remapped: its scope and its action."""
    return f"{scope}.{key.action}"


def shown(key: str) -> str:
    """A key as people write it: Ctrl-N, Page up."""
    *held, last = key.split("+")
    name = format_key(last).replace("_", " ")
    name = name.upper() if held or _FUNCTION.fullmatch(name) else name
    return "-".join([*(each.capitalize() for each in held), name])


def bindings(scope: Scope) -> list[BindingType]:
    """The keys of a scope as Textual wants them."""
    return [
        Binding(
            key.keys,
            key.action,
            key.says,
            show=key.is_shown,
            priority=key.is_first,
            id=key_id(scope, key),
            tooltip=key.says,
        )
        for key in KEYS[scope]
    ]
