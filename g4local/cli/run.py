"""`g4local run`: one question, one answer, for people and for scripts."""

import sys
from dataclasses import asdict
from threading import Event
from typing import Annotated

import typer

from g4local.cli import options, output
from g4local.cli.interrupts import interruptible
from g4local.cli.options import Request, takes
from g4local.cli.turns import (
    Outcome,
    Screen,
    error_object,
    event_object,
    follow,
    print_stats,
    timing_object,
)
from g4local.core import events
from g4local.core.errors import Cancelled, ContextFull, G4Error, TooManyTools, UsageError
from g4local.core.messages import Json

SCHEMA = "g4local.run/1"
"""The name and version of the object that --json prints."""


@takes(Request)
def run(
    request: Request,
    prompt: Annotated[
        list[str] | None, typer.Argument(metavar="PROMPT", help="The question; text on stdin is appended to it.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Send the prompt without template; print the reply with its markup.")
    ] = False,
    as_json: options.AsJson = False,
    stream_json: Annotated[
        bool, typer.Option("--stream-json", help="Print each event as a JSON line, and that object last.")
    ] = False,
) -> None:
    """Ask a model once; without a question it is a chat.

    The answer goes to stdout, everything else to stderr.
    """
    words = prompt or []
    if as_json or stream_json:
        outcome = _for_scripts(request, words, raw=raw, stream=stream_json)
    elif raw or words or not _at_terminal():
        outcome = _for_people(request, _question(request, words, raw=raw), raw=raw)
    else:
        from g4local.cli.chat import converse

        converse(request)
        return
    if request.stats and outcome.finished:
        print_stats(outcome.finished)
    raise typer.Exit(outcome.exit_code)


def _at_terminal() -> bool:
    """Whether a person can be asked for a question."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty())


def _question(request: Request, words: list[str], *, raw: bool) -> str:
    """What to ask; UsageError when there is nothing, or when a raw prompt comes with flags that it has no place for."""
    if raw and (request.system or request.think or request.tools or request.tool):
        raise UsageError("A raw prompt has no place for --system, --think or tools.", "Write them into the prompt.")
    if raw and (request.think_budget or request.constrained):
        raise UsageError("A raw reply is not held to anything.", "Leave out --raw, or what the answer must be.")
    piped = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8", "replace")
    question = "\n\n".join(part for part in (" ".join(words), piped.rstrip("\n")) if part.strip())
    if not question:
        raise UsageError("There is no question.", 'Give one: g4local run demo "What can you do?"')
    return question


def _for_people(request: Request, question: str, *, raw: bool) -> Outcome:
    from g4local.cli.opening import conversation

    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        screen = Screen(bar, is_prose=not (raw or request.constrained))
        with conversation(request, bar.report, cancel, raw=raw) as (talk, _):
            outcome = follow(talk.say(question, report=bar.report, cancel=cancel), screen.show)
        screen.end()
    if outcome.error:
        outcome.error = _with_its_hint(outcome.error, request)
        output.error(outcome.error.message, outcome.error.hint)
    return outcome


def _for_scripts(request: Request, words: list[str], *, raw: bool, stream: bool) -> Outcome:
    """The same for a program: an error is part of the object, so that stdout is JSON whatever happens."""
    from g4local.cli.opening import conversation

    def show(event: events.Event) -> None:
        if stream:
            output.json_line(event_object(event))

    def warn(message: str) -> None:
        outcome.warnings.append(message)
        output.warning(message)

    outcome = Outcome()
    cancel = Event()
    try:
        question = _question(request, words, raw=raw)
        with (
            output.Bar() as bar,
            interruptible(cancel),
            conversation(request, bar.report, cancel, raw=raw, announced=False, warn=warn) as (talk, _),
        ):
            follow(talk.say(question, report=bar.report, cancel=cancel), show, outcome)
            outcome.session = talk.session
    except G4Error as error:
        outcome.error = error
    if outcome.error:
        outcome.error = _with_its_hint(outcome.error, request)
    result = _object(request, outcome)
    output.json_line({"type": "result", **result} if stream else result)
    return outcome


def _with_its_hint(error: G4Error, request: Request) -> G4Error:
    """The error with the way out of it; a single question that does not fit can't be made shorter by another chat."""
    if isinstance(error, ContextFull) and not (isinstance(error, TooManyTools) or request.go_on or request.session):
        return ContextFull(error.message, "Give a larger context: --ctx N, or --ctx max for what fits into memory.")
    return error


def _object(request: Request, outcome: Outcome) -> dict[str, Json]:
    """The object of `run --json`; every key is always there."""
    from g4local.cli.opening import sampling

    finished = outcome.finished
    return {
        "schema": SCHEMA,
        "model": request.model,
        "session": outcome.session,
        "text": outcome.text,
        "value": _value(request, outcome),
        "thought": outcome.thought,
        "tool_calls": outcome.tool_calls,
        "finish_reason": _finish_reason(outcome),
        "usage": dict(asdict(finished.usage)) if finished else None,
        "timing": timing_object(finished) if finished else None,
        "sampling": {**asdict(sampling(request)), "seed": finished.seed if finished else request.seed},
        "warnings": list(outcome.warnings),
        "error": error_object(outcome.error) if outcome.error else None,
    }


def _value(request: Request, outcome: Outcome) -> Json:
    """The value of an answer that --schema asked for, if it is one."""
    from g4local.chat.answers import value_of

    is_valid = request.schema is not None and outcome.exit_code == 0
    return value_of(outcome.text) if is_valid else None


def _finish_reason(outcome: Outcome) -> events.FinishReason:
    if isinstance(outcome.error, Cancelled):
        return "cancelled"
    return outcome.finished.reason if outcome.finished and not outcome.error else "error"
