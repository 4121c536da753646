"""The lines of a batch: each a question with what it wants to be asked with, or what is wrong with it."""

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from os import environ
from pathlib import Path
from typing import Any

from g4local.backend.engine import RANGES
from g4local.cli.request import MOST_TOKENS
from g4local.core.errors import UsageError, reason
from g4local.opening.request import Request, is_json
from g4local.settings import paths

_EXAMPLE = '{"prompt": "What can you do?"}'
_TEXTS = ("system", "regex")
_WHOLE = ("top_k", "seed", "max_tokens", "think_budget")
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed")
_KEYS = ("prompt", "id", "think", "schema", *_TEXTS, *_SAMPLING, "max_tokens", "think_budget")
_MEANING = (
    *("model", "quant", "ctx", "kv_type", "system", "think", "tools", "tool", "mcp", "yes", "shell_limit"),
    *("loop_guard", "schema", "regex", "max_tokens", "think_budget", *_SAMPLING),
)
"""Flags that an answer hangs on, beside files and folders; others only change how fast it comes."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is on a line."""

    line: int
    """Counted from 1, blank lines too."""
    id: str | int
    """The line's own, or its number."""
    prompt: str
    request: Request
    """The flags, and before them what the line says."""
    error: UsageError | None
    """What is wrong with the line."""
    asked: str
    """SHA-256 (hex) of all that its answer hangs on."""


def read(file: str, request: Request) -> list[Question]:
    """The questions of a file of JSON lines (`-`: stdin); UsageError when it can't be read or holds none."""
    try:
        data = sys.stdin.buffer.read() if file == "-" and sys.stdin else Path(file).read_bytes()
        lines = data.decode("utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} can't be read: {reason(error)}.", "Give a UTF-8 file of JSON lines.") from error
    files = _files(request)
    questions = [_question(number, line, request, files) for number, line in enumerate(lines, 1) if line.strip()]
    if not questions:
        raise UsageError(f"{file} holds no question.", f"Each line is a JSON object: {_EXAMPLE}")
    return questions


def _files(request: Request) -> Mapping[str, str]:
    """What the files say that are named by flags, and where the folder of the file tools is."""
    given: dict[str, Path | None] = {
        "schema": Path(request.schema) if request.schema and not is_json(request.schema) else None,
        "grammar": request.grammar,
        "mcp": (request.mcp_config or paths(environ).mcp) if request.mcp else None,
    }
    told = {name: _content(path) for name, path in given.items() if path is not None}
    return {**told, "folder": os.path.realpath(request.folder)} if request.tools or request.tool else told


def _content(file: Path) -> str:
    """Its SHA-256 (hex); empty where it can't be read, which is told when it is needed."""
    try:
        return sha256(file.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""


def _question(number: int, line: str, flags: Request, files: Mapping[str, str]) -> Question:
    name: str | int = number
    prompt, request, wrong = "", flags, None
    try:
        entry = _entry(line)
        name = _id(entry, number)
        prompt, request = _prompt(entry), replace(flags, **_settings(entry))
    except UsageError as error:
        wrong = UsageError(f"Line {number}: {error.message}", error.hint)
    meant = {key: asdict(request)[key] for key in _MEANING}
    if "schema" in files and request.schema == flags.schema:
        del meant["schema"]  # what the file says counts, and not what it is called
    told = [name, line if wrong else prompt, meant, files]
    asked = sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    return Question(number, name, prompt, request, wrong, asked)


def _entry(line: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is no JSON: {error}.", f"Each line is a JSON object: {_EXAMPLE}") from error
    if not isinstance(entry, dict):
        raise UsageError("it is no JSON object.", f"Each line is one: {_EXAMPLE}")
    return entry


def _id(entry: Mapping[str, Any], number: int) -> str | int:
    name = entry.get("id", number)
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise UsageError("its id is neither a text nor a whole number.", f"Leave it out, and it is {number}.")
    return name


def _prompt(entry: Mapping[str, Any]) -> str:
    if unknown := [key for key in entry if key not in _KEYS]:
        raise UsageError(f"it has the unknown key {unknown[0]!r}.", f"Keys: {', '.join(_KEYS)}.")
    prompt = entry.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise UsageError("it has no prompt.", f"It looks like {_EXAMPLE}.")
    return prompt


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Request that a line sets."""
    settings = {key: entry[key] for key in entry if key not in ("prompt", "id")}
    for key, value in settings.items():
        if key in _TEXTS and not isinstance(value, str):
            raise UsageError(f"its {key} is no text.", "Put it into quotes.")
        if key == "think" and not isinstance(value, bool):
            raise UsageError("its think is neither true nor false.", "Say true or false.")
        if key not in _TEXTS and key not in ("think", "schema"):
            settings[key] = _number(key, value)
    if "schema" in settings:
        if not isinstance(settings["schema"], dict):
            raise UsageError("its schema is no JSON object.", 'A schema looks like {"type": "object"}.')
        settings["schema"] = json.dumps(settings["schema"])
    return settings


def _number(key: str, value: Any) -> int | float:
    low, high = RANGES.get(key, (0, MOST_TOKENS))
    kinds = (int,) if key in _WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not (math.isfinite(value) and low <= value <= high):
        kind = "a whole number" if key in _WHOLE else "a number"
        raise UsageError(f"its {key} is {json.dumps(value)[:40]}.", f"It is {kind} from {low:g} to {high:g}.")
    return value
