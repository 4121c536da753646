"""Which GGUF is to have a name here, and how it comes."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from g4local import importing
from g4tui.screens.dialog import Dialog, field
from g4tui.widgets.choice import Choice, Tick
from g4tui.widgets.path_picker import PathPicker


@dataclass(frozen=True, slots=True)
class Import:
    """A file, and how it is to come."""

    path: Path
    wish: importing.Wish


class ImportDialog(Dialog[Import]):
    """The same that `g4local import` can do."""

    def __init__(self, begin: Path) -> None:
        super().__init__("Import a GGUF", "Import")
        self._begin = begin

    def fields(self) -> ComposeResult:
        """The file, the way, and the name."""
        yield PathPicker(self._begin, ".gguf")
        yield field("it is to be", Choice(get_args(importing.Way), "link", id="way"))
        yield field("name", Input("", "as the file", id="name", compact=True))
        yield Tick("bring towers and drafter that lie beside it", value=True, id="sidecars")

    @on(PathPicker.Picked)
    def _picked(self) -> None:
        self.query_one("#yes").focus()

    def accept(self) -> None:
        """Close with what is wanted."""
        way = next(each for each in get_args(importing.Way) if each == self.query_one("#way", Choice).value)
        name = self.query_one("#name", Input).value.strip() or None
        has_sidecars = self.query_one("#sidecars", Tick).value
        self.dismiss(Import(self.query_one(PathPicker).path, importing.Wish(way, has_sidecars, name)))
