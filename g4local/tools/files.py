"""Listing, reading, writing and changing files below one folder, and nothing outside it (`jail`)."""

import codecs
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from g4local.tools import jail
from g4local.tools.search import found
from g4local.tools.tool import Tool, ToolError, tool

MOST_BYTES = 16 * 1024
"""Of a file that is read: about as much as fits into a small context."""
MOST_EDITED = 4 << 20
"""Bytes of a file that can be changed."""
MOST_NAMES = 200
"""Of a folder that is listed."""


def tools(root: Path, kept: Sequence[Path] = ()) -> tuple[Tool, ...]:
    """The tools for the files below `root`; none writes what is `kept`."""

    @tool
    def list_files(
        folder: Annotated[str | None, "Inside the working folder; all of it if left out."] = None,
    ) -> str:
        """List the files of a folder."""
        return _listing(root, folder or ".")

    @tool
    def read_file(path: Annotated[str, "Inside the working folder."]) -> str:
        """Read a text file."""
        return _contents(root, path)

    @tool(changes=True)
    def write_file(
        path: Annotated[str, "Inside the working folder; folders are made."],
        text: Annotated[str, "All that the file is to hold."],
    ) -> str:
        """Write a text file, in place of what it was."""
        return _written(root, path, text, kept)

    @tool(changes=True)
    def edit_file(
        path: Annotated[str, "Inside the working folder."],
        old: Annotated[str, "Text that is in the file exactly once."],
        new: Annotated[str, "What takes its place."],
    ) -> str:
        """Replace a piece of a text file."""
        with jail.place(root, path, kept=kept) as (folder, name):
            return _edited(folder, name, path, _bytes(old), _bytes(new))

    return list_files, read_file, found(root), write_file, edit_file


def _listing(root: Path, folder: str) -> str:
    with jail.opened(root, folder, jail.FOLDER) as descriptor, os.scandir(descriptor) as entries:
        names = sorted(
            jail.shown(entry.name) + ("/" if entry.is_dir(follow_symlinks=False) else "") for entry in entries
        )
    if len(names) > MOST_NAMES:
        names[MOST_NAMES:] = [f"[the first {MOST_NAMES} of {len(names):,} names]"]
    return "\n".join(names) or "[the folder is empty]"


def _contents(root: Path, path: str) -> str:
    with jail.opened(root, path, jail.FILE) as descriptor:
        size = os.fstat(descriptor).st_size
        data = _read(descriptor, MOST_BYTES + 1)
    cut = len(data) > MOST_BYTES
    text = _text(data[:MOST_BYTES], path, whole=not cut)
    return f"{text}\n[cut: the first {MOST_BYTES:,} of {size:,} bytes]" if cut else text


def _written(root: Path, path: str, text: str, kept: Sequence[Path]) -> str:
    data = _bytes(text)
    with jail.place(root, path, make=True, kept=kept) as (folder, name):
        jail.replace(folder, name, data)
    return f"{path}: {len(data):,} bytes written"


def _edited(folder: int, name: str, path: str, before: bytes, after: bytes) -> str:
    if not before:
        raise ToolError("There is no text that is to be replaced.")
    descriptor = jail.open_at(folder, name, jail.FILE)
    try:
        read = os.fstat(descriptor)
        data = _read(descriptor, MOST_EDITED + 1)
    finally:
        os.close(descriptor)
    if len(data) > MOST_EDITED:
        raise ToolError(f"{path!r} is too large a file to be edited.")
    _text(data, path)
    start = data.find(before)
    if start < 0:
        raise ToolError(f"{path!r} does not hold that text; it must be given exactly, blanks and lines included.")
    if data.find(before, start + 1) >= 0:
        raise ToolError(f"{path!r} holds that text more than once; give more of what is around it.")
    jail.replace(folder, name, data[:start] + after + data[start + len(before) :], read)
    line = data.count(b"\n", 0, start) + 1
    return f"{path}: line {line} changed"


def _read(descriptor: int, most: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(most)


def _text(data: bytes, path: str, *, whole: bool = True) -> str:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=whole)
    except UnicodeDecodeError as error:
        raise ToolError(f"{path!r} is not a text file in UTF-8.") from error
    if "\0" in text:
        raise ToolError(f"{path!r} is a binary file.")
    return text


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ToolError("The text holds half a character, which no file in UTF-8 can.") from error
