"""The chat: what can be pressed and typed there, and what a person wants done with what was said."""

from dataclasses import replace
from functools import partial
from os import environ
from threading import Event as Wish
from typing import ClassVar

from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Footer

from g4local.core.errors import G4Error, UsageError
from g4local.library import DEMO
from g4local.opening.request import Request
from g4tui import commands, editor, keys
from g4tui.screens.conversing import NO_MODEL, Conversing
from g4tui.widgets import wishes
from g4tui.widgets.composer import Composer
from g4tui.widgets.heading import Heading
from g4tui.widgets.meter import Meter
from g4tui.widgets.prompt import Prompt
from g4tui.widgets.transcript import Transcript
from g4tui.widgets.welcome import Welcome
from g4tui.workers import changes, files, turns


class ChatScreen(Conversing):
    """A conversation with a model."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("chat")

    class ModelWanted(Message):
        """A model is to be pulled, or to come from a file."""

        def __init__(self, *, is_file: bool) -> None:
            super().__init__()
            self.is_file = is_file

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._looking = Wish()
        """Stops the search for files."""

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Heading()
        yield Transcript()
        yield Welcome()
        yield Composer(self._request.folder)
        yield Meter()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Load the model while the first frame is drawn."""
        self.query_one(Prompt).focus()
        if self._request.model or self._request.session or self._request.go_on:
            self.open(self._request, carried=False)
        else:
            self._show_welcome(wanted=True)

    def open(self, request: Request, *, carried: bool) -> None:
        """Go on with another model or session, without the welcome."""
        self._show_welcome(wanted=False)
        super().open(request, carried=carried)

    def _show_welcome(self, *, wanted: bool) -> None:
        welcome = self.query_one(Welcome)
        welcome.display = wanted
        (welcome if wanted else self.query_one(Prompt)).focus()

    @on(Welcome.Chosen)
    def _way_chosen(self, event: Welcome.Chosen) -> None:
        if event.way == "demo":
            self.answer_with(replace(self._request, model=DEMO))
        else:
            self.post_message(self.ModelWanted(is_file=event.way == "open"))

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
            await self._tell(NO_MODEL)
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

    def choose(self, command: commands.Command) -> None:
        """Carry out a command, or let what stands behind it be typed."""
        if command.argument:
            self.query_one(Composer).show(f"/{command.name} ")
        else:
            self.post_message(Composer.Commanded(f"/{command.name}"))

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
            case "tools" if self._opened:
                self._change(partial(changes.tools, argument=argument, opened=self._opened))
            case "tools":
                raise NO_MODEL
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
