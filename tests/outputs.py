"""What commands print for scripts, held to the JSON Schemas that are shipped."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from g4local import schemas

_TELLING = {"messages": "chat", "prompt": "prompt"}
"""Keys of objects that name no schema."""


def checked(line: str) -> dict[str, Any]:
    """The object on a line; AssertionError where it is not just what its schema says: no key less, and no key more."""
    value: dict[str, Any] = json.loads(line)
    name = _name(value)
    error = best_match(_validator(name).iter_errors(value))
    assert error is None, f"{error.json_path}: {error.message} (schema {name}, g4local/schemas)"
    return value


def all_checked(text: str) -> list[dict[str, Any]]:
    """The objects on all lines of what a command printed."""
    return [checked(line) for line in text.splitlines()]


def _name(value: dict[str, Any]) -> str:
    match value:
        case {"schema": str(named)}:
            name, _, version = named.removeprefix("g4local.").partition("/")
            assert schemas.schema(name)["title"] == f"g4local.{name}/{version}"
            return name
        case {"type": "progress"}:
            return "pull.stream"
        case {"type": _}:
            return "run.stream"
        case _:
            return next(_TELLING[key] for key in value if key in _TELLING)


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(_closed(schemas.schema(name)))


def _closed(schema: Any) -> Any:
    """The same, with no room for keys that it does not describe."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(item) for key, item in schema.items()}
    described = isinstance(schema.get("properties"), dict) and isinstance(schema.get("required"), list)
    return {**closed, "additionalProperties": False} if described else closed
