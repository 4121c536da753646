"""Ctrl-C as a wish: the first one sets an Event, a second one ends the program, and so it is with other goodbyes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from g4local.cli import keyboard

_GOODBYES = (signal.SIGTERM, signal.SIGHUP)
"""Sent by whoever wants the program to end: a service manager, a terminal that is closed."""
_BY_SIGNAL = 128
"""What a shell adds to the number of a signal that ended a program."""


@contextmanager
def interruptible(cancel: Event) -> Iterator[None]:
    """Let Ctrl-C set the Event while the block runs, so that a long job can end in order.

    SIGTERM and SIGHUP set it too, and end the program after the block. Where the wish is known already, Ctrl-C is
    Python's own KeyboardInterrupt, and the others are a SystemExit: the block is left at once. What is typed meanwhile
    is not shown.
    """
    goodbyes: list[int] = []

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    def on_goodbye(number: int, frame: FrameType | None) -> None:
        goodbyes.append(number)
        if cancel.is_set():
            raise SystemExit(_BY_SIGNAL + goodbyes[0])
        cancel.set()

    handlers = {signal.SIGINT: on_interrupt, **dict.fromkeys(_GOODBYES, on_goodbye)}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        with keyboard.echo(shown=False):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if goodbyes:
            raise SystemExit(_BY_SIGNAL + goodbyes[0])
