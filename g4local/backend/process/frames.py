"""What the parent and the child of an engine say to each other: one JSON object a line.

    parent   {"job": 1, "do": "start", "options": {...}}
             {"job": 2, "do": "tokenize", "prompt": [[text, special, restorable], ...]}
             {"job": 3, "do": "generate", "prompt": [...], "sampling": {...}, "max_tokens": 0,
              "guidance": {...}}
             {"job": 3, "do": "cancel"}                 {"job": 4, "do": "read", "prompt": [...]}, which has no answer
             {"job": 4, "do": "imatrix", "request": {...}}         {"job": 5, "do": "compare", "request": {...}}
    child    {"job": 3, "progress": [stage, done, total, unit]}      {"job": 3, "pieces": [[token, text], ...]}
             {"job": 4, "sums": {...}}                               {"job": 3, "alive": true}
    last     {"job": 1, "info": {...}}   {"job": 2, "tokens": [...]}   {"job": 3, "completion": {...}}
             {"job": 3, "error": [class, message, hint]}           {"job": 5, "measured": {...}}

Text is escaped to ASCII, so that any string survives, lone surrogates included.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from g4local.backend.engine import Completion, Constraint, EngineInfo, Guidance, LoadOptions, Piece, Sampling
from g4local.backend.measures import ComparisonRequest, Reading, Sums, SumsRequest
from g4local.core import errors
from g4local.core.progress import Progress
from g4local.core.prompt import Segment

Frame = dict[str, Any]

LAST = frozenset({"info", "tokens", "completion", "measured", "error"})
"""The keys of frames after which a job is over."""

ALIVE = "alive"
"""The key of a frame that says nothing else: the child is at work."""

_ERRORS: dict[str, type[errors.G4Error]] = {
    error.__name__: error
    for error in (
        errors.BadGguf,
        errors.Cancelled,
        errors.ContextFull,
        errors.DoesNotFit,
        errors.EngineError,
        errors.ModelNotFound,
        errors.UsageError,
    )
}


def encode(frame: Frame) -> bytes:
    """A frame as a line."""
    return json.dumps(frame, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Frame:
    """The frame that a line is."""
    frame: Frame = json.loads(line)
    return frame


def options(value: LoadOptions) -> Frame:
    """Load options as JSON."""
    paths = {name: path and str(path) for name, path in (("drafter", value.drafter), ("snapshots", value.snapshots))}
    return {**asdict(value), "path": str(value.path), **paths}


def options_from(entry: Frame) -> LoadOptions:
    """The load options that JSON means."""
    paths = {name: entry[name] and Path(entry[name]) for name in ("path", "drafter", "snapshots")}
    return LoadOptions(**{**entry, **paths})


def sampling(value: Sampling) -> Frame:
    """Sampling as JSON."""
    return asdict(value)


def sampling_from(entry: Frame) -> Sampling:
    """The sampling that JSON means."""
    return Sampling(**entry)


def guidance(value: Guidance) -> Frame:
    """Guidance as JSON."""
    return asdict(value)


def guidance_from(entry: Frame) -> Guidance:
    """The guidance that JSON means."""
    return Guidance(**{**entry, "answer": entry["answer"] and Constraint(**entry["answer"])})


def prompt(segments: Iterable[Segment]) -> list[list[str | bool]]:
    """A prompt as JSON."""
    return [[segment.text, segment.special, segment.restorable] for segment in segments]


def prompt_from(entries: Iterable[Sequence[Any]]) -> list[Segment]:
    """The prompt that JSON means."""
    return [Segment(*entry) for entry in entries]


def info(value: EngineInfo) -> Frame:
    """What is known of a model as JSON."""
    return {**asdict(value), "path": str(value.path), "end_tokens": sorted(value.end_tokens)}


def info_from(entry: Frame) -> EngineInfo:
    """What is known of a model, from JSON."""
    sets = {"end_tokens": frozenset(entry["end_tokens"]), "warnings": tuple(entry["warnings"])}
    return EngineInfo(**{**entry, "path": Path(entry["path"]), **sets})


def progress(value: Progress) -> Frame:
    """A frame that tells progress."""
    return {"progress": [value.stage, value.done, value.total, value.unit]}


def progress_from(frame: Frame) -> Progress:
    """The progress that a frame tells."""
    return Progress(*frame["progress"])


def said(value: Sequence[Piece] | Completion) -> Frame:
    """A frame that carries some of what a generation yields."""
    if isinstance(value, Completion):
        return {"completion": asdict(value)}
    return {"pieces": [[piece.token, piece.text] for piece in value]}


def said_from(frame: Frame) -> Sequence[Piece | Completion]:
    """What a generation yields, from its frame."""
    if "completion" in frame:
        entry = frame["completion"]
        return [Completion(**{**entry, "warnings": tuple(entry["warnings"])})]
    return [Piece(*entry) for entry in frame["pieces"]]


def alive() -> Frame:
    """A frame that tells that the child is at work."""
    return {ALIVE: True}


def measured_request(value: SumsRequest | ComparisonRequest) -> Frame:
    """What is to be measured as JSON."""
    return {name: str(item) if isinstance(item, Path) else item for name, item in asdict(value).items()}


def sums_request_from(entry: Frame) -> SumsRequest:
    """The request for sums that JSON means."""
    paths = {name: Path(entry[name]) for name in ("model", "folder")}
    return SumsRequest(**{**entry, **paths, "reading": Reading(**entry["reading"])})


def comparison_request_from(entry: Frame) -> ComparisonRequest:
    """The request for a comparison that JSON means."""
    paths = {name: Path(entry[name]) for name in ("model", "base")}
    return ComparisonRequest(**{**entry, **paths, "reading": Reading(**entry["reading"])})


def sums(value: Sums) -> Frame:
    """Sums as JSON; their numbers lie in a file."""
    return {**asdict(value), "file": str(value.file)}


def sums_from(entry: Frame) -> Sums:
    """The sums that JSON means."""
    return Sums(**{**entry, "file": Path(entry["file"])})


def error(value: errors.G4Error) -> Frame:
    """A frame that carries an error."""
    return {"error": [type(value).__name__, value.message, value.hint]}


def error_from(frame: Frame) -> errors.G4Error:
    """The error that a frame carries."""
    name, message, hint = frame["error"]
    return _ERRORS[name](message, hint)
