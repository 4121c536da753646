"""A path that is typed, with what there is in its folder below: Tab completes, the arrows go into the list."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from g4local.core.visible import in_one_line
from g4tui import keys
from g4tui.tones import MUTED

_MOST = 200
"""Entries of a folder that are listed."""
_CHECKPOINT = "config.json"
"""What a folder holds that can be converted."""


class PathPicker(Vertical):
    """An input over a list."""

    BINDINGS = keys.bindings("path")

    class Picked(Message):
        """A file is meant, or a folder that can be converted."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self, begin: Path, suffix: str) -> None:
        """`suffix` is how the names of files end that are wanted; empty: folders of checkpoints are."""
        super().__init__()
        self._begin = f"{begin}{os.sep}"
        self._suffix = suffix
        self._entries: Sequence[Path] = ()

    def compose(self) -> ComposeResult:
        """The input over the list."""
        yield Input(self._begin, compact=True, select_on_focus=False)
        yield OptionList(compact=True, markup=False)

    @property
    def path(self) -> Path:
        """What is typed."""
        return _path(self.query_one(Input).value)

    def action_complete(self) -> None:
        """Take as much as all entries have in common; where that is nothing more, go on to the next field."""
        field = self.query_one(Input)
        names = [f"{each.name}{os.sep}" if _is_folder(each) else each.name for each in self._entries]
        typed = field.value.rpartition(os.sep)[2]
        common = _common(names)
        if len(common) > len(typed):
            self._write(f"{field.value.removesuffix(typed)}{common}")
        else:
            self.screen.focus_next()

    def action_down(self) -> None:
        """Go into the list."""
        options = self.query_one(OptionList)
        if options.option_count and not options.has_focus:
            options.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._entries = list(_entries(event.value, self._suffix))
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_line(each)) for each in self._entries])
        options.highlighted = 0 if self._entries else None
        options.display = True

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._take(self.path)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        path = self._entries[event.option_index]
        self._write(f"{path}{os.sep}" if _is_folder(path) else str(path))
        self._take(path)

    def _take(self, path: Path) -> None:
        """Go into a folder, or tell what is meant."""
        is_meant = _is_checkpoint(path) if not self._suffix else not _is_folder(path)
        if is_meant or not _is_folder(path):
            self.query_one(OptionList).display = False
            self.post_message(self.Picked(path))
            return
        text = self.query_one(Input).value
        self._write(text if text.endswith(os.sep) else f"{text}{os.sep}")
        self.query_one(Input).focus()

    def _write(self, text: str) -> None:
        field = self.query_one(Input)
        field.value = text
        field.cursor_position = len(text)


def _path(text: str) -> Path:
    with suppress(RuntimeError):  # a home of nobody
        return Path(text).expanduser()
    return Path(text)


def _entries(text: str, suffix: str) -> Iterator[Path]:
    """What there is in the folder that begins as it was typed: folders, and files that are wanted."""
    head, slash, begin = text.rpartition(os.sep)
    folder = _path(head + slash)
    with suppress(OSError, ValueError):
        count = 0
        for path in sorted(folder.iterdir(), key=lambda path: path.name.casefold()):
            name = path.name
            is_hidden = name.startswith(".") and not begin.startswith(".")
            is_alike = name.isprintable() and name.casefold().startswith(begin.casefold())
            if is_alike and not is_hidden and (_is_folder(path) or (suffix and name.endswith(suffix))):
                yield path
                count += 1
            if count == _MOST:
                return


def _common(names: Sequence[str]) -> str:
    """What all names begin with: what the first and the last of the alphabet do."""
    if not names:
        return ""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False))
    return "".join(letter for letter, _ in pairs)


def _line(path: Path) -> Content:
    if not _is_folder(path):
        return Content(in_one_line(path.name))
    kind = "  checkpoint" if _is_checkpoint(path) else ""
    return Content.assemble(in_one_line(path.name), (f"{os.sep}{kind}", MUTED))


def _is_folder(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.is_dir()
    return False


def _is_checkpoint(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return (path / _CHECKPOINT).is_file()
    return False
