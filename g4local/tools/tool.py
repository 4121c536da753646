"""A tool: a typed function, its description for the model, and the check of the model's arguments.

It does not know who calls it, and asks nobody whether it may run.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, overload

from g4local.core.errors import G4Error
from g4local.core.messages import Json

_TYPE_NAMES: dict[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


class ToolError(G4Error):
    """A tool that could not do what it was asked to; the model is told the message."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model can ask for by name."""

    name: str
    description: str
    parameters: dict[str, Json]
    """JSON Schema of an object: one property for each parameter."""
    run: Callable[[Mapping[str, Json], Event], Json]
    """Takes valid arguments, and stops once the Event is set; raises ToolError when it fails."""
    changes: bool = False
    """Whether it can change something: such a tool is offered only where it is named."""
    source: str = "g4local"
    """Who offers it."""
    served: bool = False
    """Whether a server does, which it lives and dies with."""


@overload
def tool(function: Callable[..., Json], /) -> Tool: ...


@overload
def tool(*, changes: bool) -> Callable[[Callable[..., Json]], Tool]: ...


def tool(
    function: Callable[..., Json] | None = None, /, *, changes: bool = False
) -> Tool | Callable[[Callable[..., Json]], Tool]:
    """The Tool that a typed function is: its name, the first paragraph of its docstring and its signature.

    `Annotated[str, "..."]` describes a parameter; a parameter with a default may be left out, or be null. One that is a
    `threading.Event` is no argument of a call: it is set when the person stops the turn.
    """
    return _tool(function, changes) if function else lambda decorated: _tool(decorated, changes)


def declaration(tool: Tool) -> dict[str, Json]:
    """The tool as OpenAI's chat API and Google's templates declare one."""
    function: dict[str, Json] = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def validate(tool: Tool, arguments: Mapping[str, Json]) -> str | None:
    """What is wrong with the arguments of a call, in one sentence; None when nothing is."""
    from g4local.tools.checking import complaint

    required = tool.parameters.get("required")
    schema = {"additionalProperties": False, **tool.parameters}
    return complaint(schema, _told(arguments, required if isinstance(required, list) else []))


def _tool(function: Callable[..., Json], changes: bool) -> Tool:
    hints = get_type_hints(function, include_extras=True)
    parameters = [each for each in inspect.signature(function).parameters.values() if hints[each.name] is not Event]
    wishes = [name for name, hint in hints.items() if hint is Event]
    required = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    schema: dict[str, Json] = {"type": "object", "properties": {p.name: _schema(hints[p.name]) for p in parameters}}
    if required:
        schema["required"] = list[Json](required)

    def run(arguments: Mapping[str, Json], cancel: Event) -> Json:
        return function(**_told(arguments, required), **dict.fromkeys(wishes, cancel))

    paragraph = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return Tool(function.__name__, " ".join(paragraph.split()), schema, run, changes)


def _told(arguments: Mapping[str, Json], required: list[Any]) -> dict[str, Json]:
    return {name: value for name, value in arguments.items() if value is not None or name in required}


def _schema(hint: Any) -> dict[str, Json]:
    if get_origin(hint) is Annotated:
        inner, description = get_args(hint)[:2]
        return {**_schema(inner), "description": description}
    if get_origin(hint) in (Union, UnionType):
        inner_types = [inner for inner in get_args(hint) if inner is not NoneType]
        if len(inner_types) == 1:
            return _schema(inner_types[0])
    if get_origin(hint) is list:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if get_origin(hint) is Literal:
        choices = list(get_args(hint))
        return {**_schema(type(choices[0])), "enum": choices}
    if hint in _TYPE_NAMES:
        return {"type": _TYPE_NAMES[hint]}
    raise TypeError(
        f"{hint!r} is no type that a tool's parameter can have: str, int, float, bool, list[...], Literal[...]"
    )
