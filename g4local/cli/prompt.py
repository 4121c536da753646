"""`g4local prompt`: the exact prompt that a model sees."""

import json
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import Cancelled, UsageError, reason
from g4local.core.messages import Json, from_dict
from g4local.core.prompt import Segment, joined

if TYPE_CHECKING:
    from g4local.chat.template import Variant

_FLAGS = {"enable_thinking": False, "preserve_thinking": False, "add_generation_prompt": True}
_VARIANTS = ("large", "edge")


def prompt(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A JSON object on each line; - is stdin.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL", help="Whose variant and vocabulary to take.")
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Print the token ids too; needs --model.")] = False,
) -> None:
    """Print the exact prompt that a model sees.

    Each line of FILE is an object with messages and, if you like, tools, enable_thinking, preserve_thinking,
    add_generation_prompt and variant. The variant is edge for E2B and E4B and large for the others; without one it is
    the model's, or large. Each line printed is {"prompt": ...}, with "ids" where asked for.
    """
    if ids and model is None:
        raise UsageError("Token ids need a vocabulary.", "Name a model with --model.")
    lines = [(number, line) for number, line in enumerate(_lines(file), 1) if line.strip()]
    if not lines:
        raise UsageError(f"{file} holds no prompt.", '{"messages": [{"role": "user", "content": "Hi"}]}')
    if model is None:
        for number, line in lines:
            output.json_line({"prompt": joined(_segments(line, number, "large"))})
    else:
        _print_for_model(lines, model, ids)


def _print_for_model(lines: list[tuple[int, str]], model: str, ids: bool) -> None:
    from g4local.chat.template import variant_of
    from g4local.opening.conversation import tokenizer

    cancel = Event()
    with (
        output.Bar() as bar,
        interruptible(cancel),
        tokenizer(model, bar.report, cancel) as opened,
    ):
        info = opened.start(bar.report, cancel)
        bar.stop()
        for number, line in lines:
            if cancel.is_set():
                raise Cancelled("Printing the prompts was cancelled.")
            segments = _segments(line, number, variant_of(info))
            shown: dict[str, Json] = {"prompt": joined(segments)}
            if ids:
                shown["ids"] = list[Json](opened.tokenize(segments, cancel))
            output.json_line(shown)


def _lines(file: str) -> list[str]:
    try:
        text = _stdin() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} can't be read: {reason(error)}.", "Give a UTF-8 file with a JSON object a line."
        ) from error
    return text.split("\n")


def _stdin() -> str:
    return sys.stdin.read() if sys.stdin else ""


def _segments(line: str, number: int, default: "Variant") -> list[Segment]:
    from g4local.chat.template import render

    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"Line {number} is no JSON: {error}.", "Each line is one JSON object.") from error
    messages = entry.get("messages") if isinstance(entry, dict) else None
    if not isinstance(messages, list):
        raise UsageError(f"Line {number} has no list of messages.", '{"messages": [{"role": "user", "content": "Hi"}]}')
    variant = entry.get("variant") or default
    if variant not in _VARIANTS:
        raise UsageError(f"Line {number} has the unknown variant {variant!r}.", f"Variants: {', '.join(_VARIANTS)}.")
    flags = {name: entry.get(name, usual) for name, usual in _FLAGS.items()}
    tools = entry.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise UsageError(f"Line {number} has tools that are no list of objects.", "Tools are OpenAI's declarations.")
    if wrong := next((name for name, value in flags.items() if not isinstance(value, bool)), None):
        raise UsageError(f"Line {number} has a {wrong} that is neither true nor false.", "Say true or false.")
    try:
        return render([from_dict(each) for each in messages], tools=tools, variant=variant, **flags)
    except UsageError as error:
        raise UsageError(f"Line {number}: {error.message}", error.hint) from error
