"""What a front end in the terminal makes of a turn's events: a person's view, one JSON object, or a stream of them."""

import json
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

from g4local.cli import output
from g4local.cli.wrapping import Wrapper
from g4local.core.errors import Cancelled, ContextFull, G4Error
from g4local.core.events import (
    Event,
    MalformedCall,
    RawDelta,
    TextDelta,
    ThoughtDelta,
    ToolFinished,
    ToolRequested,
    TurnFinished,
    TurnStarted,
    Warned,
)
from g4local.core.messages import Json, ToolCall

EXIT_LENGTH = 6
"""The answer was cut off at --max-tokens, or is not what --schema, --regex or --grammar ask for."""

_LEAST_SECONDS = 0.005
"""A load that took less is told as none."""
_MOST_LINES, _WIDEST = 8, 300
"""Lines of a tool's result, and characters of a line, that are shown."""


@dataclass(slots=True)
class Outcome:
    """All that a turn brought, gathered while it goes on."""

    text: str = ""
    thought: str = ""
    tool_calls: list[Json] = field(default_factory=list)
    malformed: bool = False
    """Whether the model wrote a tool call that can't be read."""
    warnings: list[str] = field(default_factory=list)
    finished: TurnFinished | None = None
    error: G4Error | None = None
    session: str | None = None
    """The id of the session that the turn is kept in."""

    @property
    def is_answer(self) -> bool:
        """Whether the model has said what there was room for, or all that it wanted to."""
        return self.error is None and self.finished is not None and self.finished.reason in ("stop", "length")

    @property
    def exit_code(self) -> int:
        """The exit code that the turn's end means (0 when the model said all that it wanted to)."""
        if self.error:
            return self.error.exit_code
        if self.finished is None or self.finished.reason == "tool_calls":
            return 1
        if self.finished.reason == "cancelled":
            return Cancelled.exit_code
        if self.finished.unsatisfied:
            return EXIT_LENGTH
        if self.finished.context_full:
            return ContextFull.exit_code
        if self.finished.reason == "length":
            return EXIT_LENGTH
        return 1 if self.malformed and not self.text.strip() else 0


def follow(
    events: Generator[Event, None, None], show: Callable[[Event], None], outcome: Outcome | None = None
) -> Outcome:
    """Run a turn to its end, showing each event as it comes; an error ends it and is kept in the outcome."""
    outcome = outcome or Outcome()
    try:
        with closing(events):
            for event in events:
                _add(outcome, event)
                show(event)
    except G4Error as error:
        outcome.error = error
    return outcome


@dataclass(slots=True)
class Screen:
    """A person's view of a turn: the answer on stdout, thoughts and tools dim on stderr.

    Terminals get both broken between words, but for an answer in a form of its own, which a break could spoil.
    """

    bar: output.Bar
    is_prose: bool = True
    _answer: Wrapper = field(default_factory=Wrapper)
    _thought: Wrapper = field(default_factory=Wrapper)
    _in_thought: bool = False

    def show(self, event: Event) -> None:  # noqa: C901 (one flat match over a closed union)
        """Show one event."""
        self.bar.stop()
        match event:
            case ThoughtDelta(text):
                self._begin_thought()
                output.aside(self._thought.feed(output.printable(text), output.columns(sys.stderr)))
            case TextDelta(text) | RawDelta(text):
                self._end_thought()
                output.answer(self._answer.feed(text, self._width))
            case ToolRequested(call):
                self._fresh_line()
                output.aside(f"→ {call_text(call)}\n")
            case ToolFinished(_, result):
                output.aside(f"{'←' if result.ok else '✗'} {_shortened(result.value)}\n")
            case MalformedCall(raw):
                self._fresh_line()
                output.warning(_unreadable(raw))
            case Warned(message):
                self._fresh_line()
                output.warning(message)
            case TurnStarted():
                pass
            case TurnFinished():
                self._fresh_line()

    def end(self) -> None:
        """Leave the cursor on a fresh line, also after a turn that ended in an error."""
        self.bar.stop()
        self._fresh_line()

    @property
    def _width(self) -> int | None:
        return output.columns(sys.stdout) if self.is_prose else None

    def _begin_thought(self) -> None:
        if self._in_thought:
            return
        self._in_thought = True
        output.answer(self._answer.rest(self._width))
        if self._answer.column:
            output.aside("\n")
            if output.columns(sys.stdout) and output.columns(sys.stderr):  # it is the same screen
                self._answer.column = 0

    def _end_thought(self) -> None:
        if self._in_thought:
            output.aside(self._thought.rest(output.columns(sys.stderr)) + "\n\n")
            self._thought = Wrapper()
            self._in_thought = False

    def _fresh_line(self) -> None:
        self._end_thought()
        output.answer(self._answer.rest(self._width))
        if self._answer.column:
            output.answer(self._answer.feed("\n", self._width))


def call_text(call: ToolCall) -> str:
    """A call as a programmer writes it: calculate(expression="2 + 2")."""
    return f"{call.name}({', '.join(f'{name}={_literal(value)}' for name, value in call.arguments.items())})"


def event_object(event: Event) -> dict[str, Json]:  # noqa: C901 (one flat match over a closed union)
    """One event as the JSON object that --stream-json prints."""
    match event:
        case TurnStarted():
            return {"type": "turn_started"}
        case ThoughtDelta(text):
            return {"type": "thought", "text": text}
        case TextDelta(text):
            return {"type": "text", "text": text}
        case RawDelta(text):
            return {"type": "raw", "text": text}
        case ToolRequested(call):
            return {"type": "tool_requested", **_call_object(call)}
        case ToolFinished(call, result):
            return {"type": "tool_finished", **_call_object(call), "result": result.value, "ok": result.ok}
        case MalformedCall(raw):
            return {"type": "malformed_call", "raw": raw}
        case Warned(message):
            return {"type": "warning", "message": message}
        case TurnFinished(reason):
            return {"type": "turn_finished", "finish_reason": reason}


def timing_object(finished: TurnFinished) -> dict[str, Json]:
    """The seconds of a turn and its speeds in tokens a second, as scripts get them; null is not known."""
    timing = finished.timing
    prefill, decode = _speeds(finished)
    return {
        "load_seconds": round(timing.load, 4),
        "ttft_seconds": None if timing.ttft is None else round(timing.ttft, 4),
        "prefill_seconds": round(timing.prefill, 4),
        "decode_seconds": round(timing.decode, 4),
        "prefill_tokens_per_second": None if prefill is None else round(prefill, 2),
        "decode_tokens_per_second": None if decode is None else round(decode, 2),
    }


def print_stats(finished: TurnFinished) -> None:
    """Tokens and speeds of a turn, for a person, on stderr: those that are known, and are not nothing."""
    usage, timing = finished.usage, finished.timing
    prefill, decode = (f", {speed:.1f} tokens/s" if speed else "" for speed in _speeds(finished))
    if timing.load >= _LEAST_SECONDS:
        output.note(f"load         {timing.load:.2f} s")
    if timing.ttft is not None:
        output.note(f"first token  {timing.ttft:.2f} s")
    if usage.prompt:
        output.note(f"prompt       {usage.prompt} tokens, {usage.reused} of them reused{prefill}")
    if usage.completion:
        output.note(f"answer       {usage.completion} tokens, {usage.thought} of them thought{decode}")
    if usage.drafted:
        share = 100 * usage.accepted / usage.drafted
        output.note(f"drafts       {usage.drafted} tokens, {usage.accepted} of them right ({share:.0f} %)")
    if finished.seed is not None:
        output.note(f"seed         {finished.seed}")


def error_object(error: G4Error) -> dict[str, Json]:
    """An error as scripts get it."""
    return {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}


def _add(outcome: Outcome, event: Event) -> None:
    match event:
        case ThoughtDelta(text):
            outcome.thought += text
        case TextDelta(text) | RawDelta(text):
            outcome.text += text
        case ToolFinished(call, result):
            outcome.tool_calls.append({**_call_object(call), "result": result.value, "ok": result.ok})
        case MalformedCall(raw):
            outcome.malformed = True
            outcome.warnings.append(_unreadable(raw))
        case Warned(message):
            outcome.warnings.append(message)
        case TurnFinished():
            outcome.finished = event
        case TurnStarted() | ToolRequested():
            pass


def _unreadable(raw: str) -> str:
    return f"The model wrote a tool call that can't be read: {raw}"


def _speeds(finished: TurnFinished) -> tuple[float | None, float | None]:
    """Tokens a second, processed and said; None where there were none."""
    usage, timing = finished.usage, finished.timing
    processed = usage.prompt - usage.reused
    return (
        processed / timing.prefill if processed and timing.prefill else None,
        usage.completion / timing.decode if usage.completion and timing.decode else None,
    )


def _call_object(call: ToolCall) -> dict[str, Json]:
    return {"name": call.name, "arguments": cast(Json, call.arguments)}


def _shortened(value: Json) -> str:
    """A result as a person wants to see it; the model gets all of it."""
    lines = (value if isinstance(value, str) else _literal(value)).rstrip("\n").split("\n")
    shown = [line if len(line) <= _WIDEST else f"{line[:_WIDEST]}…" for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown.append(f"… ({len(lines) - _MOST_LINES} more lines)")
    return "\n".join(shown)


def _literal(value: Json) -> str:
    """The value as JSON, with every character escaped that is not seen, or that turns what follows it around."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
