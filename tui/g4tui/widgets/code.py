"""A block of code in an answer: in colours, with its language, to be copied."""

from textual.content import Content
from textual.highlight import ANSIDarkHighlightTheme, HighlightTheme, highlight
from textual.message import Message
from textual.style import Style
from textual.widgets.markdown import MarkdownFence

from g4tui import keys

_MENDED = {"ansi_yelllow": "ansi_yellow", "ansi_blow": "ansi_blue", "ansi_greenb": "ansi_green"}
"""Textual 8.2.8's names of colours that there are not."""


class _Ansi(ANSIDarkHighlightTheme):
    """Textual's colours for terminals of sixteen, without the names in it that are no colours."""

    STYLES = {kind: _MENDED.get(style, style) for kind, style in ANSIDarkHighlightTheme.STYLES.items()}  # noqa: RUF012


class Code(MarkdownFence, can_focus=True):
    """A block of code."""

    BINDINGS = keys.bindings("code")
    DEFAULT_CSS = """
    Code {
        border-top: blank;
        border-title-align: right;
        border-title-color: $text-muted;
        padding: 0 2;
        &:focus { border-left: outer $accent; padding: 0 2 0 1; }
        & > Label { padding: 0 0 1 0; }
        &:ansi > Label { padding: 0 0 1 0; }
    }
    """

    class Copied(Message):
        """The code is to be copied, also what other blocks hold of it."""

        def __init__(self, block: "Code") -> None:
            super().__init__()
            self.block = block

    @classmethod
    def highlight(cls, code: str, language: str, ansi: bool = False, dark: bool = False) -> Content:
        """The code in colours; a language that is not named is not guessed, which takes longer than all the rest."""
        if not language:
            return Content(code)
        return highlight(code, language=language.split()[0], theme=_Ansi if ansi else HighlightTheme)

    def on_mount(self) -> None:
        """Show the language, and where to click."""
        language = self.lexer.split()[0] if self.lexer else "code"
        copy = Style.from_meta({"@click": "copy"})
        self.border_title = Content.assemble(language, " · ", ("copy", copy))

    def action_copy(self) -> None:
        """Have the code copied."""
        self.post_message(self.Copied(self))
