"""What the model thought before it answered: a line that says how much it was, unfolded to the thought itself."""

from dataclasses import dataclass, field

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from g4local.core.visible import printable
from g4tui import keys
from g4tui.widgets.folding import height
from g4tui.widgets.wishes import CopyWanted

CHUNK = 2000
"""Characters of a thought that one widget shows."""
_PREVIEW = 160
"""Characters that are shown of a thought that goes on."""


@dataclass(eq=False, slots=True)
class Thinking:
    """A thought, as far as it is known."""

    pieces: list[str] = field(default_factory=list)
    words: int = 0
    is_over: bool = False
    is_open: bool = False
    """Whether it is shown, and not only that there was one."""
    chunks: "list[Chunk]" = field(default_factory=list)
    """What it is shown in."""
    _in_word: bool = False

    def add(self, text: str) -> None:
        """More of it."""
        self.pieces.append(text)
        goes_on = self._in_word and not text[0].isspace()
        self.words += len(text.split()) - (1 if goes_on and text.strip() else 0)
        self._in_word = not text[-1].isspace()

    @property
    def tail(self) -> str:
        """Its last words, on one line."""
        return " ".join("".join(self.pieces[-_PREVIEW:])[-_PREVIEW:].split())

    def widget(self) -> "Thought":
        """What shows it."""
        return Thought(self)

    def lines(self, width: int) -> int:
        """About how many lines it takes."""
        return 2 if self.is_over else 3


@dataclass(eq=False, slots=True)
class Chunk:
    """Text that is shown as it is: of a thought, or of a reply with its markup."""

    text: str = ""
    is_thought: bool = True

    def widget(self) -> "PlainText":
        """What shows it."""
        return PlainText(self)

    def lines(self, width: int) -> int:
        """About how many lines it takes."""
        return height(self.text, width)


def pour(text: str, chunks: list[Chunk], *, is_thought: bool = True) -> list[Chunk]:
    """Add a text to the last of some chunks, and to new ones whenever that is full; the new ones."""
    new: list[Chunk] = []
    lines = text.split("\n")
    for line in (*(f"{line}\n" for line in lines[:-1]), lines[-1]):
        last = chunks[-1].text if chunks else None
        if last is None or len(last) > 4 * CHUNK or (len(last) > CHUNK and last.endswith("\n")):
            if chunks:
                chunks[-1].text = chunks[-1].text.removesuffix("\n")
            chunks.append(Chunk(is_thought=is_thought))
            new.append(chunks[-1])
        chunks[-1].text += line
    return new


class Thought(Static, can_focus=True):
    """The line that tells of a thought."""

    BINDINGS = keys.bindings("thought")
    DEFAULT_CSS = """
    Thought {
        height: auto;
        margin: 0 0 1 0;
        padding: 0 2;
        color: $text-muted;
        &:focus { border-left: outer $accent; padding: 0 2 0 1; }
        &.-open { margin: 0; }
    }
    """

    class Toggled(Message):
        """A thought is to be unfolded, or folded again."""

        def __init__(self, thinking: Thinking) -> None:
            super().__init__()
            self.thinking = thinking

    def __init__(self, thinking: Thinking) -> None:
        super().__init__(_content(thinking))
        self.set_class(thinking.is_open, "-open")
        self.thinking = thinking

    def refold(self) -> None:
        """Show what its data says now."""
        self.set_class(self.thinking.is_open, "-open")
        self.update(_content(self.thinking))

    def action_unfold(self) -> None:
        """Unfold it, or fold it."""
        self.post_message(self.Toggled(self.thinking))

    def on_click(self) -> None:
        """Unfold it, or fold it."""
        self.action_unfold()

    def action_copy(self) -> None:
        """Have it copied."""
        self.post_message(CopyWanted("".join(self.thinking.pieces), "thought"))


class PlainText(Static):
    """Text as it is."""

    DEFAULT_CSS = """
    PlainText {
        height: auto;
        padding: 0 2 0 4;
        &.-thought { color: $text-muted; }
        &.-last { margin: 0 0 1 0; }
    }
    """

    def __init__(self, chunk: Chunk) -> None:
        super().__init__(Content(printable(chunk.text)), classes="-thought" if chunk.is_thought else "")
        self.chunk = chunk

    def refold(self) -> None:
        """Show what its data says now."""
        self.update(Content(printable(self.chunk.text)))


def _content(thinking: Thinking) -> Content:
    count = f"{thinking.words:,} word{'' if thinking.words == 1 else 's'}"
    sign = "▾" if thinking.is_open else "▸"
    if thinking.is_over:
        return Content(f"{sign} Thought for {count}")
    preview = "" if thinking.is_open else f"\n  …{printable(thinking.tail)[-_PREVIEW:]}"
    return Content.assemble(f"{sign} Thinking, {count}", (preview, "italic"))
