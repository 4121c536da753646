"""A tool call as Gemma 4 spells it: `call:NAME{key:value,...}`, with strings between two quote tokens."""

from collections.abc import Iterable, Mapping, Sequence

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
