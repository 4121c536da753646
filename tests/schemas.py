"""Random JSON Schemas and tools, the same ones for the same seed, of what can be enforced."""

import random
from collections.abc import Callable
from typing import Any

from g4local.core.messages import Json
from g4local.tools.tool import Tool

Schema = dict[str, Any]

_NAMES = ("name", "Age", "tags", "unit", "is_open", "x", "größe", "with space", "a-b", "id", "value", "note")
_WORDS = ("", "a", "yes", "no", "Ünal", 'say "hi"', "{}", "a,b:c", "<|tool_call>", "two\nlines", "\\", "😀")
_FORMATS = ("date", "time", "date-time", "email", "ipv4", "uuid")
_PATTERNS = ("^[a-z]{2,5}$", "^[0-9]{1,9}$", "^(yes|no)$", "^[A-Z][a-z]*$")


def json_schema(seed: int) -> Schema:
    """A schema for an answer."""
    pick = random.Random(seed)
    schema = _object(pick, 3) if pick.random() < 0.7 else _any(pick, 3)
    if pick.random() < 0.2:
        schema = {"$defs": {"part": _any(pick, 1)}, "type": "object", "required": ["part", "more"]}
        schema["properties"] = {"part": {"$ref": "#/$defs/part"}, "more": {"type": "array", "maxItems": 2}}
        schema["properties"]["more"]["items"] = {"$ref": "#/$defs/part"}
    return schema


def tools(seed: int) -> tuple[Tool, ...]:
    """One to four tools that do nothing."""
    pick = random.Random(seed)
    names = pick.sample(("clock", "read_file", "send-mail", "f", "math.sum", "größe"), pick.randint(1, 4))
    return tuple(
        Tool(name, "", _object(pick, 3, only_for_calls=True), lambda arguments, cancel: None) for name in names
    )


def _object(pick: random.Random, depth: int, only_for_calls: bool = False) -> Schema:
    names = pick.sample(_NAMES, pick.randint(0, 5))
    make = _argument if only_for_calls else _any
    schema: Schema = {"type": "object", "properties": {name: make(pick, depth - 1) for name in names}}
    if names and pick.random() < 0.8:
        schema["required"] = pick.sample(names, pick.randint(1, len(names)))
    if pick.random() < 0.9 or only_for_calls:
        schema["additionalProperties"] = False
    return schema


def _any(pick: random.Random, depth: int) -> Schema:
    makers: list[Callable[[random.Random, int], Schema]] = [_string, _number, _choice, _plain]
    if depth > 0:
        makers += [_object, _array, _any_of]
    return pick.choice(makers)(pick, depth)


def _argument(pick: random.Random, depth: int) -> Schema:
    makers: list[Callable[[random.Random, int], Schema]] = [_text, _number, _choice, _plain]
    if depth > 0:
        makers += [_argument_object, _arguments, _map, _free, _either]
    return pick.choice(makers)(pick, depth)


def _string(pick: random.Random, depth: int) -> Schema:
    kind = pick.random()
    if kind < 0.3:
        return {"type": "string", "pattern": pick.choice(_PATTERNS)}
    if kind < 0.5:
        return {"type": "string", "format": pick.choice(_FORMATS)}
    return _text(pick, depth)


def _text(pick: random.Random, depth: int) -> Schema:
    least = pick.randint(0, 4)
    return {"type": "string", "minLength": least, "maxLength": least + pick.randint(0, 12)}


def _number(pick: random.Random, depth: int) -> Schema:
    kind = pick.choice(("integer", "number"))
    low = pick.randint(-1000, 1000) / pick.choice((1, 8))
    bounds = {"minimum": low, "maximum": low + pick.choice((2, 2.5, 90))}
    if pick.random() < 0.3:
        bounds = {f"exclusive{word.capitalize()}": value for word, value in bounds.items()}
    words = [word for word in bounds if pick.random() < 0.7]
    return {"type": kind, **{word: bounds[word] for word in words}}


def _choice(pick: random.Random, depth: int) -> Schema:
    values: list[Json] = [*pick.sample(_WORDS, 3), 7, -0.5, True, None, [1, "a"], {"b": 1, "a": {"c": []}}]
    return {"enum": pick.sample(values, pick.randint(1, 4))} if pick.random() < 0.8 else {"const": pick.choice(values)}


def _plain(pick: random.Random, depth: int) -> Schema:
    kinds = ["boolean", "null", "integer"]
    return {"type": pick.choice(kinds)} if pick.random() < 0.6 else {"type": pick.sample(kinds, 2)}


def _array(pick: random.Random, depth: int) -> Schema:
    least = pick.randint(0, 2)
    schema: Schema = {"type": "array", "minItems": least, "maxItems": least + pick.randint(0, 3)}
    if pick.random() < 0.3:
        return {**schema, "prefixItems": [_any(pick, depth - 1)], "items": _any(pick, 0)}
    return {**schema, "items": _any(pick, depth - 1)}


def _any_of(pick: random.Random, depth: int) -> Schema:
    return {"anyOf": [_any(pick, depth - 1) for _ in range(pick.randint(2, 3))]}


def _argument_object(pick: random.Random, depth: int) -> Schema:
    return _object(pick, depth, only_for_calls=True)


def _arguments(pick: random.Random, depth: int) -> Schema:
    least = pick.randint(0, 2)
    return {
        "type": "array",
        "items": _argument(pick, depth - 1),
        "minItems": least,
        "maxItems": least + pick.randint(0, 3),
    }


def _map(pick: random.Random, depth: int) -> Schema:
    return {"type": "object", "additionalProperties": _argument(pick, 0)}


def _free(pick: random.Random, depth: int) -> Schema:
    return pick.choice(({}, {"type": "object"}, {"type": "array", "maxItems": 3}, {"description": "Anything."}))


def _either(pick: random.Random, depth: int) -> Schema:
    return {"anyOf": [_argument(pick, depth - 1), {"type": "null"}]}
