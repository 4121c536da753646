"""The chat: what was said, what is asked next, and what it costs; it connects the threads of turns with its widgets.

One thing is done with the conversation at a time. What is asked for meanwhile waits, questions in a queue.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from os import environ
from threading import Event as Wish
from time import monotonic
from typing import ClassVar

from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer

from g4local.chat.conversation import Conversation
from g4local.core.errors import ContextFull, G4Error, TooManyTools, UsageError
from g4local.core.events import TextDelta, ThoughtDelta, TurnFinished
from g4local.opening.request import Request
from g4tui import commands, editor, keys
from g4tui.errands import Errand, Errands
from g4tui.talk import Opened, Talk
from g4tui.widgets import wishes
from g4tui.widgets.composer import Composer
from g4tui.widgets.heading import Heading
from g4tui.widgets.meter import Meter
from g4tui.widgets.prompt import Prompt
from g4tui.widgets.tool_card import ToolCard
from g4tui.widgets.transcript import Transcript
from g4tui.workers import changes, files, turns

_FRAME_SECONDS = 1 / 30
"""Events of a turn are shown at most so often."""
_HOW_LOADED = ("model", "quant", "ctx", "kv_type", "lazy_ple", "gpu_layers", "draft", "draft_model", "force_load")
"""Fields of a request that say which model is loaded and how."""
_NO_MODEL = UsageError("No model is loaded.", "/model NAME loads one.")
_ROOM = "The question was taken back. F6 drops results of tools, F7 summarises older turns, F8 doubles the context."


class ChatScreen(Screen[None]):
    """A conversation with a model."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("chat")

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._talk = Talk(turns.asker(self))
        self._opened: Opened | None = None
        self._errands = Errands(partial(self.run_worker, thread=True, group="conversation"))
        self._waiting: deque[str] = deque()
        """Questions that are asked after what is being done."""
        self._asked = ""
        self._looking = Wish()
        """Stops the search for files."""
        self._postbox: turns.Postbox | None = None
        self._shown_at = self._began = 0.0
        self._pieces = 0

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Heading()
        yield Transcript()
        yield Composer(self._request.folder)
        yield Meter()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Load the model while the first frame is drawn."""
        self.query_one(Prompt).focus()
        if self._request.model or self._request.session or self._request.go_on:
            self.open(self._request, carried=False)

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
            await self._tell(_NO_MODEL)
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

    def action_stop(self) -> None:
        """Close the suggestions, else take back the last question that waits, else stop what runs."""
        if self.query_one(Composer).dismiss():
            return
        if self._waiting:
            self.query_one(Composer).show(self._waiting.pop())
            self.query_one(Composer).show_waiting(self._waiting)
        elif self._errands.is_busy:
            self._errands.stop()
        else:
            self.query_one(Prompt).focus()

    def action_new(self) -> None:
        """Begin a new conversation; the last one is kept as a session."""
        self._change(changes.anew)

    def action_retry(self) -> None:
        """Ask the last question again."""
        self._change(changes.asked_again)

    def action_resume(self) -> None:
        """Go on with a turn that broke off before its answer."""
        self._turn(lambda talk, report, cancel: talk.resume(report=report, cancel=cancel))

    def action_undo(self) -> None:
        """Take back the last question, to change it."""
        self._change(changes.taken_back)

    def action_think(self) -> None:
        """Switch thinking on or off."""
        self._change(partial(changes.thinking, word=""))

    def action_drop(self) -> None:
        """Take out what tools answered."""
        self._do(partial(turns.make_room, self, self._talk.lighter))

    def action_compact(self) -> None:
        """Let the model summarise the older turns."""
        self._do(partial(turns.make_room, self, self._talk.summarised))

    async def action_double(self) -> None:
        """Load the model with twice the context, up to what it was trained for."""
        if self._opened is None:
            await self._tell(_NO_MODEL)
        elif self._opened.info.context >= self._opened.info.trained_context:
            await self._tell(UsageError("The context is as long as the model can have it.", ""))
        else:
            most = min(2 * self._opened.info.context, self._opened.info.trained_context)
            self.open(replace(self._request, ctx=most), carried=True)

    def action_copy_answer(self) -> None:
        """Copy the last answer."""
        answers = [each.text for each in self._talk.messages if each.role == "assistant" and each.text]
        if answers:
            self.app.copy_to_clipboard(answers[-1])
        self.notify("The answer is copied." if answers else "There is no answer yet.", markup=False)

    def action_page(self, step: int) -> None:
        """Scroll the transcript by a page."""
        transcript = self.query_one(Transcript)
        if step < 0:
            transcript.scroll_page_up()
        else:
            transcript.scroll_page_down()

    def action_editor(self) -> None:
        """Change what was typed in the person's own editor."""
        composer = self.query_one(Composer)
        try:
            with self.app.suspend():
                text = editor.edited(composer.text, environ)
            composer.show(text)
        except (G4Error, SuspendNotSupported) as error:
            self.notify(str(error), severity="error", markup=False)

    @on(Composer.Commanded)
    async def _commanded(self, event: Composer.Commanded) -> None:
        try:
            command, argument = commands.parsed(event.text)
            await self._obey(command.name, argument)
        except G4Error as error:
            await self._tell(error)

    async def _obey(self, name: str, argument: str) -> None:
        plain = {"new": "new", "retry": "retry", "continue": "resume", "undo": "undo", "drop": "drop"}
        plain |= {"compact": "compact", "copy": "copy_answer", "help": "app.help", "bye": "app.leave"}
        match name:
            case "model":
                self.open(replace(self._request, model=argument, quant=None), carried=True)
            case "ctx":
                self.open(replace(self._request, ctx=commands.context(argument)), carried=True)
            case "think":
                self._change(partial(changes.thinking, word=argument))
            case "tools":
                self._change(partial(changes.tools, argument=argument, request=self._request))
            case "set":
                self._change(partial(changes.setting, argument=argument))
            case "export":
                self._change(partial(changes.exported, file=argument))
            case _:
                await self.run_action(plain[name])

    @on(wishes.EditWanted)
    def _edit_wanted(self, event: wishes.EditWanted) -> None:
        self._change(partial(changes.taken_back, question=event.index))

    @on(wishes.BranchWanted)
    def _branch_wanted(self, event: wishes.BranchWanted) -> None:
        self._change(partial(changes.other_branch, question=event.index, step=event.step))

    @on(wishes.CopyWanted)
    def _copy_wanted(self, event: wishes.CopyWanted) -> None:
        self.app.copy_to_clipboard(event.text)
        self.notify(f"Copied: the {event.what}.", markup=False)

    @on(wishes.QuoteWanted)
    def _quote_wanted(self, event: wishes.QuoteWanted) -> None:
        self.query_one(Composer).quote(event.text)

    @on(Transcript.Left)
    def _transcript_left(self) -> None:
        self.query_one(Prompt).focus()

    @on(Composer.FilesWanted)
    def _files_wanted(self, event: Composer.FilesWanted) -> None:
        self._looking.set()
        self._looking = Wish()
        find = partial(files.find, self, self._request.folder, event.typed, self._looking)
        self.run_worker(find, thread=True, group="files")

    @on(files.FilesFound)
    def _files_found(self, event: files.FilesFound) -> None:
        self.query_one(Composer).offer_files(event.typed, event.names)

    @on(Composer.Refused)
    async def _file_refused(self, event: Composer.Refused) -> None:
        await self._tell(event.error)
