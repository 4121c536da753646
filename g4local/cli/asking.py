"""Questions to the person at the terminal."""

import signal
import sys
from collections.abc import Sequence
from threading import Event

from g4local.cli import keyboard, output
from g4local.core.errors import UsageError


def can_ask() -> bool:
    """Whether somebody is there who sees a question and can answer it."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty())


def reply(question: str, cancel: Event, *, fresh: bool = True) -> str:
    """What the person types; Ctrl-C is a no and sets the Event.

    `fresh`: what was typed before the question was seen is no answer to it, and is forgotten.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with keyboard.echo(shown=True):
            if fresh:
                keyboard.forget()
            output.question(question)
            return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        cancel.set()
        output.note("")
        return "n"
    finally:
        signal.signal(signal.SIGINT, before)


def may_remove(what: Sequence[str], question: str) -> bool:
    """Whether the person, who is shown what would go, says yes; UsageError where nobody can be asked."""
    if not can_ask():
        raise UsageError("Nobody can be asked whether this may be removed.", "--yes removes it, --dry-run shows it.")
    for each in what:
        output.note(each)
    return reply(f"{question} [y]es, [n]o: ", Event()).lower() in ("y", "yes")


def yes(question: str, cancel: Event, typed: list[str]) -> bool:
    """Whether the person says yes.

    What is neither yes nor no was typed before the question was seen: it is a no, and added to `typed`.
    """
    answer = reply(f"{question} [y]es, [n]o: ", cancel, fresh=False)
    if answer.lower() not in ("y", "yes", "n", "no", ""):
        typed.append(answer)
        output.note("That is neither yes nor no, so it is what you say next.")
    return answer.lower() in ("y", "yes")
