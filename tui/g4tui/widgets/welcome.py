"""What a person without a model can do first; it asks for nothing."""

from typing import Literal

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from g4tui.tones import MUTED

Way = Literal["demo", "models", "open"]

_WAYS: tuple[tuple[Way, str, str], ...] = (
    ("demo", "Talk with the built-in model", "it is small, knows little, and shows how everything works"),
    ("models", "Pull a model", "the list tells which of them fit into this machine's memory"),
    ("open", "Open a file", "a GGUF that is here already; it is linked, and not copied"),
)


class Welcome(OptionList):
    """The ways to a model."""

    class Chosen(Message):
        """One of them is taken."""

        def __init__(self, way: Way) -> None:
            super().__init__()
            self.way = way

    def __init__(self) -> None:
        super().__init__(*(_option(says, told) for _, says, told in _WAYS), markup=False, compact=True)
        self.highlighted = 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tell which one is taken."""
        event.stop()
        self.post_message(self.Chosen(_WAYS[event.option_index][0]))


def _option(says: str, told: str) -> Option:
    return Option(Content.assemble(says, "\n", (f"  {told}", MUTED)))
