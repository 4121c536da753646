"""`g4local chat`: a conversation in the terminal, line by line."""

import sys
from contextlib import ExitStack
from threading import Event

from g4local.cli import output
from g4local.cli.interrupts import interruptible
from g4local.cli.options import Request, takes_request

_PROMPT, _MORE = ">>> ", "... "
_QUOTES = '"""'


@takes_request
def chat(request: Request) -> None:
    """Talk with a model; /help lists what can be typed."""
    converse(request)


def converse(request: Request) -> None:
    """Load the model, then read questions and commands until the person leaves."""
    from g4local.cli.opening import conversation
    from g4local.cli.session import Session

    cancel = Event()
    with ExitStack() as stack:
        bar = stack.enter_context(output.Bar())
        with interruptible(cancel):
            talk = stack.enter_context(conversation(request, report=bar.report, cancel=cancel))
            info = talk.load(bar.report, cancel)
        bar.stop()
        output.note(f"{info.name}, {info.context:,} tokens of context. /help lists commands, /bye leaves.")
        session = Session(talk, request, bar, cancel)
        while session.open and (text := _read()) is not None:
            session.take(text)


def _read() -> str | None:
    """The next question or command, with the lines of a block in triple quotes as one; None at the end of the input."""
    text = _line(_PROMPT)
    if text is None or not text.startswith(_QUOTES):
        return text
    lines = [text.removeprefix(_QUOTES)]
    while not lines[-1].rstrip().endswith(_QUOTES):
        more = _line(_MORE)
        if more is None:
            return None
        lines.append(more)
    return "\n".join(lines).rstrip().removesuffix(_QUOTES).strip("\n")


def _line(prompt: str) -> str | None:
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        import readline  # noqa: F401 (input() then edits lines and remembers them)
    try:
        if at_terminal and sys.stdout.isatty():
            return input(prompt)
        if at_terminal:
            output.question(prompt)
        return input()
    except EOFError:
        if at_terminal:
            output.note("")
        return None
    except KeyboardInterrupt:
        output.note("\nCtrl-D or /bye leaves.")
        return ""
