"""Files below one folder, and nothing outside it.

A path is resolved first, so a symbolic link that stays inside works. It is then opened one component after another,
each relative to the folder opened before and none of them a link: what is swapped in between is refused, not followed.
A file is written beside its place and renamed, so that what else is linked to the old one stays as it is. Where the
folder holds what is not to be written all the same (`kept`), that is known by its name and by what it is.
"""

import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from g4local.tools.tool import ToolError

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITABLE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST = 4096
"""Characters of a path; no system takes more."""
_LEFT_ASIDE = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


@contextmanager
def opened(root: Path, path: str, flags: int) -> Iterator[int]:
    """A descriptor of a folder or regular file below `root`; ToolError for anything else."""
    with _told(path):
        descriptor = _walked(root, _inside(root, path), flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def place(root: Path, path: str, *, make: bool = False, kept: Sequence[Path] = ()) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that a file below `root` lies or will lie in, and the file's name there.

    `make`: folders that are missing are made. `kept`: files and folders that are not to be written. ToolError where no
    file can be.
    """
    with _told(path):
        parts = _inside(root, path)
        if not parts:
            raise IsADirectoryError
        if _is_named(Path(os.path.realpath(root), *parts), kept):
            raise _refusal(path)
        descriptor = _walked(root, parts[:-1], FOLDER, make=make)
        try:
            if _lies_in(descriptor, kept):
                raise _refusal(path)
            yield descriptor, parts[-1]
        finally:
            os.close(descriptor)


def _is_named(target: Path, kept: Sequence[Path]) -> bool:
    """Whether a path leads to one of these or below, be it there yet or not, on systems that ignore case, too."""
    parts = _folded(str(target))
    return any(parts[: len(each)] == each for each in map(_folded, map(os.path.realpath, kept)))


def _folded(path: str) -> tuple[str, ...]:
    return Path(unicodedata.normalize("NFKC", path).casefold()).parts


def _lies_in(folder: int, kept: Sequence[Path]) -> bool:
    """Whether an open folder is one of these, or below, whatever it is called."""
    forbidden = set()
    for each in kept:
        with suppress(OSError):
            forbidden.add(_number(each.stat()))
    above, before, here = ".", None, _number(os.fstat(folder))
    while here not in forbidden:
        if here == before:
            return False
        above += "/.."
        before, here = here, _number(os.stat(above, dir_fd=folder))
    return True


def _number(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _refusal(path: str) -> ToolError:
    return ToolError(f"{path!r} is g4local's own, and is not to be written.")


def open_at(folder: int, name: str, flags: int) -> int:
    """Open a name relative to a folder, after a look at what it is: to open a device can already do something."""
    _look(folder, name)
    return os.open(name, flags, dir_fd=folder)


def replace(folder: int, name: str, data: bytes, expected: os.stat_result | None = None) -> None:
    """Put a file with these bytes in the place of what has that name in an open folder, whole or not at all.

    Its rights stay as they were. `expected`: what the file was when it was read; ToolError if it has changed since.
    """
    before = _replaceable(folder, name)
    if expected is not None and (before is None or _identity(before) != _identity(expected)):
        raise ToolError(f"{name!r} was changed by somebody else meanwhile; read it again.")
    part = f".g4local-{secrets.token_hex(8)}.part"
    descriptor = os.open(part, _NEW, 0o666, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode) & ~_LEFT_ASIDE)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)


def _replaceable(folder: int, name: str) -> os.stat_result | None:
    """What the file with this name is now, which must be one that may be written; None where there is none."""
    try:
        descriptor = open_at(folder, name, _WRITABLE)
    except FileNotFoundError:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Errors of the system as what they mean for this path."""
    try:
        yield
    except FileNotFoundError as error:
        raise ToolError(f"There is no {path!r} in the working folder.") from error
    except IsADirectoryError as error:
        raise ToolError(f"{path!r} is a folder.") from error
    except NotADirectoryError as error:
        raise ToolError(f"{path!r} is not a folder.") from error
    except OSError as error:
        raise ToolError(f"{path!r} can't be used: {error.strerror}.") from error


def _inside(root: Path, path: str) -> tuple[str, ...]:
    """The path below the root that a path leads to, links resolved; what lies outside is not even looked for."""
    real_root = os.path.realpath(root)
    try:
        is_path = b"\0" not in os.fsencode(path) and len(path) <= _LONGEST
    except UnicodeEncodeError:
        is_path = False
    if not is_path:
        raise ToolError(f"{path!r} can't be the path of a file.")
    if Path(path).is_absolute():
        raise ToolError(f"{path!r} starts at the root of the disk; paths here start in the working folder.")
    real = Path(os.path.realpath(Path(real_root, path)))
    if not real.is_relative_to(real_root):
        raise ToolError(f"{path!r} is outside the working folder.")
    return real.relative_to(real_root).parts


def _walked(root: Path, parts: tuple[str, ...], flags: int, *, make: bool = False) -> int:
    descriptor = os.open(os.path.realpath(root), FOLDER)
    for position, part in enumerate(parts):
        wanted = flags if position == len(parts) - 1 else FOLDER
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            following = open_at(descriptor, part, wanted)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def _look(folder: int, name: str) -> None:
    kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise ToolError(f"{name!r} is neither a file nor a folder.")


def shown(name: str) -> str:
    """A file's name as one line of valid text, whatever bytes it is made of."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
