"""The sessions: what was talked about, found as it is typed, looked at, gone on with, and put away."""

from collections.abc import Callable
from functools import partial
from threading import Event as Wish
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.widgets import Footer, Input, Static

from g4local.core.errors import G4Error, UsageError
from g4local.core.visible import in_one_line
from g4tui import keys
from g4tui.kept import Found
from g4tui.widgets.question_line import QuestionLine
from g4tui.widgets.session_list import SessionList
from g4tui.widgets.sturdy import SturdyScreen
from g4tui.widgets.transcript import Transcript
from g4tui.workers import sessions

_WAIT_SECONDS = 0.15
"""So long a mark rests before what it is on is read."""


class SessionsScreen(SturdyScreen[None]):
    """A search, the list, and a look at the marked one. What is removed goes for good only when the screen is left."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("sessions")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 (an instance's, says mypy)

    class Chosen(Message):
        """A session is to be gone on with."""

        def __init__(self, session: str) -> None:
            super().__init__()
            self.session = session

    class Left(Message):
        """The person goes back to where they came from."""

    def __init__(self, current: Callable[[], str | None]) -> None:
        """`current`: the session that the chat has open."""
        super().__init__()
        self._current = current
        self._words = ""
        self._found: tuple[Found, ...] = ()
        self._going: list[str] = []
        """Ids of sessions that go when the screen is left, in the order in which they were removed."""
        self._wishes = {"find": Wish(), "read": Wish(), "change": Wish()}

    def compose(self) -> ComposeResult:
        """The list beside what is said in the marked one, or above it."""
        yield Static("Sessions", id="heading", markup=False)
        yield Input(placeholder="Search: words of what was said", id="search", compact=True)
        with Container(id="sessions"):
            yield SessionList()
            yield Transcript()
        yield QuestionLine()
        yield Static("", id="told", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_screen_resume(self) -> None:
        """Look at what there is, which the chat may have changed."""
        self.query_one(SessionList).focus()
        self._look()

    def on_screen_suspend(self) -> None:
        """Let go what was removed."""
        self._let_go()

    def on_unmount(self) -> None:
        """Let go what was removed."""
        self._let_go()

    def _let_go(self) -> None:
        going, self._going = self._going, []
        if going:
            sessions.remove(going)

    def _work(self, group: str, job: Callable[[Wish], None]) -> None:
        self._wishes[group].set()
        self._wishes[group] = wish = Wish()
        self.run_worker(partial(job, wish), thread=True, group=group)

    def _look(self) -> None:
        self._work("find", partial(sessions.find, self, self._words))

    def _tell(self, text: str) -> None:
        self.query_one("#told", Static).update(text)

    def _fail(self, error: G4Error) -> None:
        self._tell(f"✗ {error.message} {error.hint}".rstrip())

    @on(sessions.SessionsFound)
    def _sessions_found(self, event: sessions.SessionsFound) -> None:
        self._found = tuple(event.found)
        self.query_one(SessionList).show(self._found, self._going)
        count = event.count - len(self._going)
        some = f"  ·  {len(self._found)} found" if event.words.strip() else ""
        self.query_one("#heading", Static).update(f"Sessions  ·  {count:,} kept{some}")
        if not event.found:
            self._tell(
                "Nothing was found." if event.words.strip() else "There is no session yet: F2 and ask something."
            )

    @on(sessions.SessionsChanged)
    def _sessions_changed(self, event: sessions.SessionsChanged) -> None:
        self._tell(event.told)
        self._look()

    @on(sessions.SessionsFailed)
    def _sessions_failed(self, event: sessions.SessionsFailed) -> None:
        self._fail(event.error)

    @on(Input.Changed, "#search")
    def _searched(self, event: Input.Changed) -> None:
        self._words = event.value
        self._look()

    @on(Input.Submitted, "#search")
    def _search_over(self) -> None:
        self.query_one(SessionList).focus()

    @on(SessionList.Marked)
    def _marked(self, event: SessionList.Marked) -> None:
        self.set_timer(_WAIT_SECONDS, partial(self._read, event.found))

    async def _read(self, found: Found | None) -> None:
        marked = self.query_one(SessionList).marked
        if found is None or marked is None:
            await self.query_one(Transcript).clear()
        elif found.session.id == marked.session.id:
            self._work("read", partial(sessions.read, self, found.session.id))

    @on(sessions.SessionRead)
    async def _session_read(self, event: sessions.SessionRead) -> None:
        await self.query_one(Transcript).show(event.messages)

    @on(SessionList.Opened)
    def _opened(self, event: SessionList.Opened) -> None:
        self.post_message(self.Chosen(event.found.session.id))

    def action_search(self) -> None:
        """Go to the search."""
        self.query_one("#search", Input).focus()

    def action_back(self) -> None:
        """Go back to the list; from there, to the chat."""
        line = self.query_one(QuestionLine)
        if line.display:
            line.put_away()
        elif self.focused is not self.query_one(SessionList):
            self.query_one(SessionList).focus()
        else:
            self.post_message(self.Left())

    def action_remove(self) -> None:
        """Remove the marked session; until the screen is left, that can be undone."""
        found = self.query_one(SessionList).marked
        if found is None:
            return
        if found.session.id == self._current():
            self._fail(UsageError("This session is open in the chat.", "Begin a new one there first (Ctrl-N)."))
            return
        self._going.append(found.session.id)
        self.query_one(SessionList).show(self._found, self._going)
        count = "1 session goes" if len(self._going) == 1 else f"{len(self._going)} sessions go"
        self._tell(f"{count} for good when you leave this screen; u takes the last one back.")

    def action_undo(self) -> None:
        """Take back the last removal."""
        if self._going:
            self._going.pop()
            self.query_one(SessionList).show(self._found, self._going)
            self._tell("It is back.")

    def action_fork(self) -> None:
        """Begin a session as the marked one is."""
        if found := self.query_one(SessionList).marked:
            self._work("change", partial(sessions.fork, self, found.session.id))

    def action_rename(self) -> None:
        """Ask for another title."""
        if found := self.query_one(SessionList).marked:
            self.query_one(QuestionLine).ask(
                "Title", in_one_line(found.session.title), partial(self._rename, found.session.id)
            )

    def _rename(self, session: str, title: str) -> None:
        self._work("change", partial(sessions.rename, self, session, title))

    def action_export(self) -> None:
        """Ask for a file to write the session to."""
        if found := self.query_one(SessionList).marked:
            name = f"g4local-{found.session.id}.md"
            ask = "File (.md, .json, .jsonl)"
            self.query_one(QuestionLine).ask(ask, name, partial(self._export, found.session.id))

    def _export(self, session: str, file: str) -> None:
        self._work("change", partial(sessions.export, self, session, file))

    @on(QuestionLine.Closed)
    def _line_closed(self) -> None:
        self.query_one(SessionList).focus()
