"""Whether the terminal shows what is typed: not while something else is shown there, for the next prompt gets it."""

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LOCAL = 3
"""Where termios keeps the flags of line editing and echo."""


@contextmanager
def echo(*, shown: bool) -> Iterator[None]:
    """Show what is typed while the block runs, or keep it out of sight; nothing of it is lost, and Ctrl-C works."""
    before = _set(shown=shown)
    try:
        yield
    finally:
        if before is not None:
            _set(shown=before)


def forget() -> None:
    """Drop what was typed and not read yet."""
    with suppress(OSError, termios.error):
        if (descriptor := _terminal()) is not None:
            termios.tcflush(descriptor, termios.TCIFLUSH)


def _set(*, shown: bool) -> bool | None:
    """Whether it was shown before; None where there is no terminal, or another program has it."""
    with suppress(OSError, termios.error):
        if (descriptor := _terminal()) is not None:
            state = termios.tcgetattr(descriptor)
            before = bool(state[_LOCAL] & termios.ECHO)
            state[_LOCAL] = state[_LOCAL] | termios.ECHO if shown else state[_LOCAL] & ~termios.ECHO
            termios.tcsetattr(descriptor, termios.TCSANOW, state)
            return before
    return None


def _terminal() -> int | None:
    """The terminal that is typed at, and that listens to this program: stdin, or where progress is shown."""
    for stream in (sys.stdin, sys.stderr):
        with suppress(OSError, ValueError):  # it is closed
            if stream and stream.isatty():
                return stream.fileno() if _is_ours(stream.fileno()) else None
    return None


def _is_ours(descriptor: int) -> bool:
    """Whether the terminal listens to this program: one in the background would be stopped if it changed anything."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # it is nobody's, so nothing is stopped for it
        return True
