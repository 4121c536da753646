"""The transcript: what was asked and answered, and the turn that is running.

Text of models, tools and users is shown as it is and never as markup of the terminal's. Whatever a person wants done
with it goes up as a message (wishes.py, ToolCard.Answered, Transcript.Left).
"""

from collections.abc import Sequence
from time import monotonic
from typing import ClassVar

from textual import on
from textual.message import Message as Posted
from textual.widget import Widget
from textual.widgets import Markdown

from g4local.core.errors import G4Error
from g4local.core.events import Event
from g4local.core.messages import Message, ToolCall
from g4tui import keys
from g4tui.widgets.code import Code
from g4tui.widgets.note import Noted, NoteKind
from g4tui.widgets.question import Asked, Question
from g4tui.widgets.record import Entry, Record
from g4tui.widgets.reply import Part, Reply, whole_code
from g4tui.widgets.thought import PlainText, Thought
from g4tui.widgets.tool_card import ToolCard
from g4tui.widgets.window import Window
from g4tui.widgets.wishes import CopyWanted


class Transcript(Window[Entry]):
    """The transcript of one conversation."""

    BINDINGS = keys.bindings("transcript")
    PACE: ClassVar[float] = 1 / 10
    """Seconds between two times that what is being said is shown, at least; SLOWEST, at most."""
    SLOWEST: ClassVar[float] = 0.5

    class Left(Posted):
        """The person goes on downwards from the last block."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        self._record = Record()
        super().__init__(self._record.entries, id=id)
        self._shown_at = self._took = 0.0
        self._is_waiting = False

    async def show(self, messages: Sequence[Message]) -> None:
        """Show a history, its end first, in the place of what was there."""
        async with self.changing:
            await self._clear()
            self._record.read(messages)
            self._record.changed.clear()
            await self.jump(to_end=True)

    async def ask(self, text: str, media: tuple[str, ...] = ()) -> None:
        """Show a question, and follow what is answered to it; `media` names its attachments."""
        async with self.changing:
            self._record.ask(text, media)
            await self._catch_up()
            await self.jump(to_end=True)

    async def add(self, events: Sequence[Event]) -> None:
        """Show what happened in the turn, as soon as the pace allows."""
        async with self.changing:
            for event in events:
                self._record.add(event)
            wait = self._shown_at + self._pace - monotonic()
            if wait <= 0:
                await self._catch_up()
            elif not self._is_waiting:
                self._is_waiting = True
                self.set_timer(wait, self._show_waiting)

    async def end(self, error: G4Error | None = None) -> None:
        """The turn is over; an error that ended it is shown."""
        async with self.changing:
            self._record.end()
            if error:
                self._record.note(Noted(error.message, "error", error.hint))
            await self._catch_up()

    async def note(self, text: str, kind: NoteKind = "info") -> None:
        """Show a line that no one of the conversation said."""
        async with self.changing:
            self._record.note(Noted(text, kind))
            await self._catch_up()

    async def want(self, call: ToolCall) -> ToolCard:
        """Have the person say whether a call may run: its card posts ToolCard.Answered."""
        async with self.changing:
            called = self._record.want(call)
            await self._catch_up()
            await self.jump(to_end=True)
            card = self.shown(called)
            assert isinstance(card, ToolCard), "the end is shown, and the card is there"
            card.ask()
            return card

    async def clear(self) -> None:
        """Show nothing."""
        async with self.changing:
            await self._clear()

    def set_branch(self, index: int, number: int, of: int) -> None:
        """Tell which version of a question is shown, from 1, and how many there are."""
        self._record.branch(index, number, of)
        self.call_later(self._show_waiting)

    async def leave(self, widget: Widget) -> None:
        """Let nothing be written any more to what is left out."""
        if isinstance(widget, Reply):
            await widget.stop()

    def says_above(self, entries: Sequence[Entry]) -> str:
        """How many messages are above, in the terms of a conversation."""
        count = sum(1 for entry in entries if isinstance(entry, Asked) or (isinstance(entry, Part) and entry.is_first))
        return f"↑ {count:,} earlier message{'' if count == 1 else 's'}" if count else "↑ more"

    def action_move(self, step: int) -> None:
        """Go to the block above or below, and through one that is taller than the view."""
        at = self.screen.focused
        view = self.scrollable_content_region
        if at and at is not self and at in self._blocks:
            top, bottom = at.region.y, at.region.bottom
            if (step > 0 and bottom > view.bottom) or (step < 0 and top < view.y):
                self.scroll_relative(y=step * max(1, view.height // 2), animate=False)
                return
        self._move_from(at, step)

    def action_page(self, step: int) -> None:
        """A page up or down."""
        self.scroll_relative(y=step * max(1, self.size.height - 2), animate=False)

    async def action_begin(self) -> None:
        """Go to the first message."""
        async with self.changing:
            await self.jump(to_end=False)

    async def action_end(self) -> None:
        """Go to the end, and follow it."""
        async with self.changing:
            await self.jump(to_end=True)

    @on(Thought.Toggled)
    async def _toggle(self, message: Thought.Toggled) -> None:
        message.stop()
        thinking = message.thinking
        async with self.changing:
            await self._catch_up()
            at = self._record.entries.index(thinking) + 1
            gone = self._record.toggle(thinking)
            if thinking.is_over:
                self.release_anchor()
            if gone:
                await self.hide(at, gone)
            else:
                await self.show_inserted(at, len(thinking.chunks))
            await self._catch_up()

    @on(Code.Copied)
    def _copy_code(self, message: Code.Copied) -> None:
        message.stop()
        reply = message.block.query_ancestor(Reply)
        number, count = reply.number(message.block)
        parts = self._record.parts_of_code(reply.part, is_first=number == 0, is_last=number == count - 1)
        at = number if parts[0] is reply.part else -1
        self.post_message(CopyWanted(whole_code(parts, at), "code"))

    @on(Markdown.LinkClicked)
    def _copy_address(self, message: Markdown.LinkClicked) -> None:
        message.stop()
        self.post_message(CopyWanted(message.href, "address"))

    async def _show_waiting(self) -> None:
        async with self.changing:
            self._is_waiting = False
            await self._catch_up()

    @property
    def _pace(self) -> float:
        """Seconds until more is shown: twice what it took the last time, so that keys do not wait for it."""
        return max(self.PACE, min(2 * self._took, self.SLOWEST)) if self.PACE else 0.0

    async def _catch_up(self) -> None:
        """Have the widgets show what the record holds."""
        self._shown_at = monotonic()
        for entry in list(self._record.changed):
            await self._update(entry)
        self._record.changed.clear()
        await self.show_new()
        self.call_after_refresh(self._note_time)

    def _note_time(self) -> None:
        self._took = monotonic() - self._shown_at

    async def _update(self, entry: Entry) -> None:
        match self.shown(entry):
            case Reply() as reply:
                await reply.catch_up()
            case Question() | Thought() | PlainText() | ToolCard() as block:
                block.refold()
            case _:
                pass

    async def _clear(self) -> None:
        entries = list(self._record.entries)
        self._record.clear()
        await self.hide(0, entries)

    @property
    def _blocks(self) -> list[Widget]:
        """What can have the focus, from top to bottom."""
        return [block for block in self.query("Question, Thought, Reply, Code, ToolCard") if block.focusable]

    def _move_from(self, at: Widget | None, step: int) -> None:
        blocks = self._blocks
        if at in blocks:
            number = blocks.index(at) + step
        else:
            view = self.scrollable_content_region
            seen = [number for number, block in enumerate(blocks) if block.region.overlaps(view)]
            number = (seen[-1] if step < 0 else seen[0]) if seen else -1
        if 0 <= number < len(blocks):
            blocks[number].focus(scroll_visible=False)
            self.scroll_to_widget(blocks[number], animate=False)
        elif step > 0 and self.is_at_end:
            self.post_message(self.Left())
