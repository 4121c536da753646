"""Where a question is typed: it grows with its text, and knows what was asked before."""

from collections.abc import Sequence
from pathlib import Path

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from g4tui import keys
from g4tui.attachments import given


class Prompt(TextArea):
    """A text of one or more lines; Enter sends it, the arrows at its edges bring back what was sent before."""

    BINDINGS = keys.bindings("prompt")

    class Sent(Message):
        """The person has asked something, or given a command."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Typed(Message):
        """The text, or the place of the cursor in it, is another one."""

        def __init__(self, before: str) -> None:
            super().__init__()
            self.before = before
            """The text up to the cursor."""

    class MarkMoved(Message):
        """Another completion is to be marked."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    class CompletionWanted(Message):
        """The marked completion is to be taken."""

    class FileGiven(Message):
        """The path of a file was pasted, or dropped by the terminal."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    class Backed(Message):
        """There is nothing left to be deleted before the cursor."""

    def __init__(self) -> None:
        super().__init__(compact=True, highlight_cursor_line=False, placeholder="Ask something, or / for commands")
        self.completions: Sequence[str] = ()
        """What the text before the cursor may become; one of them is marked somewhere on the screen."""
        self._sent: list[str] = []
        self._place = 0
        """Which of the texts that were sent is shown; their number is none of them."""
        self._draft = ""

    def remember(self, questions: list[str]) -> None:
        """Take what was asked before, the last one last."""
        self._sent = list(dict.fromkeys(reversed(questions)))[::-1]
        self._place = len(self._sent)

    def replace_before(self, length: int, text: str) -> None:
        """Put a text in the place of so many characters before the cursor."""
        row, column = self.cursor_location
        self.replace(text, (row, max(0, column - length)), (row, column), maintain_selection_offset=False)

    @property
    def before(self) -> str:
        """The text up to the cursor."""
        return self.get_text_range((0, 0), self.cursor_location)

    def show(self, text: str) -> None:
        """Show a text to be changed, with the cursor at its end."""
        self.text = text
        self.move_cursor(self.document.end)

    def action_send(self) -> None:
        """Hand over what was typed."""
        text = self.text
        if self.completions and text.strip() not in self.completions:
            self.post_message(self.CompletionWanted())
            return
        if not text.strip():
            return
        self.remember([*self._sent, text])
        self.text = ""
        self.post_message(self.Sent(text))

    def action_newline(self) -> None:
        """Begin another line."""
        self.insert("\n")

    def action_earlier(self) -> None:
        """Go up a line, or back to what was sent before."""
        if self.completions:
            self.post_message(self.MarkMoved(-1))
        elif self.cursor_location[0] == 0 and self._place > 0:
            if self._place == len(self._sent):
                self._draft = self.text
            self._place -= 1
            self.show(self._sent[self._place])
        else:
            self.action_cursor_up()

    def action_later(self) -> None:
        """Go down a line, or on to what was sent after."""
        if self.completions:
            self.post_message(self.MarkMoved(1))
        elif self.cursor_location[0] == self.document.end[0] and self._place < len(self._sent):
            self._place += 1
            self.show(self._draft if self._place == len(self._sent) else self._sent[self._place])
        else:
            self.action_cursor_down()

    def action_complete(self) -> None:
        """Take the marked completion."""
        if self.completions:
            self.post_message(self.CompletionWanted())

    def action_delete_left(self) -> None:
        """Delete the character before the cursor."""
        if not self.text:
            self.post_message(self.Backed())
        super().action_delete_left()

    async def _on_paste(self, event: events.Paste) -> None:
        """Take the path of a file as that file, and anything else as text."""
        if path := given(event.text):
            event.stop()
            event.prevent_default()
            self.post_message(self.FileGiven(path))

    async def _on_key(self, event: events.Key) -> None:
        """Do at once what a key of ours means: as a binding it would wait for its turn behind what is typed next."""
        active = self.screen.active_bindings.get(event.key)
        if active and active.enabled and active.node is self and active.binding.id:
            event.stop()
            event.prevent_default()
            await self.run_action(active.binding.action)

    def on_text_area_changed(self) -> None:
        """Tell what stands before the cursor, which may be the beginning of a command or of a file's name."""
        self.post_message(self.Typed(self.before))
