"""A question that is answered in one line."""

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class QuestionLine(Horizontal):
    """A label and a line to be filled in; it is there while it asks."""

    class Closed(Message):
        """It asks no more."""

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self._answered: Callable[[str], None] | None = None

    def compose(self) -> ComposeResult:
        """What is asked, and the answer."""
        yield Label("", markup=False)
        yield Input(compact=True)

    def ask(self, what: str, suggested: str, answered: Callable[[str], None]) -> None:
        """Ask; the answer goes to this function."""
        self._answered = answered
        self.query_one(Label).update(f"{what}: ")
        line = self.query_one(Input)
        line.value = suggested
        line.cursor_position = len(suggested)
        self.display = True
        line.focus()

    def put_away(self) -> None:
        """Ask no more."""
        self.display = False
        self._answered = None
        self.post_message(self.Closed())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        answered = self._answered
        self.put_away()
        if answered:
            answered(event.value)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
