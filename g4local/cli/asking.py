"""Questions to the person at the terminal."""

import signal
import sys
from threading import Event

from g4local.cli import output


def can_ask() -> bool:
    """Whether somebody is there who sees a question and can answer it."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty())


def reply(question: str, cancel: Event) -> str:
    """What the person types, in lower case; Ctrl-C is a no and sets the Event."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        output.question(question)
        return sys.stdin.readline().strip().lower()
    except KeyboardInterrupt:
        cancel.set()
        output.note("")
        return "n"
    finally:
        signal.signal(signal.SIGINT, before)


def yes(question: str, cancel: Event) -> bool:
    """Whether the person says yes."""
    return reply(f"{question} [y]es, [n]o: ", cancel).startswith("y")
