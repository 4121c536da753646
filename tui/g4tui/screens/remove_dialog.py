"""What leaves the disk with a model, and whether it may."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from g4local.core.units import human_bytes
from g4local.core.visible import in_one_line
from g4local.removing import Leaving
from g4tui.screens.dialog import Dialog
from g4tui.tones import MUTED

_KINDS = {"mmproj": "towers", "part": "half a file"}


class RemoveDialog(Dialog[bool]):
    """The answer is True, or none."""

    def __init__(self, name: str, leaving: Sequence[Leaving]) -> None:
        super().__init__(f"Remove {in_one_line(name)}?", "Remove", "Keep")
        self._leaving = leaving

    def fields(self) -> ComposeResult:
        """A line a file, and what that frees."""
        lines = [_line(each) for each in self._leaving]
        freed = human_bytes(sum(each.nbytes for each in self._leaving))
        yield Static(Content("\n").join([*lines, Content(f"{freed} will be free.")]), markup=False)

    def on_mount(self) -> None:
        """Begin with what does no harm."""
        self.query_one("#no").focus()

    def accept(self) -> None:
        """Close with yes."""
        self.dismiss(True)


def _line(leaving: Leaving) -> Content:
    kind, size = _KINDS.get(leaving.kind, leaving.kind), human_bytes(leaving.nbytes)
    return Content.assemble(in_one_line(leaving.path.name), (f"  {kind}, {size}, {leaving.why}", MUTED))
