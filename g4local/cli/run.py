"""`g4local run`: one question, one answer, for people and for scripts."""

import sys
from dataclasses import replace
from os import environ
from threading import Event
from typing import Annotated

import typer

from g4local.cli import options, output
from g4local.cli.interrupts import interruptible
from g4local.cli.options import takes
from g4local.cli.request import RUN_FLAGS, RunRequest
from g4local.cli.target import stdout_to
from g4local.cli.turns import Outcome, Screen, event_object, follow, print_stats
from g4local.core import events
from g4local.core.errors import G4Error, UsageError
from g4local.core.messages import Json
from g4local.opening.request import Request

SCHEMA = "g4local.run/1"
"""The name and version of the object that --json prints."""


@takes(RunRequest, RUN_FLAGS)
def run(
    request: RunRequest,
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
    if request.batch is not None:
        if words or raw or stream_json or request.stats or request.go_on or request.session:
            raise UsageError(
                "A batch has its questions in a file, and keeps no session.",
                "Leave out PROMPT, --raw, --stream-json, --stats, --continue and --session.",
            )
        raise typer.Exit(_batch(request, request.batch))
    if request.retry_failed:
        raise UsageError("--retry-failed asks questions of a batch again.", "Name it with --batch, and --output.")
    request, words = _meant(request, words, raw=raw)
    with stdout_to(request.target, force=request.force) as keep:
        if as_json or stream_json:
            outcome = _for_scripts(request, words, raw=raw, stream=stream_json)
            keep()
        elif raw or words or request.target or not _at_terminal():
            outcome = _for_people(request, _question(request, words, raw=raw), raw=raw)
            if outcome.is_answer:
                keep()
        else:
            from g4local.cli.chat import converse

            converse(request)
            return
    if request.stats and outcome.finished:
        print_stats(outcome.finished)
    raise typer.Exit(outcome.exit_code)


def _meant(request: RunRequest, words: list[str], *, raw: bool) -> tuple[RunRequest, list[str]]:
    """The request and the question; a session knows its model, so that what stands there alone may be the question."""
    if words or raw or not (request.go_on or request.session) or not _is_question(request.model):
        return request, words
    return replace(request, model=""), [request.model]


def _is_question(words: str) -> bool:
    """Whether this names no model, neither here nor on the hub."""
    from g4local import catalog, library
    from g4local.core.errors import ModelNotFound
    from g4local.settings import paths

    if catalog.is_size(words) or any(sign in words and " " not in words for sign in "/:"):
        return False
    try:
        library.find(words, paths(environ))
    except ModelNotFound as error:
        return not error.hint.startswith("Did you mean")
    return False


def _batch(request: RunRequest, file: str) -> int:
    from g4local.cli.batch import answer_all
    from g4local.cli.questions import read

    if request.retry_failed and (request.target is None or request.force):
        raise UsageError(
            "--retry-failed needs a file of answers that it keeps.", "Name it with --output, without --force."
        )
    return answer_all(request, read(file, request))


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
    from g4local.cli.approval import asker
    from g4local.cli.result import with_its_hint
    from g4local.opening.conversation import conversation

    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        screen = Screen(bar, is_prose=not (raw or request.constrained))
        opening = conversation(request, bar.report, cancel, ask=asker(cancel), warn=output.warning, raw=raw)
        with opening as (talk, _):
            outcome = follow(talk.say(question, report=bar.report, cancel=cancel), screen.show)
        screen.end()
    if outcome.error:
        outcome.error = with_its_hint(outcome.error, request)
        output.error(outcome.error.message, outcome.error.hint)
    return outcome


def _for_scripts(request: Request, words: list[str], *, raw: bool, stream: bool) -> Outcome:
    """The same for a program: an error is part of the object, so that stdout is JSON whatever happens."""
    from g4local.cli.approval import asker
    from g4local.cli.result import result, with_its_hint
    from g4local.opening.conversation import conversation

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
        ask = asker(cancel, announced=False)
        with (
            output.Bar() as bar,
            interruptible(cancel),
            conversation(request, bar.report, cancel, ask=ask, warn=warn, raw=raw) as (talk, asked),
        ):
            request = replace(request, model=asked.model)
            follow(talk.say(question, report=bar.report, cancel=cancel), show, outcome)
            outcome.session = talk.session
    except G4Error as error:
        outcome.error = error
    if outcome.error:
        outcome.error = with_its_hint(outcome.error, request)
    last: dict[str, Json] = {"schema": SCHEMA, **result(request, outcome)}
    output.json_line({"type": "result", **last} if stream else last)
    return outcome
