"""A part of an answer: Markdown that grows while it is said."""

from dataclasses import dataclass, field

from textual.widgets import Markdown
from textual.widgets.markdown import MarkdownStream

from g4tui import keys
from g4tui.widgets.code import Code
from g4tui.widgets.cutting import Begin
from g4tui.widgets.folding import height
from g4tui.widgets.lists import BulletList, OrderedList, Paragraph
from g4tui.widgets.markdown import code_blocks, parser
from g4tui.widgets.wishes import CopyWanted, QuoteWanted


@dataclass(eq=False, slots=True)
class Said:
    """An answer as it was said, in whatever parts it is shown."""

    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


@dataclass(eq=False, slots=True)
class Part:
    """What one widget shows of an answer."""

    said: Said
    begins: Begin = "block"
    is_first: bool = False
    """Whether an answer begins here."""
    is_over: bool = False
    """Whether nothing more comes."""
    follows: Begin | None = None
    """How the next part of the answer begins."""
    source: str = ""
    """As it was said."""
    text: str = ""
    """As it is shown."""

    def add(self, source: str, text: str) -> None:
        """More of it."""
        self.source += source
        self.text += text

    def widget(self) -> "Reply":
        """What shows it."""
        return Reply(self)

    def lines(self, width: int) -> int:
        """About how many lines it takes."""
        return 1 + height(self.text, width)


class Reply(Markdown, can_focus=True):
    """A part of an answer; it is parsed anew from its last block on with each fragment, so it must stay small."""

    BINDINGS = keys.bindings("reply")
    BLOCKS = Markdown.BLOCKS | {
        "fence": Code,
        "code_block": Code,
        "bullet_list_open": BulletList,
        "ordered_list_open": OrderedList,
        "paragraph_open": Paragraph,
    }
    DEFAULT_CSS = """
    Reply {
        padding: 0 2;
        &:focus { border-left: outer $accent; padding: 0 2 0 1; }
        MarkdownHeader { margin: 0 0 1 0; content-align: left middle; }
        MarkdownBulletList MarkdownBulletList, MarkdownBulletList MarkdownOrderedList,
        MarkdownOrderedList MarkdownBulletList, MarkdownOrderedList MarkdownOrderedList { margin-bottom: 0; }
        Code { margin: 0 0 1 0; }
        MarkdownBlockQuote { margin: 0 0 1 0; }
        .-goes-on { margin-bottom: 0; }
        Code.-goes-on > Label { padding-bottom: 0; }
        Code.-went-on { border-top: none; }
    }
    """

    def __init__(self, part: Part) -> None:
        super().__init__(part.text, parser_factory=parser, open_links=False)
        self.part = part
        self._written = len(part.text)
        self._stream: MarkdownStream | None = None

    def on_mount(self) -> None:
        """Close up once the text is shown."""
        self.call_later(self._close_up)

    async def catch_up(self) -> None:
        """Show what the part has more than is shown."""
        more = self.part.text[self._written :]
        self._written = len(self.part.text)
        if more:
            self._stream = self._stream or Markdown.get_stream(self)
            await self._stream.write(more)
        if self.part.is_over and self._stream:
            await self.stop()
            if self.query("MarkdownTable") and not self._is_selected:  # one that grew has cells too many
                await self.update(self.part.text)
            self._close_up()

    async def stop(self) -> None:
        """Show what is waiting, and nothing more from now on."""
        if self._stream:
            stream, self._stream = self._stream, None
            await stream.stop()

    def number(self, block: Code) -> tuple[int, int]:
        """Which of the part's blocks of code this is, from 0, and how many there are."""
        blocks = list(self.query(Code))
        return blocks.index(block), len(blocks)

    def action_copy(self) -> None:
        """Copy the answer, all parts of it."""
        self.post_message(CopyWanted(self.part.said.text, "answer"))

    def action_quote(self) -> None:
        """Quote this part of the answer."""
        self.post_message(QuoteWanted(self.part.source))

    @property
    def _is_selected(self) -> bool:
        return any(self in widget.ancestors_with_self for widget in self.screen.selections)

    def _close_up(self) -> None:
        """Leave no line empty between two parts of the same list or code."""
        if self.children:
            self.children[0].set_class(self.part.begins == "fence", "-went-on")
            self.children[-1].set_class(self.part.follows in ("item", "fence"), "-goes-on")


def whole_code(parts: list[Part], number: int) -> str:
    """A block of code of these parts by its number, through all of which it may go on; -1 is the last one."""
    blocks = code_blocks("".join(part.source for part in parts))
    return blocks[number] if -len(blocks) <= number < len(blocks) else ""
