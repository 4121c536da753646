"""`g4local chat`: a conversation in the terminal, in the app or line by line."""

import sys
from contextlib import ExitStack
from os import environ
from threading import Event
from typing import TYPE_CHECKING

import typer

from g4local.cli import keyboard, output
from g4local.cli.interrupts import interruptible
from g4local.cli.options import takes
from g4local.cli.request import CHAT_FLAGS, ChatRequest
from g4local.core.errors import UsageError
from g4local.opening.request import Request
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.chat.conversation import Conversation

_PROMPT, _MORE = ">>> ", "... "
_QUOTES = '"""'


@takes(ChatRequest, CHAT_FLAGS)
def chat(request: ChatRequest) -> None:
    """Talk with a model, in the app or line by line (--plain).

    Where there is no terminal it is line by line, too.
    """
    if request.plain or not _has_room_for_the_app():
        if not (request.model or request.go_on or request.session):
            raise UsageError("There is no model named, and no session to go on with.", "g4local chat demo")
        converse(request)
    else:
        from g4tui.app import run

        run(request)


def converse(request: Request) -> None:
    """Load the model, then read questions and commands until the person leaves."""
    from g4local import library
    from g4local.cli.approval import asker
    from g4local.cli.session import Session
    from g4local.opening.conversation import conversation

    cancel = Event()
    with ExitStack() as stack:
        stack.enter_context(keyboard.echo(shown=False))  # but for the prompts
        bar = stack.enter_context(output.Bar())
        with interruptible(cancel):
            talk, asked = stack.enter_context(
                conversation(request, bar.report, cancel, ask=asker(cancel), warn=output.warning)
            )
            info = talk.load(bar.report, cancel)
        bar.stop()
        name = library.find(asked.model, paths(environ)).name
        full_name = f" ({info.name})" if info.name not in (name, info.path.stem) else ""
        output.note(f"{name}{full_name}, {info.context:,} tokens of context. /help lists commands, /bye leaves.")
        _tell_where_it_was(talk)
        session = Session(talk, asked, bar, cancel)
        while session.open and (text := _read(session.typed)) is not None:
            session.take(text)
        if talk.session:
            output.note(f"Kept as session {talk.session}; g4local chat --session {talk.session} goes on with it.")
    if session.exit_code and not _at_terminal():
        raise typer.Exit(session.exit_code)


def _tell_where_it_was(talk: "Conversation") -> None:
    """The last question of a conversation that is gone on with, and its answer, a line each."""
    from g4local.store.values import title_of

    messages = talk.messages
    if not messages:
        return
    output.note(f"Going on after {len(messages)} message{'s' if len(messages) > 1 else ''}.")
    last = max((number for number, each in enumerate(messages) if each.role == "user"), default=0)
    answers = [each.text for each in messages[last + 1 :] if each.role == "assistant" and each.text]
    output.note(f"  You: {title_of(messages[last].text)}")
    if answers:
        output.note(f"  Model: {title_of(answers[-1])}")
    if talk.unfinished:
        output.note("  There is no whole answer yet; /continue asks for it.")


def _read(typed: list[str]) -> str | None:
    """The next question or command, with the lines of a block in triple quotes as one; None at the end of the input.

    What was typed already is taken first.
    """
    try:
        text = typed.pop(0) if typed else _line(_PROMPT)
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
                output.note(f"The input ends within a block; it is taken as if {_QUOTES} were there.")
                break
            lines.append(more)
    except KeyboardInterrupt:
        output.note("\nThe block is dropped.")
        return ""
    return "\n".join(lines).rstrip().removesuffix(_QUOTES).strip("\n")


def _has_room_for_the_app() -> bool:
    """Whether a person sees a terminal that can be drawn on."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream and stream.isatty() for stream in streams) and environ.get("TERM", "dumb") != "dumb"


def _at_terminal() -> bool:
    """Whether a person types, who sees what goes wrong."""
    return bool(sys.stdin and sys.stdin.isatty())


def _line(prompt: str) -> str | None:
    """A line of input without its end; None where there is no more. At a terminal it can be edited, and recalled."""
    at_terminal = _at_terminal()
    try:
        if at_terminal and sys.stdout and sys.stdout.isatty():
            import readline

            if environ.get("TERM") != "dumb":
                readline.parse_and_bind("set enable-bracketed-paste on")
            with keyboard.echo(shown=True):
                return input(prompt)
        if at_terminal:
            output.question(prompt)
        with keyboard.echo(shown=True):
            line = sys.stdin.readline() if sys.stdin else ""
    except EOFError:
        output.note("")
        return None
    return line.removesuffix("\n") if line else None
