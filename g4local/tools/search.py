"""Finding a text in the files below one folder, within bounds of files, bytes and lines."""

import os
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Event
from typing import Annotated

from g4local.tools import jail
from g4local.tools.tool import Tool, ToolError, tool

MOST_LINES = 100
"""That are told."""
MOST_FILES = 20_000
MOST_BYTES = 4 << 20
"""Of a file; what is larger is left out."""
WIDEST = 200
"""Characters of a line that are told."""
DEEPEST = 32
"""Folders inside each other; each takes a descriptor."""


def found(root: Path) -> Tool:
    """The tool that searches the files below `root`."""

    @tool
    def search_files(
        text: Annotated[str, "Found in any case, as it is."],
        cancel: Event,
        folder: Annotated[str | None, "Inside the working folder; all of it if left out."] = None,
        names: Annotated[str | None, "Only in such files: *.py"] = None,
    ) -> str:
        """Find a text in files."""
        if not text.strip() or "\n" in text:
            raise ToolError("What is looked for is a piece of a line.")
        with jail.opened(root, folder or ".", jail.FOLDER) as descriptor:
            return _lines(descriptor, text.casefold(), names or "*", cancel)

    return search_files


def _lines(folder: int, wanted: str, names: str, cancel: Event) -> str:
    lines: list[str] = []
    files = 0
    with closing(_files(folder, "", 0)) as listed:
        for path, name, inside in listed:
            if files == MOST_FILES or len(lines) > MOST_LINES or cancel.is_set():
                break
            files += 1
            if fnmatchcase(name, names):
                with suppress(OSError, ToolError):
                    lines += _hits(inside, name, path, wanted)
    if files == MOST_FILES or len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"[these are lines of the first {files:,} files; there may be more]"]
    return "\n".join(lines) or "[nothing was found]"


def _files(folder: int, before: str, depth: int) -> Generator[tuple[str, str, int], None, None]:
    """Path, name and open folder of each file below a folder, in order; links and hidden names are left out."""
    with os.scandir(folder) as entries:
        listed = sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    for entry in listed:
        path = before + jail.shown(entry.name)
        if entry.is_file(follow_symlinks=False):
            yield path, entry.name, folder
        elif entry.is_dir(follow_symlinks=False) and depth < DEEPEST:
            with suppress(OSError, ToolError):
                descriptor = jail.open_at(folder, entry.name, jail.FOLDER)
                try:
                    yield from _files(descriptor, f"{path}/", depth + 1)
                finally:
                    os.close(descriptor)


def _hits(folder: int, name: str, path: str, wanted: str) -> Iterator[str]:
    """The lines of a text file that hold what is wanted, with their numbers."""
    descriptor = jail.open_at(folder, name, jail.FILE)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES or b"\0" in data:
        return
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if wanted in line.casefold():
            yield f"{path}:{number}: {line.strip()[:WIDEST]}"
