"""Where the next question is put together: its text, the files that go with it, and what could be meant so far."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from g4local.core.errors import UsageError
from g4tui import commands
from g4tui.attachments import Attachment, attached, question
from g4tui.widgets.chips import Chips
from g4tui.widgets.prompt import Prompt
from g4tui.widgets.queue import Queue
from g4tui.widgets.suggestions import Suggestion, Suggestions

_FILE = re.compile(r"(?:^|\s)@(\S*)$")
"""The beginning of a file's name before the cursor."""


class Composer(Vertical):
    """The prompt, and what belongs to it."""

    class Asked(Message):
        """A question is to be asked."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Commanded(Message):
        """A command is to be carried out."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class FilesWanted(Message):
        """The files whose names look like this are to be offered."""

        def __init__(self, typed: str) -> None:
            super().__init__()
            self.typed = typed

    class Refused(Message):
        """A file can't go with a question."""

        def __init__(self, error: UsageError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, folder: Path) -> None:
        """`folder`: where files are offered from."""
        super().__init__()
        self._folder = folder
        self._attachments: list[Attachment] = []

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Suggestions()
        yield Chips()
        yield Queue()
        yield Prompt()

    @property
    def text(self) -> str:
        """What was typed so far."""
        return self.query_one(Prompt).text

    def show(self, text: str) -> None:
        """Let a text be changed, and sent."""
        self.query_one(Prompt).show(text)
        self.query_one(Prompt).focus()

    def quote(self, text: str) -> None:
        """Put a text behind what was typed, as somebody else's words."""
        before = self.text.rstrip()
        quoted = "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())
        self.show("\n\n".join(filter(None, [before, f"{quoted}\n"])))

    def show_waiting(self, questions: Collection[str]) -> None:
        """Show the questions that wait."""
        self.query_one(Queue).show(questions)

    def remember(self, questions: list[str]) -> None:
        """Take what was asked before, the last one last."""
        self.query_one(Prompt).remember(questions)

    def attach(self, path: Path) -> None:
        """Let a file go with the next question."""
        try:
            self._attachments.append(attached(path))
        except UsageError as error:
            self.post_message(self.Refused(error))
        self.query_one(Chips).show(self._attachments)

    def offer_files(self, typed: str, names: Sequence[str]) -> None:
        """Offer files, if what was typed is still the same."""
        found = _FILE.search(self.query_one(Prompt).before)
        if found and found[1] == typed:
            self._suggest([Suggestion(f"@{name} ", "", len(typed) + 1) for name in names])

    def dismiss(self) -> bool:
        """Take the suggestions away; whether there were some."""
        had_some = self.query_one(Suggestions).display
        self._suggest(())
        return had_some

    def _suggest(self, suggestions: Sequence[Suggestion]) -> None:
        self.query_one(Suggestions).show(suggestions)
        self.query_one(Prompt).completions = [each.text for each in suggestions]

    @on(Prompt.Typed)
    def _typed(self, event: Prompt.Typed) -> None:
        event.stop()
        if found := _FILE.search(event.before):
            self.post_message(self.FilesWanted(found[1]))
            return
        length = len(event.before)
        self._suggest([Suggestion(f"/{each.name}", each.says, length) for each in commands.completions(event.before)])

    @on(Prompt.MarkMoved)
    def _mark_moved(self, event: Prompt.MarkMoved) -> None:
        event.stop()
        self.query_one(Suggestions).mark(event.step)

    @on(Prompt.CompletionWanted)
    def _completion_wanted(self, event: Prompt.CompletionWanted) -> None:
        event.stop()
        self.query_one(Suggestions).take()

    @on(Suggestions.Chosen)
    def _suggestion_chosen(self, event: Suggestions.Chosen) -> None:
        event.stop()
        chosen = event.suggestion
        if chosen.text.startswith("@"):
            self.query_one(Prompt).replace_before(chosen.replaces, "")
            self.attach(self._folder / chosen.text[1:].strip())
        else:
            self.query_one(Prompt).replace_before(chosen.replaces, chosen.text)
        self._suggest(())

    @on(Prompt.FileGiven)
    def _file_given(self, event: Prompt.FileGiven) -> None:
        event.stop()
        self.attach(event.path)

    @on(Prompt.Backed)
    def _backed(self, event: Prompt.Backed) -> None:
        """Take back the last file, where nothing is left to be deleted before the cursor."""
        event.stop()
        if self._attachments:
            self._attachments.pop()
            self.query_one(Chips).show(self._attachments)

    @on(Chips.Dropped)
    def _dropped(self, event: Chips.Dropped) -> None:
        event.stop()
        del self._attachments[event.index]
        self.query_one(Chips).show(self._attachments)

    @on(Prompt.Sent)
    def _sent(self, event: Prompt.Sent) -> None:
        event.stop()
        self._suggest(())
        if event.text.startswith("/"):
            self.post_message(self.Commanded(event.text))
            return
        self.post_message(self.Asked(question(event.text, self._attachments)))
        self._attachments.clear()
        self.query_one(Chips).show(())
