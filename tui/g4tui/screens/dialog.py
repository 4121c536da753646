"""What the dialogs have in common: a frame over the screen below, which Escape closes without an answer."""

from abc import abstractmethod
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Label

from g4tui import keys
from g4tui.widgets.sturdy import SturdyScreen

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer | None], SturdyScreen[Answer | None]):
    """A title, fields, and two buttons."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("dialog")

    def __init__(self, title: str, yes: str, no: str = "Cancel") -> None:
        super().__init__()
        self._heading = title
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        """The frame."""
        with Vertical(id="dialog"):
            yield Label(self._heading, id="title", markup=False)
            with VerticalScroll(id="fields", can_focus=False):
                yield from self.fields()
            with Horizontal(id="buttons"):
                yield Button(self._yes, variant="primary", id="yes", compact=True)
                yield Button(self._no, id="no", compact=True)

    def fields(self) -> ComposeResult:
        """What is asked."""
        yield from ()

    @abstractmethod
    def accept(self) -> None:
        """Close with the answer, if there is one."""

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Close with or without."""
        event.stop()
        if event.button.id == "yes":
            self.accept()
        else:
            self.dismiss(None)

    def on_input_submitted(self) -> None:
        """Enter in a field is as good as the button."""
        self.accept()


def field(label: str, widget: Widget) -> Horizontal:
    """A widget with a label before it."""
    return Horizontal(Label(label, classes="label", markup=False), widget, classes="field")
