"""A tool as an MCP server describes it becomes a Tool that can do no harm.

Its name begins with the server's, so that none passes for one of ours. Of its schema, regular expressions are left out,
since one can be made that takes for ever; references lead nowhere outside of it, and by paths, which need no search.
"""

import json
import re
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from mcp_types import Tool as Described

from g4local.core.errors import G4Error
from g4local.core.messages import Json
from g4local.tools.tool import Tool

Call = Callable[[str, Mapping[str, Json], Event], Json]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_BYTES = 32 * 1024
"""Of a schema."""
_MOST_CHARACTERS = 2000
"""Of a description."""
_DEEPEST = 48
_EXPRESSIONS = ("pattern", "patternProperties", "$dynamicRef", "$id", "$schema")
_NAMED = ("properties", "$defs", "definitions", "dependentSchemas")
"""Words of a schema whose value is a table of schemas, by names that are no words."""


def as_tool(server: str, described: Described, call: Call) -> Tool:
    """The Tool that calls it; G4Error for why there can be none."""
    if not _NAME.fullmatch(described.name):
        raise G4Error(f"A tool of the MCP server {server} is left out: {described.name[:80]!r} is no name for one.")
    name = f"{server}__{described.name}"
    try:
        schema = _harmless(described.input_schema, 0)
        too_large = len(json.dumps(schema)) > _MOST_BYTES
        if not too_large:
            Draft202012Validator.check_schema(schema)
    except (SchemaError, ValueError, RecursionError) as error:
        raise G4Error(f"The tool {name} is left out: its parameters are no schema that can be used.") from error
    if too_large or schema.get("type") != "object":
        raise G4Error(f"The tool {name} is left out: its parameters are {'too large' if too_large else 'no object'}.")
    words = " ".join((described.description or "").split())[:_MOST_CHARACTERS]

    def run(arguments: Mapping[str, Json], cancel: Event) -> Json:
        return call(described.name, arguments, cancel)

    return Tool(
        name, words, cast("dict[str, Json]", schema), run, changes=True, source=f"MCP server {server}", served=True
    )


def _harmless(schema: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(schema, list):
        return [_harmless(each, depth + 1) for each in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if reference is not None and not (isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))):
        raise ValueError
    return {
        word: {name: _harmless(each, depth + 2) for name, each in value.items()}
        if word in _NAMED and isinstance(value, dict)
        else _harmless(value, depth + 1)
        for word, value in schema.items()
        if word not in _EXPRESSIONS
    }
