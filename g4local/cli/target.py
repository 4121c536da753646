"""Answers that go into a file: seen once they are whole."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

from g4local.cli.output import OutputLost
from g4local.core.errors import G4Error, UsageError
from g4local.core.locks import is_written, locked, try_lock


@contextmanager
def stdout_to(target: Path | None, *, force: bool) -> Iterator[Callable[[], None]]:
    """Have what the block prints on stdout written beside a file, and renamed at the block's end; without one, printed.

    The block calls what it is given once its answer is worth a file; otherwise nothing is left. UsageError when
    something is there already and is not to be written over, G4Error when it can't be written.
    """
    if target is None:
        if force:
            raise UsageError("--force writes over a file, and there is none.", "Name it with --output.")
        yield lambda: None
        return
    expect_free(target, force=force)
    worth: list[bool] = []
    _clear(target)
    part = target.with_name(f".{target.name}.g4local.{os.getpid()}.part")
    with writing(target):
        file = part.open("x", encoding="utf-8", errors="replace", newline="")
    try_lock(file)
    try:
        with redirect_stdout(file):
            yield lambda: worth.append(True)
        if worth:
            expect_free(target, force=force)
            with writing(target):
                os.fsync(file.fileno())
                file.close()
                part.replace(target)
    except OutputLost as lost:
        raise _lost(target, lost.reason) from lost
    finally:
        with suppress(OSError):
            file.close()
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _clear(target: Path) -> None:
    """Remove what killed processes left of answers to the same file, under a name that nobody else gives a file.

    In a container they had our own number.
    """
    numbered = re.compile(re.escape(f".{target.name}.g4local.") + r"(\d{1,10})\.part", re.ASCII)
    with suppress(OSError):  # told when the file is written
        for part in target.parent.iterdir():
            found = numbered.fullmatch(part.name)
            if found and part.is_file() and (int(found[1]) == os.getpid() or not is_written(part)):
                with suppress(OSError), locked(part) as is_free:
                    if is_free:
                        part.unlink()


def expect_free(target: Path, *, force: bool) -> None:
    """UsageError when something has this name that is not to be written over, or is no file."""
    with suppress(OSError):  # one that can't be a name at all is told when it is written
        if target.exists() and not target.is_file():
            raise UsageError(f"{target} is no file.", "Give the name of a file with --output.")
        if target.exists() and not force:
            raise UsageError(f"{target} is there already.", "Give another name, or --force to write over it.")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What the system says when a file can't be written, as a sentence."""
    try:
        yield
    except OSError as error:
        raise _lost(target, error.strerror or str(error)) from error


def _lost(target: Path, reason: str) -> G4Error:
    return G4Error(f"{target} can't be written: {reason}.", "Check the disk, and your rights there.")
