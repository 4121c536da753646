"""Measures with a model in a child process of its own, which is ended when its work is done or nobody wants it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from g4local.backend.measures import Comparison, ComparisonRequest, Sums, SumsRequest
from g4local.backend.process import frames
from g4local.backend.process.child import Child
from g4local.backend.process.frames import Frame
from g4local.backend.process.launch import WORKER
from g4local.core.errors import Cancelled
from g4local.core.progress import Report


@dataclass(frozen=True, slots=True)
class Process:
    """The child that does it."""

    logs: Path | None = None
    """The folder for what llama.cpp says."""
    command: tuple[str, ...] = WORKER


def sums(request: SumsRequest, process: Process, report: Report, cancel: Event) -> Iterator[Sums]:
    """What a text puts into the weights of a model, a few chunks at a time.

    UsageError (the text is too short, or the chunks are longer than the model's context), ModelNotFound, BadGguf,
    EngineError, EngineDied or Cancelled.
    """
    frame = {"do": "imatrix", "request": frames.measured_request(request)}
    for answer in _answers(frame, f"read the text with {request.model.name}", process, report, cancel):
        if "sums" in answer:
            yield frames.sums_from(answer["sums"])


def comparison(request: ComparisonRequest, process: Process, report: Report, cancel: Event) -> Comparison:
    """How far two models are from each other on a text; the errors of `sums`."""
    doing = f"compared {request.model.name} with {request.base.name}"
    frame = {"do": "compare", "request": frames.measured_request(request)}
    [answer] = _answers(frame, doing, process, report, cancel)
    return Comparison(**answer["measured"])


def _answers(frame: Frame, doing: str, process: Process, report: Report, cancel: Event) -> Iterator[Frame]:
    """The answers of a new child without its progress, which is reported, and its error, which is raised."""
    if cancel.is_set():
        raise Cancelled("Stopped.")
    with closing(Child(process.command, process.logs)) as child:
        yield from child.results(frame, doing, report, cancel, patient=False)
