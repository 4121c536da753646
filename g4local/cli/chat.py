"""`g4local chat`: a conversation in the terminal, line by line."""

import sys
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING

from g4local.cli import output
from g4local.cli.interrupts import interruptible
from g4local.cli.options import ChatRequest, Request, takes
from g4local.core.errors import UsageError

if TYPE_CHECKING:
    from g4local.chat.conversation import Conversation

_PROMPT, _MORE = ">>> ", "... "
_QUOTES = '"""'


@takes(ChatRequest)
def chat(request: ChatRequest) -> None:
    """Talk with a model; /help lists what can be typed."""
    if not (request.model or request.go_on or request.session):
        raise UsageError("There is no model named, and no session to go on with.", "g4local chat demo")
    converse(request)


def converse(request: Request) -> None:
    """Load the model, then read questions and commands until the person leaves."""
    from g4local.cli.opening import conversation
    from g4local.cli.session import Session

    cancel = Event()
    with ExitStack() as stack:
        bar = stack.enter_context(output.Bar())
        with interruptible(cancel):
            talk = stack.enter_context(conversation(request, bar.report, cancel))
            info = talk.load(bar.report, cancel)
        bar.stop()
        output.note(f"{info.name}, {info.context:,} tokens of context. /help lists commands, /bye leaves.")
        if talk.messages:
            output.note(f"Going on after {len(talk.messages)} messages; the last question was: {_last_question(talk)}")
        session = Session(talk, request, bar, cancel)
        while session.open and (text := _read()) is not None:
            session.take(text)
        if talk.session:
            output.note(f"Kept as session {talk.session}; g4local chat -c goes on with the last one.")


def _last_question(talk: "Conversation") -> str:
    from g4local.store.values import title_of

    return title_of(next((message.text for message in reversed(talk.messages) if message.role == "user"), ""))


def _read() -> str | None:
    """The next question or command, with the lines of a block in triple quotes as one; None at the end of the input."""
    try:
        text = _line(_PROMPT)
    except KeyboardInterrupt:
        output.note("\nCtrl-D or /bye leaves.")
        return ""
    if text is None or not text.startswith(_QUOTES):
        return text
    lines = [text.removeprefix(_QUOTES)]
    try:
        while not lines[-1].rstrip().endswith(_QUOTES):
            more = _line(_MORE)
            if more is None:
                return None
            lines.append(more)
    except KeyboardInterrupt:
        output.note("\nThe block is dropped.")
        return ""
    return "\n".join(lines).rstrip().removesuffix(_QUOTES).strip("\n")


def _line(prompt: str) -> str | None:
    """A line of input without its end; None where there is no more. At a terminal it can be edited, and recalled."""
    at_terminal = bool(sys.stdin and sys.stdin.isatty())
    try:
        if at_terminal and sys.stdout and sys.stdout.isatty():
            import readline

            readline.parse_and_bind("set enable-bracketed-paste on")
            return input(prompt)
        if at_terminal:
            output.question(prompt)
        line = sys.stdin.readline() if sys.stdin else ""
    except EOFError:
        output.note("")
        return None
    return line.removesuffix("\n") if line else None
