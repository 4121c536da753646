"""A screen with a conversation: its turns run in threads, and its widgets show what comes of them.

One thing is done with the conversation at a time. What is asked for meanwhile waits, questions in a queue.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic

from textual import on
from textual.message import Message

from g4local.chat.conversation import Conversation
from g4local.core.errors import ContextFull, G4Error, TooManyTools, UsageError
from g4local.core.events import TextDelta, ThoughtDelta, TurnFinished
from g4local.opening.request import Request
from g4tui.errands import Errand, Errands
from g4tui.talk import Opened, Talk
from g4tui.widgets.composer import Composer
from g4tui.widgets.heading import Heading
from g4tui.widgets.meter import Meter
from g4tui.widgets.prompt import Prompt
from g4tui.widgets.sturdy import SturdyScreen
from g4tui.widgets.tool_card import ToolCard
from g4tui.widgets.transcript import Transcript
from g4tui.workers import turns

_FRAME_SECONDS = 1 / 30
"""Events of a turn are shown at most so often."""
_HOW_LOADED = ("model", "quant", "ctx", "kv_type", "lazy_ple", "gpu_layers", "draft", "draft_model", "force_load")
"""Fields of a request that say which model is loaded and how."""
NO_MODEL = UsageError("No model is loaded.", "/model NAME loads one.")
_ROOM = "The question was taken back. F6 drops results of tools, F7 summarises older turns, F8 doubles the context."


class Conversing(SturdyScreen[None]):
    """A screen on which a person talks with a model; what can be pressed and typed there is not its matter."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._talk = Talk(turns.asker(self))
        self._opened: Opened | None = None
        self._errands = Errands(partial(self.run_worker, thread=True, group="conversation"))
        self._waiting: deque[str] = deque()
        """Questions that are asked after what is being done."""
        self._asked = ""
        self._postbox: turns.Postbox | None = None
        self._shown_at = self._began = 0.0
        self._pieces = 0

    def on_unmount(self) -> None:
        """Stop what runs, and free the model."""
        self._errands.stop()
        self._talk.close()

    @property
    def session(self) -> str | None:
        """The id of the session that the conversation is kept as."""
        return self._talk.session

    def go_on_with(self, session: str) -> None:
        """Go on with another session, with the model that it had."""
        self.open(replace(self._request, model="", quant=None, session=session), carried=False)

    def answer_with(self, wish: Request) -> None:
        """Let the conversation go on with the model that is wished for, loaded as it is wished for."""
        how = {name: getattr(wish, name) for name in _HOW_LOADED}
        self.open(replace(self._request, **how), carried=True)

    def open(self, request: Request, *, carried: bool) -> None:
        """Go on with another model or session; `carried`: what was said goes on with it."""
        self.query_one(Heading).show_loading(request.model)
        self._do(partial(turns.open_conversation, self, self._talk, request, carried))

    def _do(self, errand: Errand) -> None:
        self._errands.do(errand)

    def _done(self) -> None:
        """What was done is over: do what waits, or look at the context."""
        self.query_one(Meter).advanced(None)
        if self._errands.done() or self._opened is None:
            return
        if self._waiting:
            question = self._waiting.popleft()
            self.query_one(Composer).show_waiting(self._waiting)
            self.call_next(self._ask, question)
        else:
            self._errands.do_aside(partial(turns.measure, self, self._talk))

    def _change(self, do: Callable[[Conversation], Message]) -> None:
        """Do something with the conversation between two turns."""
        self._do(partial(turns.change, self, self._talk, do))

    async def _tell(self, error: G4Error) -> None:
        await self.query_one(Transcript).note(f"{error.message} {error.hint}".strip(), "error")

    @on(turns.ConversationOpened)
    async def _opened_now(self, event: turns.ConversationOpened) -> None:
        self._opened = event.opened
        self._request = replace(event.opened.request, session=None, go_on=False)
        self.query_one(Heading).show_opened(event.opened)
        await self._show_history()
        self._done()

    @on(turns.OpeningFailed)
    async def _not_opened(self, event: turns.OpeningFailed) -> None:
        self._opened = None
        self.query_one(Heading).show_failed(event.request.model)
        await self._tell(event.error)
        self._done()

    @on(turns.WarnedOf)
    async def _warned(self, event: turns.WarnedOf) -> None:
        await self.query_one(Transcript).note(event.text, "warning")

    @on(turns.Advanced)
    def _advanced(self, event: turns.Advanced) -> None:
        if self._errands.is_busy:
            self.query_one(Meter).advanced(event.progress)

    @on(turns.Measured)
    def _measured(self, event: turns.Measured) -> None:
        self.query_one(Meter).measured(event.contents, event.memory)

    @on(turns.BranchesFound)
    def _branches_found(self, event: turns.BranchesFound) -> None:
        for question, version in event.versions.items():
            self.query_one(Transcript).set_branch(question, version.number, version.of)

    @on(turns.HistoryChanged)
    async def _history_changed(self, event: turns.HistoryChanged) -> None:
        await self._show_history()
        self.query_one(Heading).show_session(self._talk.session)
        if event.note:
            await self.query_one(Transcript).note(event.note, "info")
        if event.ask:
            self._waiting.appendleft(event.question)
        elif event.question:
            self.query_one(Composer).show(event.question)
        self._done()

    @on(turns.JobDone)
    async def _job_done(self, event: turns.JobDone) -> None:
        await self.query_one(Transcript).note(event.told, "info")
        self._done()

    @on(turns.JobFailed)
    async def _job_failed(self, event: turns.JobFailed) -> None:
        await self._tell(event.error)
        self._done()

    async def _show_history(self) -> None:
        messages = self._talk.messages
        await self.query_one(Transcript).show(messages)
        self.query_one(Composer).remember([each.text for each in messages if each.role == "user"])

    @on(Composer.Asked)
    async def _asked_for(self, event: Composer.Asked) -> None:
        if self._errands.is_busy:
            self._waiting.append(event.text)
            self.query_one(Composer).show_waiting(self._waiting)
        else:
            await self._ask(event.text)

    async def _ask(self, text: str) -> None:
        if self._opened is None:
            self.query_one(Composer).show(text)
            await self._tell(NO_MODEL)
            return
        self._asked = text
        await self.query_one(Transcript).ask(text)
        self._turn(lambda talk, report, cancel: talk.say(text, report=report, cancel=cancel))

    def _turn(self, begin: turns.Begin) -> None:
        self._pieces, self._began = 0, 0.0
        self._do(partial(turns.run_turn, self, self._talk, begin))

    @on(turns.TurnAdvanced)
    def _turn_advanced(self, event: turns.TurnAdvanced) -> None:
        """Show what has happened, but not more often than can be seen."""
        self._postbox = event.postbox
        wait = self._shown_at + _FRAME_SECONDS - monotonic()
        if wait > 0:
            self.set_timer(wait, partial(self._show, event.postbox))
        else:
            self.call_next(self._show, event.postbox)

    async def _show(self, postbox: turns.Postbox) -> None:
        events = postbox.take()
        self._shown_at = monotonic()
        if not events:
            return
        self.query_one(Meter).advanced(None)
        if pieces := sum(isinstance(event, TextDelta | ThoughtDelta) for event in events):
            self._began = self._began or self._shown_at
            self._pieces += pieces
            self.query_one(Meter).streamed(self._pieces, self._shown_at - self._began)
        await self.query_one(Transcript).add(turns.merged(events))
        for event in events:
            if isinstance(event, TurnFinished):
                self.query_one(Meter).finished(event)

    @on(turns.TurnEnded)
    async def _turn_ended(self, event: turns.TurnEnded) -> None:
        await self._show(event.postbox)
        await self.query_one(Transcript).end(event.error)
        if isinstance(event.error, ContextFull) and not isinstance(event.error, TooManyTools):
            self.query_one(Composer).show(self._asked)
            await self.query_one(Transcript).note(_ROOM, "info")
        self.query_one(Heading).show_session(event.session)
        self._done()

    @on(turns.ApprovalWanted)
    async def _approval_wanted(self, event: turns.ApprovalWanted) -> None:
        if self._errands.ask(event.call.id, event.answer):
            if self._postbox:
                await self._show(self._postbox)  # the call's card
            await self.query_one(Transcript).want(event.call)

    @on(ToolCard.Answered)
    def _approval_given(self, event: ToolCard.Answered) -> None:
        self.query_one(Prompt).focus()
        self._errands.answer(event.call.id, event.answer)
