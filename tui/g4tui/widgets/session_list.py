"""The kept sessions, two lines each: the title, and what is known of it or was found in it."""

from collections.abc import Collection, Sequence

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from g4local.core.visible import in_one_line, shortened
from g4local.store.transcript import here
from g4tui import keys
from g4tui.kept import Found


class SessionList(OptionList):
    """The list."""

    BINDINGS = keys.bindings("session_list")

    class Marked(Message):
        """Another session is marked, or none."""

        def __init__(self, found: Found | None) -> None:
            super().__init__()
            self.found = found

    class Opened(Message):
        """A session is to be gone on with."""

        def __init__(self, found: Found) -> None:
            super().__init__()
            self.found = found

    def __init__(self) -> None:
        super().__init__(markup=False, compact=True)
        self._found: Sequence[Found] = ()

    @property
    def marked(self) -> Found | None:
        """The session that is marked."""
        return self._found[self.highlighted] if self.highlighted is not None else None

    def show(self, found: Sequence[Found], without: Collection[str]) -> None:
        """Show these but for some; the one that was marked stays marked, or what is at its place now."""
        marked, place = self.marked, self.highlighted or 0
        self._found = [each for each in found if each.session.id not in without]
        self.clear_options()
        self.add_options([Option(_lines(each)) for each in self._found])
        if self._found:
            ids = [each.session.id for each in self._found]
            same = marked is not None and marked.session.id in ids
            self.highlighted = ids.index(marked.session.id) if marked and same else min(place, len(ids) - 1)
        self.post_message(self.Marked(self.marked))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Tell which one is marked."""
        event.stop()
        self.post_message(self.Marked(self.marked))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tell which one is to be opened."""
        event.stop()
        self.post_message(self.Opened(self._found[event.option_index]))


def _lines(found: Found) -> Content:
    session = found.session
    indent = "  " * (found.depth - 1) + "└ " if found.depth else ""
    below = " " * len(indent)
    count = f"{session.messages} message{'' if session.messages == 1 else 's'}"
    about = " · ".join(filter(None, [here(session.updated), in_one_line(session.setting("model")), count]))
    second = shortened(in_one_line(found.snippet)) if found.snippet else about
    return Content.assemble(indent, in_one_line(session.title), "\n", below, (second, "dim"))
