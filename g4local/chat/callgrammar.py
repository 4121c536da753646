"""A grammar of the calls that the tools take, so that what the model writes always is one.

In the Lark dialect of llguidance, for what follows `<|tool_call>`:

    start: ("call:clock{" r4 "}" | "call:read_file{" r7 "}") <[49]>

Arguments stand in the order in which Gemma 4 writes them, each of its own type. Of a schema, types, keys, choices,
lengths and bounds are held; arguments are checked against the rest of it when the call is made.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from g4local.chat.toolcalls import MAX_DEPTH, QUOTE, dictsort, write_value
from g4local.core.messages import Json
from g4local.core.prompt import Segment
from g4local.tools.tool import Tool

MOST_RULES = 1000
"""Tools that need more may be called with any arguments: above 2,000 rules, llguidance overflows its stack."""

MOST_STEPS = 20_000
"""Schemas inside each other that are read for one tool; references can make far more of a small schema."""

_DEEPEST = 6
"""Lists and objects inside each other where a schema says nothing about them."""
_LARGEST = 10**18
"""Bound of numbers that have none, so that a number ends."""
_TERMINALS = (
    r"TEXT: /(?s:.*)/",
    r"KEY: /[A-Za-z_][A-Za-z0-9_]{0,63}/",
    r"INTEGER: /-?(0|[1-9][0-9]{0,17})/",
    r"NUMBER: /-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?/",
)

Schema = Mapping[str, Any]


def call_grammar(tools: Sequence[Tool], special_tokens: Mapping[str, int]) -> str:
    """The grammar of one call up to and with `<tool_call|>`; empty without tools, or without the tokens of calls."""
    callable_tools = [tool for tool in tools if re.fullmatch(r"[^\s{\0]+", tool.name)]
    if not callable_tools or not {QUOTE.text, "<|tool_call>", "<tool_call|>"} <= special_tokens.keys():
        return ""
    grammar = _Grammar(special_tokens[QUOTE.text])
    calls = [
        _sequence(_literal(f"call:{tool.name}{{"), grammar.arguments(tool.parameters), '"}"') for tool in callable_tools
    ]
    start = f"start: {_choice(calls)} <[{special_tokens['<tool_call|>']}]>"
    return "\n".join([start, *grammar.rules, *_TERMINALS])


class _TooLarge(Exception):
    """A schema needs more rules than there can be."""


class _Grammar:
    """Rules that grow while schemas are read. What its methods return are expressions over these rules."""

    def __init__(self, quote: int) -> None:
        self.rules: list[str] = []
        self._quote = f"<[{quote}]>"
        self._names: dict[str, str] = {}
        """The rule of each expression that has one."""
        self._steps = 0
        """Schemas that were read for this tool."""

    def arguments(self, schema: Schema) -> str:
        """What may stand between the braces of a call."""
        before, self._steps = len(self.rules), 0
        with suppress(_TooLarge):
            expression = self._pairs(schema, 1, schema, nullable=True)
            if len(self.rules) <= MOST_RULES:
                return expression
        del self.rules[before:]
        self._names = {each: name for each, name in self._names.items() if int(name[1:]) < before}
        return self._map(self._any(1))

    def _rule(self, expression: str) -> str:
        """The name of a rule that is this expression."""
        if expression not in self._names:
            self._names[expression] = f"r{len(self.rules)}"
            self.rules.append(f"{self._names[expression]}: {expression}")
        return self._names[expression]

    def _value(self, schema: Any, depth: int, root: Schema) -> str:
        self._steps += 1
        if self._steps > MOST_STEPS or len(self.rules) > 2 * MOST_RULES:
            raise _TooLarge
        if isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
            schema = _resolved(schema["$ref"], root)
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return self._any(min(depth, MAX_DEPTH))
        if "const" in schema:
            return self._written([schema["const"]])
        if schema.get("enum"):
            return self._written(schema["enum"])
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return self._rule(_choice(self._value(choice, depth + 1, root) for choice in choices))
        return self._rule(_choice(self._typed(kind, schema, depth, root) for kind in _types(schema)))

    def _typed(self, kind: str, schema: Schema, depth: int, root: Schema) -> str:
        match kind:
            case "string":
                return f"{self._quote} {_text(schema)} {self._quote}"
            case "integer" | "number":
                return _number(kind, schema)
            case "boolean":
                return '("true" | "false")'
            case "null":
                return '"null"'
            case "array":
                return f'"[" {self._items(schema, depth, root)}"]"'
            case "object":
                return _sequence('"{"', self._object(schema, depth, root), '"}"')
        return self._any(depth)

    def _object(self, schema: Schema, depth: int, root: Schema) -> str:
        others = schema.get("additionalProperties")
        if schema.get("properties"):
            return self._pairs(schema, depth + 1, root)
        if others is False:
            return ""
        return self._map(self._value(others, depth + 1, root))

    def _pairs(self, schema: Schema, depth: int, root: Schema, *, nullable: bool = False) -> str:
        """The declared keys in their order, with commas between those that are there.

        `rest` is what may follow a pair, `first` what may stand where there is none yet. What may be left out may be
        null as well where `nullable`.
        """
        properties: dict[str, Any] = dict(schema.get("properties") or {})
        required = schema.get("required") or []
        properties |= {name: {} for name in required if name not in properties}
        rest = first = ""
        for name, each in reversed(dictsort(properties)):
            value = self._value(each, depth, root)
            if name in required:
                pair = f"{self._key(name)} {value}"
                first = self._rule(_sequence(pair, rest))
                rest = self._rule(_sequence('","', pair, rest))
            else:
                pair = f"{self._key(name)} {_choice([value, _NULL]) if nullable else value}"
                with_it = _sequence(pair, rest)
                first = self._rule(_choice([with_it, first]) if first else f"({with_it})?")
                rest = self._rule(_sequence(f'("," {pair})?', rest))
        return first

    def _key(self, name: str) -> str:
        is_bare = re.fullmatch(r"[^:}\0]+", name) and name == name.strip()
        return _literal(f"{name}:") if is_bare else _sequence(self._quote, _literal(name), self._quote, '":"')

    def _items(self, schema: Schema, depth: int, root: Schema) -> str:
        """The items of a list with a blank behind, or nothing."""
        least, most = _lengths(schema, "minItems", "maxItems")
        if most == 0:
            return ""
        item = self._value(schema.get("items"), depth + 1, root)
        more = "" if most == 1 else f'("," {item}){{{max(least - 1, 0)},{"" if most is None else most - 1}}}'
        return f"({_sequence(item, more)}){'' if least else '?'} "

    def _map(self, value: str) -> str:
        """Pairs of any keys."""
        return self._rule(f'(KEY ":" {value} ("," KEY ":" {value})*)?')

    def _any(self, depth: int) -> str:
        """Any value that is not nested too deeply."""
        plain = _choice([f"{self._quote} TEXT {self._quote}", "NUMBER", '"true"', '"false"', _NULL])
        value = self._rule(plain)
        for _ in range(min(_DEEPEST, MAX_DEPTH - depth)):
            value = self._rule(_choice([plain, f'"[" ({value} ("," {value})*)? "]"', f'"{{" {self._map(value)} "}}"']))
        return value

    def _written(self, values: Sequence[Json]) -> str:
        """One of these values, as Gemma 4 writes it."""
        return self._rule(_choice(_sequence(*map(self._segment, write_value(value))) for value in values))

    def _segment(self, segment: Segment) -> str:
        return self._quote if segment.special else _literal(segment.text)


_NULL = '"null"'
_LOW = ("minimum", "exclusiveMinimum")
_HIGH = ("maximum", "exclusiveMaximum")


def _types(schema: Schema) -> Sequence[str]:
    """The types that a schema names, or that its other words mean."""
    kind = schema.get("type")
    if isinstance(kind, str):
        return [kind]
    if isinstance(kind, Sequence) and kind:
        return kind
    if schema.get("properties"):
        return ["object"]
    return ["array"] if schema.get("items") else ["any"]


def _resolved(reference: str, root: Schema) -> Any:
    """What a reference leads to inside the same schema; nothing where that refers to something else again."""
    target: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
    return target


def _text(schema: Schema) -> str:
    least, most = _lengths(schema, "minLength", "maxLength")
    return f"/(?s:.{{{least},{'' if most is None else most}}})/" if least or most is not None else "TEXT"


def _lengths(schema: Schema, low: str, high: str) -> tuple[int, int | None]:
    """The least and the most that a schema allows; none where it allows nothing."""
    least, most = schema.get(low, 0), schema.get(high)
    return (0, None) if most is not None and most < least else (int(least), None if most is None else int(most))


def _number(kind: str, schema: Schema) -> str:
    """A number; one between bounds is left to llguidance's own JSON Schema, which writes numbers as Gemma 4 does."""
    bounds = {word: schema[word] for word in (*_LOW, *_HIGH) if _is_number(schema.get(word))}
    if not bounds:
        return kind.upper()
    lowest = max((bounds[word] for word in _LOW if word in bounds), default=min(-_LARGEST, *bounds.values(), 0))
    highest = min((bounds[word] for word in _HIGH if word in bounds), default=max(_LARGEST, *bounds.values(), 0))
    if kind == "integer":
        lowest = math.floor(lowest) + 1 if bounds.get("exclusiveMinimum") == lowest else math.ceil(lowest)
        highest = math.ceil(highest) - 1 if bounds.get("exclusiveMaximum") == highest else math.floor(highest)
        bounds = {}
    if lowest > highest or (lowest == highest and bounds.keys() & {"exclusiveMinimum", "exclusiveMaximum"}):
        return kind.upper()
    bounds = {"minimum": lowest, "maximum": highest, **bounds}
    return f"%json {json.dumps({'x-guidance': {'whitespace_flexible': False}, 'type': kind, **bounds})}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _literal(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode())


def _sequence(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _choice(expressions: Iterable[str]) -> str:
    different = list(dict.fromkeys(expressions))
    return different[0] if len(different) == 1 else f"({' | '.join(different)})"
