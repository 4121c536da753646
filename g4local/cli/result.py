"""What became of a question, as `run --json` tells it."""

from dataclasses import asdict

from g4local.chat.answers import value_of
from g4local.cli.turns import Outcome, error_object, timing_object
from g4local.core.errors import Cancelled, ContextFull, G4Error, TooManyTools
from g4local.core.events import FinishReason
from g4local.core.messages import Json
from g4local.opening.conversation import sampling
from g4local.opening.request import Request


def result(request: Request, outcome: Outcome) -> dict[str, Json]:
    """The object without its schema; every key is always there."""
    finished = outcome.finished
    return {
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


def with_its_hint(error: G4Error, request: Request) -> G4Error:
    """The error with the way out of it; a single question that does not fit can't be made shorter by another chat."""
    if isinstance(error, ContextFull) and not (isinstance(error, TooManyTools) or request.go_on or request.session):
        return ContextFull(error.message, "Give a larger context: --ctx N, or --ctx max for what fits into memory.")
    return error


def _value(request: Request, outcome: Outcome) -> Json:
    """The value of an answer that --schema asked for, if it is one."""
    is_valid = request.schema is not None and outcome.exit_code == 0
    return value_of(outcome.text) if is_valid else None


def _finish_reason(outcome: Outcome) -> FinishReason:
    if isinstance(outcome.error, Cancelled):
        return "cancelled"
    return outcome.finished.reason if outcome.finished and not outcome.error else "error"
