"""Listing and reading files below one folder, and nothing outside it.

A path is resolved first, so a symbolic link that stays inside works. It is then opened one component after another,
each relative to the folder opened before and none of them a link: what is swapped in between is refused, not followed.
"""

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from g4local.tools.tool import Tool, ToolError, tool

MOST_BYTES = 16 * 1024
"""Of a file that is read: about as much as fits into a small context."""
MOST_NAMES = 200
"""Of a folder that is listed."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def tools(root: Path) -> tuple[Tool, ...]:
    """The tools for the files below `root`."""

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

    return list_files, read_file


def _listing(root: Path, folder: str) -> str:
    with _opened(root, folder, _FOLDER) as descriptor, os.scandir(descriptor) as entries:
        names = sorted(_shown(entry) for entry in entries)
    if len(names) > MOST_NAMES:
        names[MOST_NAMES:] = [f"[the first {MOST_NAMES} of {len(names):,} names]"]
    return "\n".join(names) or "[the folder is empty]"


def _contents(root: Path, path: str) -> str:
    with _opened(root, path, _FILE) as descriptor:
        size = os.fstat(descriptor).st_size
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MOST_BYTES + 1)
    cut = len(data) > MOST_BYTES
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data[:MOST_BYTES], final=not cut)
    except UnicodeDecodeError as error:
        raise ToolError(f"{path!r} is not a text file in UTF-8.") from error
    if "\0" in text:
        raise ToolError(f"{path!r} is a binary file.")
    return f"{text}\n[cut: the first {MOST_BYTES:,} of {size:,} bytes]" if cut else text


@contextmanager
def _opened(root: Path, path: str, flags: int) -> Iterator[int]:
    """A descriptor of a folder or regular file below `root`; ToolError for anything else."""
    parts = _inside(root, path)
    try:
        descriptor = _walked(root, parts, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise ToolError(f"There is no {path!r} in the working folder.") from error
    except IsADirectoryError as error:
        raise ToolError(f"{path!r} is a folder.") from error
    except NotADirectoryError as error:
        raise ToolError(f"{path!r} is not a folder.") from error
    except OSError as error:
        raise ToolError(f"{path!r} can't be opened: {error.strerror}.") from error


def _inside(root: Path, path: str) -> tuple[str, ...]:
    """The path below the root that a path leads to, links resolved; what lies outside is not even looked for."""
    if Path(path).is_absolute():
        raise ToolError(f"{path!r} starts at the root of the disk; paths here start in the working folder.")
    real_root = os.path.realpath(root)
    try:
        real = Path(os.path.realpath(Path(real_root, path)))
    except ValueError as error:
        raise ToolError(f"{path!r} can't be the path of a file.") from error
    if not real.is_relative_to(real_root):
        raise ToolError(f"{path!r} is outside the working folder.")
    return real.relative_to(real_root).parts


def _walked(root: Path, parts: tuple[str, ...], flags: int) -> int:
    descriptor = os.open(os.path.realpath(root), _FOLDER)
    for position, part in enumerate(parts):
        wanted = flags if position == len(parts) - 1 else _FOLDER
        try:
            following = _open_at(descriptor, part, wanted)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def _open_at(folder: int, name: str, flags: int) -> int:
    """Open a name relative to a folder, after a look at what it is: to open a device can already do something."""
    kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise ToolError(f"{name!r} is neither a file nor a folder.")
    return os.open(name, flags, dir_fd=folder)


def _shown(entry: os.DirEntry[str]) -> str:
    """A file's name as one line of valid text, whatever bytes it is made of."""
    text = entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    line = "".join(character if character.isprintable() else "?" for character in text)
    return f"{line}/" if entry.is_dir(follow_symlinks=False) else line
