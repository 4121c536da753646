"""A question as it was asked, with its attachments and its other versions."""

from dataclasses import dataclass
from typing import Literal

from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from g4local.core.visible import printable
from g4tui import keys
from g4tui.tones import MUTED
from g4tui.widgets.folding import folded, height
from g4tui.widgets.wishes import BranchWanted, CopyWanted, EditWanted, QuoteWanted

MOST_LINES = 30
"""Lines of a question that are shown before it is unfolded."""


@dataclass(eq=False, slots=True)
class Asked:
    """A question, and what is shown of it."""

    index: int
    """Which of the conversation's questions, from 0."""
    text: str
    media: tuple[str, ...] = ()
    """What its attachments are."""
    number: int = 1
    """Which of its versions this is, from 1."""
    of: int = 1
    is_open: bool = False
    """Whether all lines are shown."""

    def widget(self) -> "Question":
        """What shows it."""
        return Question(self)

    def lines(self, width: int) -> int:
        """About how many lines it takes."""
        shown = height(self.text if self.is_open else folded(self.text, MOST_LINES).text, width)
        return 1 + shown + bool(self.media) + (self.of > 1)


class Question(Static, can_focus=True):
    """A question."""

    BINDINGS = keys.bindings("question")
    DEFAULT_CSS = """
    Question {
        height: auto;
        margin: 0 0 1 0;
        padding: 0 2 0 1;
        border-left: outer $primary;
        background: $boost;
        &:focus { border-left: outer $accent; background: $primary 15%; }
        &:ansi { background: transparent; }
    }
    """

    def __init__(self, asked: Asked) -> None:
        super().__init__(_content(asked))
        self.asked = asked

    def refold(self) -> None:
        """Show what its data says now."""
        self.update(_content(self.asked))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Versions can be gone through where there are any, and lines unfolded where some are left out."""
        if action == "branch":
            return self.asked.of > 1
        return folded(self.asked.text, MOST_LINES).is_cut if action == "unfold" else True

    def action_edit(self) -> None:
        """Have it asked in other words."""
        self.post_message(EditWanted(self.asked.index, self.asked.text))

    def action_copy(self) -> None:
        """Have it copied."""
        self.post_message(CopyWanted(self.asked.text, "question"))

    def action_quote(self) -> None:
        """Have it quoted."""
        self.post_message(QuoteWanted(self.asked.text))

    def action_branch(self, step: Literal[-1, 1]) -> None:
        """Go to another version."""
        if 1 <= self.asked.number + step <= self.asked.of:
            self.post_message(BranchWanted(self.asked.index, step))

    def action_unfold(self) -> None:
        """Show all lines, or the first ones only."""
        self.asked.is_open = not self.asked.is_open
        self.refold()


def _content(asked: Asked) -> Content:
    fold = folded(printable(asked.text), MOST_LINES)
    parts: list[Content | str | tuple[str, str | Style]] = [printable(asked.text) if asked.is_open else fold.text]
    if fold.is_cut and not asked.is_open:
        parts += ["\n", (fold.says, Style.from_meta({"@click": "unfold"}))]
    if asked.media:
        parts.append(("\n" + "  ".join(f"▣ {printable(name)}" for name in asked.media), MUTED))
    if asked.of > 1:
        parts += ["\n", _step("◂ ", -1), f"{asked.number}/{asked.of}", _step(" ▸", 1)]
    return Content.assemble(*parts)


def _step(sign: str, step: Literal[-1, 1]) -> tuple[str, Style]:
    """A side of the branch switcher, ◂ 2/3 ▸."""
    return sign, Style.from_meta({"@click": f"branch({step})"})
