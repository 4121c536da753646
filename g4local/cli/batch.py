"""`g4local run --batch`: many questions, one load; the answers in the same order, one JSON object a line.

Into a file they come by way of FILE.part, a whole line at a time, each on the disk before the next question is asked.
So what was killed at any moment is gone on with by the same command, which asks nothing that has its answer already.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import environ
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import Constraint
from g4local.chat.conversation import Conversation
from g4local.cli import output, target
from g4local.cli.approval import asker
from g4local.cli.interrupts import interruptible
from g4local.cli.questions import Question
from g4local.cli.request import RunRequest
from g4local.cli.result import result, with_its_hint
from g4local.cli.turns import Outcome, follow
from g4local.core.errors import Busy, Cancelled, G4Error, UsageError
from g4local.core.locks import try_lock
from g4local.core.messages import Json
from g4local.core.progress import Progress, silent
from g4local.opening import conversation, offering
from g4local.opening.approval import Approval, Scope
from g4local.opening.request import Request
from g4local.settings import paths
from g4local.tools.tool import Tool

SCHEMA = "g4local.run.batch/1"
"""The name and version of the object on each line."""

_FAILED = 1
"""The exit code when any answer is none, or none of the form that was asked for."""

Write = Callable[[dict[str, Json]], None]
_Answers = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Answered:
    """Questions that have their answers already."""

    codes: Sequence[int]
    """The exit codes of the first ones."""
    write: Write
    """Takes the next answer."""
    kept: Mapping[int, dict[str, Json]] = field(default_factory=dict)
    """Those of later questions, by their places: only what failed is asked again."""


def answer_all(request: RunRequest, questions: Sequence[Question]) -> int:
    """Answer what has no answer yet, and tell the exit code: 0 when all are as they were asked for.

    What is wrong with all of them is raised (no such model, flags that contradict); what is wrong with one is its
    answer. Cancelled, when it was stopped before the last one.
    """
    cancel = Event()
    with _place(request, questions) as known, output.Bar() as bar, interruptible(cancel):
        codes = [*known.codes]
        if codes:
            _tell_of_before(codes, questions)
        if len(codes) < len(questions):
            conversation.constraint(request)
            with (
                offering.offered(request, bar.report, cancel, output.warning) as tools,
                conversation.engine(replace(request, snapshots=False), bar.report, cancel, output.warning) as model,
            ):
                model.start(bar.report, cancel)
                asker = _Asker(request, model, tools, cancel)
                for done, question in enumerate(questions[len(codes) :], len(codes)):
                    bar.report(Progress("answer", done, len(questions)))
                    answer, code = (known.kept[done], 0) if done in known.kept else asker.answer(question)
                    if cancel.is_set():
                        raise _stopped(done, len(questions), request.target)
                    known.write(answer)
                    codes.append(code)
    failed = _failures(codes)
    output.note(f"{len(questions)} answers{f', {failed} of them failed' if failed else ''}")
    return _FAILED if failed else 0


def _tell_of_before(codes: Sequence[int], questions: Sequence[Question]) -> None:
    """Say how much was answered by an earlier run, and what asks it again."""
    if len(codes) < len(questions):
        line = questions[len(codes)].line
        output.note(f"{len(codes)} of {len(questions)} are answered already; it goes on at line {line}.")
    else:
        ways = "--retry-failed asks again what failed, --force all" if _failures(codes) else "--force asks again"
        output.note(f"All were answered before; {ways}.")


def _stopped(done: int, total: int, file: Path | None) -> Cancelled:
    hint = "The same command goes on there." if file else "With --output FILE, the same command would go on there."
    return Cancelled(f"Stopped after {done} of {total} answers.", hint)


class _Asker:
    """Asks one question after the other, each in a conversation of its own."""

    def __init__(self, request: Request, model: WorkerEngine, tools: Sequence[Tool], cancel: Event) -> None:
        self._tools = tools
        self._scope = Scope(paths(environ).permissions, request.folder, lambda: None)
        self._everything = request.yes
        self._model = model
        self._cancel = cancel
        self._constraints: dict[tuple[object, ...], Constraint | None] = {}

    def answer(self, question: Question) -> tuple[dict[str, Json], int]:
        """The object of an answer, and its exit code."""
        outcome = Outcome(error=question.error)
        if not question.error:
            try:
                self._ask(question, outcome)
            except G4Error as error:
                outcome.error = error
        if outcome.error:
            outcome.error = with_its_hint(outcome.error, question.request)
        code = outcome.exit_code
        which: dict[str, Json] = {"schema": SCHEMA, "id": question.id, "line": question.line, "asked": question.asked}
        return {**which, "exit_code": code, **result(question.request, outcome)}, code

    def _ask(self, question: Question, outcome: Outcome) -> None:
        request = question.request
        warn = outcome.warnings.append
        ask = asker(self._cancel, announced=False)
        approval = Approval(self._scope, everything=self._everything, ask=ask, warn=warn)
        options = conversation.conversation_options(request, self._constraint(request))
        talk = Conversation(self._model, tools=self._tools, approve=approval.ask, options=options)
        follow(talk.say(question.prompt, report=silent, cancel=self._cancel), lambda event: None, outcome)

    def _constraint(self, request: Request) -> Constraint | None:
        """What an answer must be; one that was checked for another line is not checked again."""
        key = (request.schema, request.regex, request.grammar)
        if key not in self._constraints:
            self._constraints[key] = conversation.constraint(request)
        return self._constraints[key]


@contextmanager
def _place(request: RunRequest, questions: Sequence[Question]) -> Iterator[Answered]:
    """Where the answers go, and what is there of them already; the file appears at the end.

    UsageError when the file, or its part, has something else; Busy when another process writes it.
    """
    file, force = request.target, request.force
    if file is None:
        yield Answered((), output.json_line)
        return
    before = None if force or not file.is_file() else _answers(file.read_bytes(), questions)
    if before is None or len(before) < len(questions):
        before = None
        target.expect_free(file, force=force)
    codes = _codes(before or ())
    if before and not (request.retry_failed and any(codes)):
        yield Answered(codes, output.json_line)
        return
    part = file.with_name(f"{file.name}.part")
    with target.writing(part):
        content = part.open("a+b", buffering=0)
    with content:
        done = _codes(_taken_up(content, part, questions, force=force))
        kept = {index: answer for index, answer in enumerate(before or ()) if codes[index] == 0}
        yield Answered(done, _writer(content, part), kept)
        if not before:
            target.expect_free(file, force=force)
        with target.writing(file):
            part.replace(file)


def _taken_up(content: BinaryIO, part: Path, questions: Sequence[Question], *, force: bool) -> _Answers:
    """The answers in a part, which is ours alone from now on; a line that was cut off is dropped."""
    if not try_lock(content):
        raise Busy(f"Another process writes {part}.", "Wait for it, or give another --output.")
    with target.writing(part):
        content.seek(0)
        whole = content.read()
        whole = whole[: whole.rfind(b"\n") + 1]
        answers = _answers(whole, questions)
        if answers is None and not force:
            hint = "Delete it, give another --output, or --force to begin anew."
            raise UsageError(f"{part} holds answers to other questions.", hint)
        content.truncate(0 if answers is None else len(whole))
    return answers or []


def _answers(whole: bytes, questions: Sequence[Question]) -> _Answers | None:
    """The answers in lines that end in newlines; None where they are not those to the first questions."""
    lines = whole.split(b"\n")[:-1]
    if len(lines) > len(questions):
        return None
    try:
        answers = [json.loads(line) for line in lines]
        _codes(answers)
        if all(answer["asked"] == question.asked for answer, question in zip(answers, questions, strict=False)):
            return answers
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def _codes(answers: _Answers) -> list[int]:
    return [int(answer["exit_code"]) for answer in answers]


def _failures(codes: Sequence[int]) -> int:
    return sum(code != 0 for code in codes)


def _writer(content: BinaryIO, part: Path) -> Write:
    def write(answer: dict[str, Json]) -> None:
        line = json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n"
        rest = memoryview(line.encode("utf-8", "backslashreplace"))
        with target.writing(part):
            while rest:
                rest = rest[content.write(rest) :]
            os.fsync(content.fileno())

    return write
