"""A line between messages: a warning, an error, or what else there is to know."""

from dataclasses import dataclass
from typing import Literal

from textual.content import Content
from textual.widgets import Static

from g4local.core.visible import printable
from g4tui.tones import MUTED

NoteKind = Literal["info", "warning", "error"]

_SIGNS: dict[NoteKind, tuple[str, str]] = {
    "info": ("· ", MUTED),
    "warning": ("! ", "$text-warning"),
    "error": ("✗ ", "$text-error"),
}


@dataclass(eq=False, slots=True)
class Noted:
    """What a note says."""

    text: str
    kind: NoteKind = "info"
    hint: str = ""
    """What to do next."""

    def widget(self) -> "Note":
        """What shows it."""
        return Note(self)

    def lines(self, width: int) -> int:
        """About how many lines it takes."""
        return 2 + len(self.text) // width


class Note(Static):
    """A note."""

    DEFAULT_CSS = "Note { height: auto; margin: 0 0 1 0; padding: 0 2; }"

    def __init__(self, noted: Noted) -> None:
        sign, style = _SIGNS[noted.kind]
        hint = ("\n  " + printable(noted.hint).replace("\n", "\n  "), MUTED) if noted.hint else ""
        text = printable(noted.text).replace("\n", "\n  ")
        super().__init__(Content.assemble((sign + text, style), hint))
