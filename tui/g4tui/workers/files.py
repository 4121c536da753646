"""The files of a folder whose names look like what was typed, found in a thread."""

import os
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path
from threading import Event as Wish

from textual.fuzzy import Matcher
from textual.message import Message
from textual.message_pump import MessagePump

_MOST_LOOKED_AT = 20_000
"""Files of a folder; those that lie deepest are left out. Hidden ones are left out in any case."""
_MOST_SHOWN = 50
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "build", "dist", "target"})
"""Folders in which nobody looks for something to ask about, beside hidden ones."""


class FilesFound(Message):
    """Files whose names look like what was typed, the likeliest first."""

    def __init__(self, typed: str, names: list[str]) -> None:
        super().__init__()
        self.typed = typed
        self.names = names
        """Relative to the folder."""


def find(screen: MessagePump, folder: Path, typed: str, cancel: Wish) -> None:
    """Post the files below the folder whose names look like this; those next to it where nothing was typed yet."""
    names: Iterator[str] = islice(takewhile(lambda _: not cancel.is_set(), _files(folder)), _MOST_LOOKED_AT)
    if typed:
        matcher = Matcher(typed)
        scored = [(score, name) for name in names if (score := matcher.match(name)) > 0]
        names = iter([name for _, name in sorted(scored, key=lambda each: (-each[0], len(each[1])))])
    likeliest = list(islice(names, _MOST_SHOWN))
    if not cancel.is_set():
        screen.post_message(FilesFound(typed, likeliest))


def _files(root: Path) -> Iterator[str]:
    """Names of files relative to the root, those nearest to it first."""
    level = [""]
    while level:
        below: list[str] = []
        for folder in level:
            try:
                entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_file() and not entry.name.startswith("."):
                    yield name
                elif entry.is_dir(follow_symlinks=False) and not _is_left_out(entry.name):
                    below.append(name)
        level = below


def _is_left_out(folder: str) -> bool:
    return folder.startswith(".") or folder in _LEFT_OUT
