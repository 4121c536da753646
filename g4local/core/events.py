"""What happens in a turn, in the order in which it happens: a closed union that every front end matches.

A turn is TurnStarted, then any number of the others, then exactly one TurnFinished, unless an error is raised.
"""

from dataclasses import dataclass
from typing import Literal

from g4local.core.messages import Json, ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "cancelled", "error"]
"""OpenAI's words: `tool_calls` means that the turn ended with calls that nobody answered."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a turn, summed over its rounds."""

    prompt: int = 0
    """Tokens of the prompts that were read to their end, those included that were reused."""
    reused: int = 0
    """Tokens of the prompts that were still in the cache."""
    completion: int = 0
    """Tokens that the model said, thoughts and calls included."""
    thought: int = 0
    """Of these, tokens of thoughts."""
    drafted: int = 0
    """Tokens that were guessed, so that several could be checked at once."""
    accepted: int = 0
    """Of these, tokens that the model then said."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of a turn, summed over its rounds."""

    load: float = 0.0
    """Until the model was ready; 0 when it was loaded already."""
    ttft: float | None = None
    """From the question to the first token of the first round; None while there is none."""
    prefill: float = 0.0
    decode: float = 0.0


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The user's message is accepted."""


@dataclass(frozen=True, slots=True)
class ThoughtDelta:
    """More of the model's thought."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class RawDelta:
    """More of the reply, markup included; only where the raw view was asked for."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolRequested:
    """The model wants a tool to run; whether it may is asked next."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call: a value, or the reason why there is none."""

    value: Json
    ok: bool


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A requested tool has run, failed or been refused."""

    call: ToolCall
    result: ToolResult


@dataclass(frozen=True, slots=True)
class MalformedCall:
    """The model opened a tool call that can't be read; the raw text is all there is."""

    raw: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user did not ask for happened: a truncation, a repeated call, an old template."""

    message: str


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The turn is over; its messages are kept."""

    reason: FinishReason
    usage: Usage
    timing: Timing
    seed: int | None
    """The seed that the first round was sampled with; None when nothing was sampled."""
    context_full: bool = False
    """True: the answer ends here because the context is full."""
    unsatisfied: bool = False
    """True: the answer is not what the constraint asks for."""
    filled: int = 0
    """Tokens that were in the context at the end."""


Event = (
    TurnStarted
    | ThoughtDelta
    | TextDelta
    | RawDelta
    | ToolRequested
    | ToolFinished
    | MalformedCall
    | Warned
    | TurnFinished
)
