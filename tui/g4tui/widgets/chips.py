"""The files that go with the next question, by name."""

from collections.abc import Sequence

from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from g4local.core.units import human_bytes
from g4local.core.visible import in_one_line
from g4tui.attachments import Attachment
from g4tui.tones import MUTED


class Chips(Static):
    """A line of them; a click takes one away."""

    class Dropped(Message):
        """A file is not to go with the question."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__("")
        self.display = False

    def show(self, attachments: Sequence[Attachment]) -> None:
        """Show these."""
        self.display = bool(attachments)
        chips = [
            Content.assemble(
                (f"▤ {in_one_line(each.path.name)} ", "$text-accent"),
                (human_bytes(len(each.text.encode())), MUTED),
                (" ✕", Style.from_meta({"@click": f"drop({index})"})),
            )
            for index, each in enumerate(attachments)
        ]
        self.update(Content("   ").join(chips))

    def action_drop(self, index: int) -> None:
        """Have one taken away."""
        self.post_message(self.Dropped(index))
