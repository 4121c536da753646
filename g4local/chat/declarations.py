"""A tool as Gemma 4 is told of it: an OpenAI function declaration in the model's own notation.

Follows Google's template of 2026-07-09 to the byte, its peculiarities included: of a JSON Schema it keeps description,
type, enum, items, properties, required and nullable, and a `parameters` without a type stays open.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from g4local.chat.toolcalls import MAX_DEPTH, dictsort, quoted, separated, write_value
from g4local.core.errors import UsageError
from g4local.core.messages import Json
from g4local.core.prompt import Segment

_SCHEMA_WORDS = frozenset({"description", "type", "properties", "required", "nullable"})


def declare(tool: Mapping[str, Any]) -> list[Segment]:
    """What stands between `<|tool>` and `<tool|>`; UsageError when the tool is no OpenAI function declaration."""
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise UsageError(
            "A tool is not an OpenAI function declaration.",
            'Tools look like {"type": "function", "function": {"name": "clock", "description": "Tells the time."}}.',
        )
    try:
        return [
            Segment(f"declaration:{function['name']}{{description:"),
            *quoted(str(function.get("description", ""))),
            *_signature(function.get("parameters")),
            *_response(function),
            Segment("}"),
        ]
    except (TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"The declaration of the tool {function['name']!r} is no JSON Schema.",
            "Its parameters must be a schema of the type object.",
        ) from error


def _signature(parameters: Mapping[str, Any] | None) -> list[Segment]:
    if not parameters:
        return []
    segments = [Segment(",parameters:{")]
    if parameters.get("properties"):
        segments += [Segment("properties:{"), *_properties(parameters["properties"], 0), Segment("},")]
    if parameters.get("required"):
        segments += [*_required(parameters["required"]), Segment(",")]
    if parameters.get("type"):
        segments += [*_type(parameters), Segment("}")]
    return segments


def _response(function: Mapping[str, Any]) -> list[Segment]:
    if "response" not in function:
        return []
    response = function["response"]
    segments = [Segment(",response:{")]
    if response.get("description"):
        segments += [Segment("description:"), *quoted(str(response["description"])), Segment(",")]
    if _kind(response) == "OBJECT":
        segments += [*_type(response), Segment("}")]
    return segments


def _properties(properties: Mapping[str, Any], depth: int, *, all_keys: bool = True) -> list[Segment]:
    if depth > MAX_DEPTH:
        raise UsageError(f"A tool's parameters are nested more than {MAX_DEPTH} deep.", "Flatten them.")
    return separated(
        [Segment(f"{name}:{{"), *_schema(schema if isinstance(schema, Mapping) else {}, depth), Segment("}")]
        for name, schema in dictsort(properties)
        if all_keys or name not in _SCHEMA_WORDS
    )


def _schema(schema: Mapping[str, Any], depth: int) -> list[Segment]:
    fields: list[list[Segment]] = []
    if schema.get("description"):
        fields.append([Segment("description:"), *quoted(str(schema["description"]))])
    if _kind(schema) == "STRING" and schema.get("enum"):
        fields.append([Segment("enum:"), *write_value(schema["enum"], quoted_keys=True)])
    if _kind(schema) == "ARRAY" and isinstance(schema.get("items"), Mapping) and schema["items"]:
        fields.append(_items(schema["items"], depth))
    if schema.get("nullable"):
        fields.append([Segment("nullable:true")])
    if _kind(schema) == "OBJECT":
        fields += _object(schema, depth)
    return separated([*fields, _type(schema)])


def _items(items: Mapping[str, Any], depth: int) -> list[Segment]:
    fields = [_items_field(key, value, depth) for key, value in dictsort(items) if value is not None]
    return [Segment("items:{"), *separated(fields), Segment("}")]


def _items_field(key: str, value: Any, depth: int) -> list[Segment]:
    match key:
        case "properties":
            return _braced(value, depth)
        case "required":
            return _required(value)
        case "type":
            return [Segment("type:"), *write_value(_upper(value))]
        case _:
            return [Segment(f"{key}:"), *write_value(value, quoted_keys=True)]


def _object(schema: Mapping[str, Any], depth: int) -> list[list[Segment]]:
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        fields = [_braced(properties, depth)]
    else:
        fields = [[Segment("properties:{"), *_properties(schema, depth + 1, all_keys=False), Segment("}")]]
    if schema.get("required"):
        fields.append(_required(schema["required"]))
    return fields


def _braced(properties: Any, depth: int) -> list[Segment]:
    inner = _properties(properties, depth + 1) if isinstance(properties, Mapping) else []
    return [Segment("properties:{"), *inner, Segment("}")]


def _required(names: Sequence[Any]) -> list[Segment]:
    return [Segment("required:["), *separated(quoted(str(name)) for name in names), Segment("]")]


def _type(schema: Mapping[str, Any]) -> list[Segment]:
    return [Segment("type:"), *quoted(_kind(schema))]


def _kind(schema: Mapping[str, Any]) -> str:
    return str(schema.get("type", "")).upper()


def _upper(kind: str | Sequence[str]) -> Json:
    return kind.upper() if isinstance(kind, str) else [str(item).upper() for item in kind]
