"""`g4local sessions replay`: a turn is asked again as it was, to see whether the same is said."""

from os import environ
from threading import Event as Wish
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import Cancelled
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.core.events import Event

SCHEMA = "g4local.sessions.replay/1"
"""The name and version of the object that --json prints."""

_OTHER = 1
"""The exit code where another answer came."""


def replay(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="A session's id, or its beginning; the last one.", autocompletion=completion.sessions
        ),
    ] = None,
    at: Annotated[
        int | None, typer.Option("--at", metavar="N", help="An answer, by its number in `show`; the last one without.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask a turn again as it was asked: the same model, history, settings and seed.

    No tool is run: each call gets what it got then. Nothing is kept. Exit code 1: another answer came.
    """
    from g4local.cli.turns import Screen, follow
    from g4local.opening import replaying

    wanted = replaying.find(paths(environ).sessions, name, at)
    cancel = Wish()
    warnings: list[str] = []
    with output.Bar() as bar, interruptible(cancel):
        screen = Screen(bar, is_prose=wanted.options.constraint is None)
        show = _nothing if as_json else screen.show
        with replaying.conversation(wanted, bar.report, cancel, warnings.append) as talk:
            outcome = follow(talk.resume(report=bar.report, cancel=cancel), show)
            is_same = wanted.is_repeated_by(talk.messages)
        if not as_json:
            screen.end()
    for warning in warnings:
        output.warning(warning)
    if outcome.error:
        raise outcome.error
    if cancel.is_set():
        raise Cancelled("Stopped.", "Nothing was changed.")
    if as_json:
        answer: dict[str, Json] = {"text": outcome.text, "thought": outcome.thought, "same": is_same}
        seed = wanted.options.sampling.seed
        asked: dict[str, Json] = {"session": wanted.session, "model": wanted.request.model, "seed": seed}
        output.json_line({"schema": SCHEMA, **asked, **answer, "warnings": [*warnings, *outcome.warnings]})
    else:
        output.note("The same as then." if is_same else "Another answer than then.")
    raise typer.Exit(0 if is_same else _OTHER)


def _nothing(event: "Event") -> None:
    """Show nothing of an event."""
