"""Ctrl-C as a wish: the first one sets an Event, a second one is Python's own KeyboardInterrupt."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Event]:
    """An Event that Ctrl-C sets while the block runs, so that a long job can end in order."""
    wish = Event()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if wish.is_set():
            raise KeyboardInterrupt
        wish.set()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield wish
    finally:
        signal.signal(signal.SIGINT, before)
