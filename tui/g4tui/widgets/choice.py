"""What is chosen in one line: one of a few words, or yes and no; keys and clicks change it."""

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget

from g4tui import keys
from g4tui.tones import MUTED


class Choice(Widget, can_focus=True):
    """The words beside each other, the chosen one in brackets."""

    BINDINGS = keys.bindings("choice")

    class Changed(Message):
        """Another word is chosen."""

        def __init__(self, choice: "Choice", value: str) -> None:
            super().__init__()
            self.choice = choice
            self.value = value

        @property
        def control(self) -> "Choice":
            """The widget, for selectors."""
            return self.choice

    value = var("", init=False)

    def __init__(self, words: Sequence[str], value: str, *, id: str) -> None:  # noqa: A002 Textual's name
        super().__init__(id=id)
        self._words = words
        self.set_reactive(Choice.value, value)

    def render(self) -> Content:
        """The words in a line."""
        return Content("").join(
            Content.styled(f"[{word}]", "reverse" if self.has_focus else "bold")
            if word == self.value
            else Content.styled(f" {word} ", MUTED)
            for word in self._words
        )

    def watch_value(self, value: str) -> None:
        """Tell the change."""
        self.refresh()
        self.post_message(self.Changed(self, value))

    def action_step(self, by: int) -> None:
        """Take the next word, or the one before."""
        place = self._words.index(self.value) + by
        self.value = self._words[max(0, min(place, len(self._words) - 1))]

    def on_click(self, event: events.Click) -> None:
        """Take the word that was clicked."""
        start = 0
        for word in self._words:
            start += len(word) + 2
            if event.x < start:
                self.value = word
                return


class Tick(Widget, can_focus=True):
    """A cross in brackets before what it is for."""

    BINDINGS = keys.bindings("tick")

    class Changed(Message):
        """It was set, or taken back."""

    value = var(False, init=False)

    def __init__(self, says: str, value: bool = False, *, id: str) -> None:  # noqa: A002 Textual's name
        super().__init__(id=id)
        self._says = says
        self.set_reactive(Tick.value, value)

    def render(self) -> Content:
        """The line."""
        box = Content.styled("[x]" if self.value else "[ ]", "reverse" if self.has_focus else "bold")
        return box + Content(f" {self._says}")

    def watch_value(self) -> None:
        """Tell the change."""
        self.refresh()
        self.post_message(self.Changed())

    def action_turn(self) -> None:
        """Set it, or take it back."""
        self.value = not self.value

    def on_click(self) -> None:
        """Set it, or take it back."""
        self.action_turn()
