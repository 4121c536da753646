"""Questions that wait until the running turn is over."""

from collections.abc import Collection

from textual.widgets import Static

from g4local.core.visible import shortened


class Queue(Static):
    """A line a question; nothing where none waits."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.display = False

    def show(self, waiting: Collection[str]) -> None:
        """Show these."""
        lines = [f"waits: {shortened(text)}" for text in waiting]
        self.update("\n".join([*lines, "Esc takes the last one back."]) if lines else "")
        self.display = bool(lines)
