"""What is to be pulled of the hub: a model by name, and what comes with it."""

from os import environ

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input, Static

from g4local import usage
from g4local.core import offline
from g4local.core.units import human_bytes
from g4local.settings import paths
from g4tui.screens.dialog import Dialog, field
from g4tui.shelf import Row
from g4tui.widgets.choice import Tick
from g4tui.workers.models import Pull


class PullDialog(Dialog[Pull]):
    """The same that `g4local pull` can do."""

    def __init__(self, name: str, row: Row | None) -> None:
        super().__init__("Pull a model", "Pull")
        self._asked = name
        self._row = row

    def fields(self) -> ComposeResult:
        """The name, and a line for each wish."""
        yield field("model", Input(self._asked, "e2b, 26b:q8_0, OWNER/REPO:QUANT", id="name", compact=True))
        yield Tick(f"towers for images and sound{self._told_size('mmproj')}", id="mmproj")
        yield Tick(f"the drafter{self._told_size('drafter')}", id="drafter")
        yield Tick("download the safetensors instead, and convert them here", id="checkpoint")
        yield Tick("keep the safetensors for other quants", id="keep")
        yield Tick("take it also if the hub has another file than before", id="update")
        yield Static(self._told(), id="told", markup=False)

    def on_mount(self) -> None:
        """Begin with the button where the model is known."""
        self.query_one("#yes" if self._asked else "#name").focus()
        self._exclude()

    @on(Tick.Changed)
    def _exclude(self) -> None:
        """Leave out what makes no sense together."""
        from_checkpoint = self._is("checkpoint")
        self.query_one("#keep").disabled = not from_checkpoint
        self.query_one("#drafter").disabled = self.query_one("#update").disabled = from_checkpoint

    def accept(self) -> None:
        """Close with the wish."""
        name, is_made = self.query_one("#name", Input).value.strip(), self._is("checkpoint")
        if not name:
            self.query_one("#name").focus()
            return
        self.dismiss(
            Pull(
                name,
                mmproj=self._is("mmproj"),
                drafter=self._is("drafter") and not is_made,
                from_checkpoint=is_made,
                keep=self._is("keep") and is_made,
                update=self._is("update") and not is_made,
            )
        )

    def _is(self, name: str) -> bool:
        return self.query_one(f"#{name}", Tick).value

    def _told_size(self, kind: str) -> str:
        nbytes = next((each.nbytes for each in self._row.beside if each.kind == kind), 0) if self._row else 0
        return f", {human_bytes(nbytes)}" if nbytes else ""

    def _told(self) -> str:
        if offline.is_on():
            return "g4local is offline (--offline): only what is here already can be had."
        size = f"{human_bytes(self._row.nbytes)} of {self._row.origin}; " if self._row and self._row.nbytes else ""
        free = usage.free(paths(environ))
        return size + (f"{human_bytes(free)} are free on the disk." if free is not None else "")
