"""What a person in a chat sees of the context, and decides about it when it fills up."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from g4local.chat.contents import NEARLY_FULL, Contents
from g4local.chat.conversation import Conversation
from g4local.chat.room import Change, Room, context_of
from g4local.cli import asking, output
from g4local.cli.interrupts import interruptible
from g4local.cli.wrapping import wrapped
from g4local.core.errors import ContextFull, UsageError
from g4local.core.events import TurnFinished

_WAYS = (
    "/drop takes out results of tools, /compact lets the model summarise the older turns, /clear begins anew; "
    "/context tells more."
)


class Space:
    """The context of a conversation, as its person deals with it."""

    def __init__(self, talk: Conversation, bar: output.Bar, cancel: Event) -> None:
        self._talk = talk
        self._bar = bar
        self._cancel = cancel
        self._told = False
        """Whether the person knows that it is nearly full."""
        self.typed: list[str] = []
        """What the person typed at a question that was no answer to it, for the chat to take."""

    def show(self) -> None:
        """Print what the context is made of, and how there can be more room."""
        with self._room() as room:
            contents = room.contents()
            lighter = _lighter(room)
        _print(contents)
        if lighter:
            output.note(f"/drop would free {lighter.won:,} tokens: results of tools, and thoughts of the running turn.")
        if hint := context_of(room.info):
            output.note(hint)

    def drop(self) -> None:
        """Take results of tools out of the history."""
        with self._room() as room:
            change = room.lighter()
        self._take(room, change, "Results of tools, and thoughts of the running turn, were dropped.")

    def compact(self, question: str = "") -> None:
        """Let the model summarise the older turns."""
        with self._room(question) as room:
            change = room.summarised()
        output.aside(wrapped(f"summary: {change.summary}", output.columns(sys.stderr)) + "\n")
        if change.cut:
            output.warning("The summary was longer than its budget, and ends there.")
        self._take(room, change, "The older turns are a summary now.")

    def make_room(self, question: str, full: ContextFull) -> bool:
        """Offer the ways out for a question that does not fit; whether it is worth asking it again."""
        with self._room(question) as room:
            room.check()
        output.error(full.message, "/context shows what fills it." if asking.can_ask() else _WAYS)
        if self._offer(question):
            return True
        if question:
            output.note("The question was taken back.")
        return False

    def look(self, finished: TurnFinished) -> None:
        """Offer the ways out after a turn for which there was no room, or after which there is hardly any."""
        with self._room() as room:
            is_nearly_full = finished.filled >= NEARLY_FULL * room.info.context
            if not finished.context_full and (self._told or not is_nearly_full):
                return
            contents = room.contents()
        if not (finished.context_full or contents.nearly_full):
            return
        if not finished.context_full:
            percent = 100 * contents.used // contents.context
            output.warning(f"The context is {percent} % full; when it is full, answers end early.")
        if not self._told:
            _print(contents)
        self._told = True
        made = self._offer()
        if not asking.can_ask():
            output.note(_WAYS)
        if made and finished.context_full and not self._talk.messages[-1].summary:
            output.note("/continue goes on." if self._talk.unfinished else "/retry asks the question again.")

    def _offer(self, question: str = "") -> bool:
        """Ask about one way after the other until there is room; whether there is some."""
        if not asking.can_ask():
            return False
        with self._room(question) as room:
            lighter = _lighter(room)
        if lighter and asking.yes(
            f"Drop results of tools and thoughts ({lighter.won:,} tokens)?", self._cancel, self.typed
        ):
            self._take(room, lighter, "They were dropped.")
            if lighter.after < NEARLY_FULL * room.info.context:
                return True
        if self._cancel.is_set() or self.typed:
            return False
        if not asking.yes("Let the model summarise the older turns?", self._cancel, self.typed):
            return False
        self.compact(question)
        return True

    def _take(self, room: Room, change: Change, said: str) -> None:
        room.take(change)
        self._told = False
        output.note(f"{said} {change.before:,} tokens became {change.after:,} of {room.info.context:,}.")

    @contextmanager
    def _room(self, question: str = "") -> Iterator[Room]:
        """The room before a question, while Ctrl-C stops what is done with it."""
        self._cancel.clear()
        try:
            with interruptible(self._cancel):
                yield Room(self._talk, self._bar.report, self._cancel, question)
        finally:
            self._bar.stop()


def _lighter(room: Room) -> Change | None:
    try:
        return room.lighter()
    except UsageError:
        return None


def _print(contents: Contents) -> None:
    for name in ("system", "tools", "history", "thoughts", "results", "free"):
        output.note(f"  {name:<10}{getattr(contents, name):>9,}")
    what = "used" if contents.used <= contents.context else "needed"
    output.note(f"  {what:<10}{contents.used:>9,} of {contents.context:,} tokens")
