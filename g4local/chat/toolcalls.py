"""A tool call as Gemma 4 spells it: `call:NAME{key:value,...}`, with strings between two quote tokens."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

from g4local.core.errors import UsageError
from g4local.core.messages import Json, ToolCall
from g4local.core.prompt import Segment

QUOTE = Segment('<|"|>', special=True)
"""The token before and after a string; what stands between two of them is raw, without escapes."""

MAX_DEPTH = 64
"""Lists and objects inside each other, beyond which a value is refused."""


def write(call: ToolCall) -> list[Segment]:
    """What stands between `<|tool_call>` and `<tool_call|>` when Google's template writes this call."""
    return [Segment(f"call:{call.name}{{"), *write_pairs(call.arguments), Segment("}")]


def parse(segments: Sequence[Segment]) -> ToolCall | None:
    """The call, without an id, that stands between `<|tool_call>` and `<tool_call|>`; None when it can't be read.

    Whitespace between the parts is ignored. Only the quote token delimits a string: the same characters spelled out
    are part of the text around them.
    """
    if any(segment.special and segment != QUOTE for segment in segments):
        return None
    cursor = _Cursor(segments)
    try:
        name = cursor.take(_NAME)
        arguments = _read_object(cursor, depth=1)
        cursor.take(_END)
    except _Unreadable:
        return None
    return ToolCall(name, arguments)


def write_pairs(pairs: Mapping[str, Json]) -> list[Segment]:
    """`key:value,...` with bare keys, sorted as Jinja's dictsort does, without the braces around."""
    return _pairs(pairs, quoted_keys=False, depth=1)


def write_value(value: Json, *, quoted_keys: bool = False) -> list[Segment]:
    """A value as Google's template writes it; UsageError when it is nested deeper than MAX_DEPTH."""
    return _value(value, quoted_keys=quoted_keys, depth=0)


def quoted(text: str) -> list[Segment]:
    """A string between two quote tokens."""
    return [QUOTE, Segment(text), QUOTE]


def separated(items: Iterable[Sequence[Segment]]) -> list[Segment]:
    """The items with commas between them."""
    segments: list[Segment] = []
    for item in items:
        if segments:
            segments.append(Segment(","))
        segments.extend(item)
    return segments


def dictsort(pairs: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """The pairs in the order of Jinja's filter of that name: by key, upper and lower case alike."""
    return sorted(pairs.items(), key=lambda pair: pair[0].lower())


def _value(value: Json, *, quoted_keys: bool, depth: int) -> list[Segment]:
    if depth > MAX_DEPTH:
        raise UsageError(f"A tool's value is nested more than {MAX_DEPTH} deep.", "Flatten it.")
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return [Segment("{"), *_pairs(value, quoted_keys=quoted_keys, depth=depth + 1), Segment("}")]
    if isinstance(value, Sequence):
        items = [_value(item, quoted_keys=quoted_keys, depth=depth + 1) for item in value]
        return [Segment("["), *separated(items), Segment("]")]
    return [Segment(_scalar(value))]


def _pairs(pairs: Mapping[str, Json], *, quoted_keys: bool, depth: int) -> list[Segment]:
    return separated(
        [
            *(quoted(key) if quoted_keys else [Segment(key)]),
            Segment(":"),
            *_value(value, quoted_keys=quoted_keys, depth=depth),
        ]
        for key, value in dictsort(pairs)
    )


def _scalar(value: bool | int | float | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _read_value(cursor: "_Cursor", depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise _Unreadable
    text = cursor.quoted()
    if text is not None:
        return text
    if cursor.skip(_BRACE):
        return _read_object(cursor, depth + 1)
    if cursor.skip(_BRACKET):
        return _read_array(cursor, depth + 1)
    if cursor.sees(_WORD):
        return _WORDS[cursor.take(_WORD)]
    return _number(cursor.take(_NUMBER))


def _read_object(cursor: "_Cursor", depth: int) -> dict[str, Json]:
    """The pairs after an opening brace, and the closing brace."""
    pairs: dict[str, Json] = {}
    while not cursor.skip(_BRACE_END):
        if pairs:
            cursor.take(_COMMA)
        key = cursor.quoted()
        if key is None:
            key = cursor.take(_KEY).strip()
            if not key:
                raise _Unreadable
        cursor.take(_COLON)
        pairs[key] = _read_value(cursor, depth)
    return pairs


def _read_array(cursor: "_Cursor", depth: int) -> list[Json]:
    """The items after an opening bracket, and the closing bracket."""
    items: list[Json] = []
    while not cursor.skip(_BRACKET_END):
        if items:
            cursor.take(_COMMA)
        items.append(_read_value(cursor, depth))
    return items


def _number(literal: str) -> int | float:
    try:
        number = float(literal) if set(literal) & set(".eE") else int(literal)
    except ValueError as error:  # int refuses thousands of digits
        raise _Unreadable from error
    if not math.isfinite(number):
        raise _Unreadable
    return number


_PLACE = "\0"
"""Stands in a cursor's text where a quote token is; its position tells it from a NUL that the model wrote."""

_NAME = re.compile(rf"\s*call:\s*([^\s{{{_PLACE}]+)\s*{{\s*")
_KEY = re.compile(rf"[^:}}{_PLACE}]+")
_COLON = re.compile(r"\s*:\s*")
_COMMA = re.compile(r"\s*,\s*")
_BRACE = re.compile(r"{\s*")
_BRACE_END = re.compile(r"\s*}")
_BRACKET = re.compile(r"\[\s*")
_BRACKET_END = re.compile(r"\s*\]")
_END = re.compile(r"\s*\Z")
_WORD = re.compile(r"true|false|null")
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class _Unreadable(Exception):
    """What follows is none of what could follow here."""


class _Cursor:
    """A place in the text of a call, in which the quote tokens are known by their positions."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._text = "".join(_PLACE if segment.special else segment.text for segment in segments)
        ends = accumulate(1 if segment.special else len(segment.text) for segment in segments)
        quotes = [end - 1 for segment, end in zip(segments, ends, strict=True) if segment.special]
        self._strings = dict(pairwise(quotes))
        """Where the quote token after each quote token is."""
        self._at = 0

    def sees(self, pattern: re.Pattern[str]) -> bool:
        """Whether the pattern comes next."""
        return pattern.match(self._text, self._at) is not None

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Go past the pattern if it comes next."""
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return match is not None

    def take(self, pattern: re.Pattern[str]) -> str:
        """Go past the pattern, which must come next, and give its group, or all of it."""
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _Unreadable
        self._at = match.end()
        return match.group(match.lastindex or 0)

    def quoted(self) -> str | None:
        """Go past a string and give it, if one comes next."""
        start, end = self._at, self._strings.get(self._at)
        if end is None:
            return None
        self._at = end + 1
        return self._text[start + 1 : end]
