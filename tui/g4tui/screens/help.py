"""What can be pressed and typed: all keys by the place where they hold, and all commands, as the tables have them."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from g4tui import keys
from g4tui.commands import COMMANDS
from g4tui.keys import KEYS, Scope
from g4tui.tones import MUTED
from g4tui.widgets.sturdy import SturdyScreen

_PLACES: dict[Scope, str] = {
    "app": "Everywhere",
    "chat": "In the chat",
    "prompt": "While you type",
    "transcript": "In the conversation",
    "question": "On a question",
    "thought": "On a thought",
    "reply": "On an answer",
    "code": "On a block of code",
    "tool_card": "On a tool call",
    "models": "Among the models",
    "dialog": "In a dialog",
    "choice": "On a choice",
    "tick": "On a tick",
    "path": "On a path",
    "sessions": "Among the sessions",
    "session_list": "On a session",
    "help": "Here",
}
_WIDTH = 22
"""Cells of keys, and of commands."""


class HelpScreen(ModalScreen[None], SturdyScreen[None]):
    """The tables, one below the other."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("help")

    def __init__(self, own: Mapping[str, str]) -> None:
        """`own`: the person's own keys, by the ids of what they do."""
        super().__init__()
        self._own = own

    def compose(self) -> ComposeResult:
        """All of it, to be scrolled."""
        with VerticalScroll(id="help"):
            yield Static(Content("\n").join(_lines(self._own)), markup=False)

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one("#help").focus()

    def action_leave(self) -> None:
        """Put it away."""
        self.dismiss()


def _lines(own: Mapping[str, str]) -> Iterator[Content]:
    for scope, place in _PLACES.items():
        yield Content.styled(place, "bold $primary")
        for key in KEYS[scope]:
            yield _line(", ".join(map(keys.shown, own.get(keys.key_id(scope, key), key.keys).split(","))), key.says)
        yield Content("")
    yield Content.styled("Commands", "bold $primary")
    for command in COMMANDS:
        yield _line(f"/{command.name} {command.argument}", command.says)


def _line(what: str, says: str) -> Content:
    return Content.assemble(f"  {what:<{_WIDTH}} ", (says, MUTED))
