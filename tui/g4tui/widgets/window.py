"""A scroller over more entries than a screen can lay out: only those near the view are widgets."""

from asyncio import Lock
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Offset
from textual.layout import WidgetPlacement
from textual.widget import Widget
from textual.widgets import Static

NEAR, KEPT, MOST = 1.0, 1.5, 2.5
"""Screens above and below the view: with fewer lines than NEAR more are added until there are KEPT; with more than MOST
some are left out until there are KEPT."""
_SMALLEST = 20
"""Lines of a screen that is taken for no smaller than this."""


class Shown(Protocol):
    """What a window holds."""

    def widget(self) -> Widget:
        """What shows it."""

    def lines(self, width: int) -> int:
        """About how many lines it takes."""


EntryT = TypeVar("EntryT", bound=Shown)


class Edge(Static):
    """The line that tells what a window leaves out."""

    DEFAULT_CSS = """
    Edge { height: 1; width: 1fr; padding: 0 2; color: $text-muted; display: none; }
    Edge.-tells { display: block; }
    """

    def tell(self, text: str) -> None:
        """Say what is left out; nothing is when the text is empty."""
        self.set_class(bool(text), "-tells")
        self.update(Content(text))


class Window(VerticalScroll, Generic[EntryT], inherit_bindings=False):
    """The scroller; what happens above the view moves nothing in it, and at the end it follows what is added.

    Whoever changes the entries holds `changing` until they are shown.
    """

    DEFAULT_CSS = "Window { height: 1fr; }"

    def __init__(self, entries: list[EntryT], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.changing = Lock()
        self._entries = entries
        self._known = 0
        self._low = 0
        self._widgets: dict[EntryT, Widget] = {}
        self._above, self._below = Edge(), Edge()
        self._tops: list[int] = []
        self._placed: list[Widget] = []
        self._held: tuple[Widget, int] | None = None
        self._is_settling = False

    def compose(self) -> ComposeResult:
        """The edges, between which the entries are."""
        yield self._above
        yield self._below

    def on_mount(self) -> None:
        """Follow the end."""
        self.anchor()

    @property
    def scroll_offset(self) -> Offset:
        """How far it is scrolled; Textual's anchor scrolls above the top where there is less than a screen."""
        x, y = super().scroll_offset
        return Offset(x, max(0, y))

    @property
    def is_following(self) -> bool:
        """Whether the end stays in view."""
        return self.is_anchored and not self._anchor_released

    @property
    def is_at_end(self) -> bool:
        """Whether the last entry is a widget."""
        return self._high >= self._known

    def shown(self, entry: EntryT) -> Widget | None:
        """What shows an entry; None for those far from the view."""
        return self._widgets.get(entry)

    async def show_new(self) -> None:
        """Show the entries at the end that are new, unless the view is far above them."""
        new, was_at_end = self._entries[self._known :], self.is_at_end
        if not new:
            return
        if self.is_following and self._count(reversed(new)) < len(new):
            await self.jump(to_end=True)
            return
        self._known = len(self._entries)
        if was_at_end and (self.is_following or self._lines_below < KEPT * self._screen):
            await self._mount(new, before=self._below)
        self._changed()

    async def show_inserted(self, at: int, count: int) -> None:
        """Show entries that are new somewhere among the others."""
        self._known += count
        if at <= self._low:
            self._low += count
        elif at <= self._high:
            await self._mount(self._entries[at : at + count], after=self._widgets[self._entries[at - 1]])
        self._changed()

    async def hide(self, at: int, entries: Sequence[EntryT]) -> None:
        """Show no more what was at this place among the entries."""
        self._known = min(self._known, len(self._entries))
        if at < self._low:
            self._low -= min(len(entries), self._low - at)
        await self._unmount(entries)
        self._changed()

    async def jump(self, *, to_end: bool) -> None:
        """Show the first entries, or the last ones, and follow the end from now on."""
        self._known = len(self._entries)
        count = self._count(reversed(self._entries) if to_end else self._entries)
        low = len(self._entries) - count if to_end else 0
        if low != self._low or count > len(self._widgets) or not self.is_at_end:
            with self.app.batch_update():
                await self._unmount(list(self._widgets))
                self._low = low
                await self._mount(self._entries[low : low + count], before=self._below)
        self._held = None
        if to_end:
            self.anchor()
        else:
            self.release_anchor()
            self.scroll_home(animate=False)
        self._changed()

    async def leave(self, widget: Widget) -> None:
        """Called before a widget is left out."""

    def says_above(self, entries: Sequence[EntryT]) -> str:
        """What the line at the top tells of the entries that are left out there."""
        return f"↑ {len(entries):,} more"

    def process_layout(self, placements: list[WidgetPlacement]) -> list[WidgetPlacement]:
        """Keep what is in view where it is, whatever came or went above it."""
        self._tops = [placement.region.y for placement in placements]
        self._placed = [placement.widget for placement in placements]
        if self._held and not self.is_following and self._held[0] in self._placed:
            top = self._tops[self._placed.index(self._held[0])]
            y = max(0, top - self._held[1])
            self.set_reactive(Widget.scroll_y, y)
            self.set_reactive(Widget.scroll_target_y, y)
        return placements

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Note what is at the view's top, and see that there is enough around it."""
        super().watch_scroll_y(old_value, new_value)
        if self.is_following and not self.is_at_end:
            self.release_anchor()
        self._hold()
        self._settle_soon()

    def on_resize(self) -> None:
        """See that there is enough around the view."""
        self._settle_soon()

    @property
    def _high(self) -> int:
        return self._low + len(self._widgets)

    @property
    def _screen(self) -> int:
        return max(self.size.height, _SMALLEST)

    @property
    def _lines_below(self) -> float:
        return self.max_scroll_y - self.scroll_y

    def _hold(self) -> None:
        at = bisect_right(self._tops, self.scroll_y) - 1
        is_held = not self.is_following and 0 <= at < len(self._placed)
        self._held = (self._placed[at], self._tops[at] - round(self.scroll_y)) if is_held else None

    def _count(self, entries: Iterable[EntryT]) -> int:
        """How many of these fill as many screens as are kept."""
        lines = count = 0
        for entry in entries:
            if lines >= KEPT * self._screen:
                break
            lines += entry.lines(max(1, self.size.width - 6))
            count += 1
        return count

    def _changed(self) -> None:
        above = self._entries[: self._low]
        self._above.tell(self.says_above(above) if above else "")
        below = self._known - self._high
        self._below.tell("↓ more below, end goes there" if below > 0 else "")
        self._settle_soon()

    def _settle_soon(self) -> None:
        if not self._is_settling:
            self._is_settling = True
            self.call_after_refresh(self._settle)

    async def _settle(self) -> None:
        """Add and leave out one batch of entries on either side, and look again if there was one."""
        async with self.changing:
            self._is_settling = False
            if not self.is_attached or not self._widgets:
                return
            if await self._settle_above() or await self._settle_below():
                self._changed()

    async def _settle_above(self) -> bool:
        if self.scroll_y < NEAR * self._screen and self._low:
            count = self._count(reversed(self._entries[: self._low]))
            first = self._widgets[self._entries[self._low]]
            self._hold()
            self._low -= count
            await self._mount(self._entries[self._low : self._low + count], before=first)
            return True
        left_out: list[EntryT] = []
        if self.scroll_y > MOST * self._screen:
            for entry in self._entries[self._low : self._high - 1]:
                if self._bottom(entry) > self.scroll_y - KEPT * self._screen:
                    break
                left_out.append(entry)
            self._low += len(left_out)
            await self._unmount(left_out)
        return bool(left_out)

    async def _settle_below(self) -> bool:
        if self._lines_below < NEAR * self._screen and not self.is_at_end:
            count = self._count(self._entries[self._high : self._known])
            await self._mount(self._entries[self._high : self._high + count], before=self._below)
            return True
        left_out: list[EntryT] = []
        if self._lines_below > MOST * self._screen:
            end = self.scroll_y + (1 + KEPT) * self._screen
            for entry in reversed(self._entries[self._low + 1 : self._high]):
                if self._top(entry) < end:
                    break
                left_out.append(entry)
            await self._unmount(left_out)
        return bool(left_out)

    def _top(self, entry: EntryT) -> int:
        return self._widgets[entry].virtual_region.y

    def _bottom(self, entry: EntryT) -> int:
        return self._widgets[entry].virtual_region.bottom

    async def _mount(
        self, entries: Sequence[EntryT], *, before: Widget | None = None, after: Widget | None = None
    ) -> None:
        new = {entry: entry.widget() for entry in entries}
        self._widgets |= new
        if new:
            await self.mount_all(new.values(), before=before, after=after)

    async def _unmount(self, entries: Sequence[EntryT]) -> None:
        widgets = [self._widgets.pop(entry) for entry in entries if entry in self._widgets]
        for widget in widgets:
            await self.leave(widget)
            if widget.has_focus_within or widget.has_focus:
                self.focus(scroll_visible=False)
        if widgets:
            await self.remove_children(widgets)
