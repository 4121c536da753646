"""What could be meant by what was typed so far: a short list above the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from g4tui.tones import MUTED


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text, in the place of so many characters before the cursor."""

    text: str
    says: str
    replaces: int


class Suggestions(OptionList, can_focus=False):
    """The list; the prompt keeps the focus, so the screen moves through it and takes from it."""

    class Chosen(Message):
        """One of them is meant."""

        def __init__(self, suggestion: Suggestion) -> None:
            super().__init__()
            self.suggestion = suggestion

    def __init__(self) -> None:
        super().__init__(markup=False, compact=True)
        self._shown: Sequence[Suggestion] = ()
        self.display = False

    def show(self, suggestions: Sequence[Suggestion]) -> None:
        """Show these, the first one marked; without any the list is gone."""
        if suggestions == self._shown:
            return
        self._shown = suggestions
        self.clear_options()
        self.add_options([Option(_line(each, suggestions)) for each in suggestions])
        self.display = bool(suggestions)
        self.highlighted = 0 if suggestions else None

    def mark(self, step: int) -> None:
        """Mark the next one, or the one above."""
        if step < 0:
            self.action_cursor_up()
        else:
            self.action_cursor_down()

    def take(self) -> None:
        """Take the marked one."""
        if self.display and self.highlighted is not None:
            self.post_message(self.Chosen(self._shown[self.highlighted]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the one that was clicked."""
        event.stop()
        self.post_message(self.Chosen(self._shown[event.option_index]))


def _line(suggestion: Suggestion, beside: Sequence[Suggestion]) -> Content:
    width = max(len(each.text) for each in beside)
    return Content.assemble(suggestion.text.ljust(width), "  ", (suggestion.says, MUTED))
