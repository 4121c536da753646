"""Ctrl-C as a wish: the first one sets an Event, a second one is Python's own KeyboardInterrupt."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


@contextmanager
def interruptible(cancel: Event) -> Iterator[None]:
    """Let Ctrl-C set the Event while the block runs, so that a long job can end in order."""

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
