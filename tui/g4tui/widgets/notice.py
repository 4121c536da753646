"""One line or two about something that went wrong, or that is to be known; it stays until it is put away."""

from textual.content import Content
from textual.widgets import Static

from g4local.core.errors import G4Error
from g4local.core.visible import in_one_line
from g4tui.tones import BAD, MUTED


class Notice(Static):
    """A sentence and a hint; nothing where there is nothing to say."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.display = False

    def tell(self, error: G4Error) -> None:
        """Show what went wrong, and what to do next."""
        parts: list[str | tuple[str, str]] = [("✗ ", BAD), in_one_line(error.message)]
        if error.hint:
            parts.append((f" {in_one_line(error.hint)}", MUTED))
        self._say(Content.assemble(*parts))

    def note(self, text: str) -> None:
        """Show a sentence."""
        self._say(Content(in_one_line(text)))

    def clear(self) -> None:
        """Put it away."""
        self.display = False

    def _say(self, content: Content) -> None:
        self.update(content)
        self.display = True
