"""Lists that grow at their end: what is shown of them stays, where Textual's own are made anew with every word.

A list is its items' blocks below each other, each a widget and no more; the first of an item has the bullet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual.app import ComposeResult
from textual.css.styles import RulesMap
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widgets._markdown import (
    MarkdownBulletList,
    MarkdownListItem,
    MarkdownOrderedList,
    MarkdownParagraph,
)
from textual.widgets.markdown import MarkdownBlock


@dataclass(frozen=True, slots=True)
class _Hanging(Visual):
    """A text behind a sign, which all its lines stand to the right of."""

    sign: str
    content: Visual

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """The lines."""
        indent = len(self.sign)
        strips = self.content.render_strips(max(1, width - indent), height, style, options)
        first = Strip([Segment(self.sign, (style + options.get_style("$text-primary")).rich_style)], indent)
        blank = Strip([Segment(" " * indent, style.rich_style)], indent)
        return [Strip.join([blank if number else first, strip]) for number, strip in enumerate(strips)] or [first]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """Cells that it takes on one line."""
        return len(self.sign) + self.content.get_optimal_width(rules, container_width)

    def get_height(self, rules: RulesMap, width: int) -> int:
        """Lines that it takes."""
        return max(1, self.content.get_height(rules, max(1, width - len(self.sign))))


class Paragraph(MarkdownParagraph):
    """A paragraph, which may be the beginning of a list's item."""

    sign: str = ""
    """What stands before it."""

    def render(self) -> Visual:
        """The text, behind its sign if it has one."""
        return _Hanging(self.sign, self.visual) if self.sign else self.visual

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """What is selected of it."""
        text = selection.extract(self._content.plain)
        return (text if selection.start else self.sign + text), "\n"

    def stand_behind(self, sign: str) -> None:
        """Have another sign."""
        if self.sign != sign:
            self.sign = sign
            self.refresh(layout=True)


class _Growing(MarkdownBlock):
    """What both kinds of lists do when there is more of them."""

    def compose(self) -> ComposeResult:
        """The items' blocks."""
        yield from self._flat(self)
        self._blocks.clear()

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        shown = [child for child in self.children if isinstance(child, MarkdownBlock)]
        blocks = list(self._flat(block)) if type(block) is type(self) else []
        if not shown or len(blocks) < len(shown):
            await super()._update_from_block(block)
            return
        for old, new in zip(shown, blocks, strict=False):
            _stand_alike(old, new)
        last, new = shown[-1], blocks[len(shown) - 1]
        if type(last) is type(new):
            await last._update_from_block(new)
        else:
            await last.remove()
            await self.mount(new)
        if blocks[len(shown) :]:
            await self.mount_all(blocks[len(shown) :])

    def _flat(self, block: MarkdownBlock) -> Iterator[MarkdownBlock]:
        """The blocks of a list's items, each where it stands."""
        items = _items(block)
        for sign, item in zip(self._signs(items), items, strict=True):
            others = list(item._blocks)
            has_text = bool(others) and isinstance(others[0], Paragraph)
            first = others.pop(0) if has_text else Paragraph(self._markdown, item._token)
            assert isinstance(first, Paragraph)
            first.sign = sign
            yield first
            for other in others:
                other.styles.margin = (0, 0, 0, len(sign))
                yield other

    def _signs(self, items: Sequence[MarkdownListItem]) -> list[str]:
        return [item.bullet for item in items]


class BulletList(_Growing, MarkdownBulletList):
    """A list with bullets."""


class OrderedList(_Growing, MarkdownOrderedList):
    """A list with numbers."""

    def _signs(self, items: Sequence[MarkdownListItem]) -> list[str]:
        """The numbers from that of the first item on, one below the other."""
        start = int(items[0].bullet) if items and items[0].bullet.isdecimal() else 1
        numbers = [f"{number}. " for number in range(start, start + len(items))]
        return [number.rjust(len(numbers[-1])) for number in numbers]


def _items(block: MarkdownBlock) -> list[MarkdownListItem]:
    return [item for item in block._blocks if isinstance(item, MarkdownListItem)]


def _stand_alike(shown: MarkdownBlock, block: MarkdownBlock) -> None:
    """Have a block that is shown stand where the same one of a longer list does."""
    if isinstance(shown, Paragraph) and isinstance(block, Paragraph):
        shown.stand_behind(block.sign)
    elif shown.styles.margin != block.styles.margin:
        shown.styles.margin = block.styles.margin
