"""JSON Schemas of what commands print for scripts, one file each, named as the object itself names its schema."""

import json
from importlib.resources import files
from typing import Any

_ENDING = ".json"


def names() -> list[str]:
    """The names of all schemas: what stands between `g4local.` and the slash."""
    return sorted(file.name.removesuffix(_ENDING) for file in files(__name__).iterdir() if file.name.endswith(_ENDING))


def schema(name: str) -> dict[str, Any]:
    """A schema with those that it refers to in its own `$defs`, so that it is whole; KeyError for an unknown name."""
    if name not in names():
        raise KeyError(name)
    inner: dict[str, Any] = {}
    whole: dict[str, Any] = _led(_read(name), inner)
    return {**whole, "$defs": inner} if inner else whole


def _led(value: Any, inner: dict[str, Any]) -> Any:
    """The same, with each reference to another file led to its place in `$defs`, which it is put into."""
    if isinstance(value, list):
        return [_led(item, inner) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" not in value:
        return {key: _led(item, inner) for key, item in value.items()}
    name = value["$ref"].removesuffix(_ENDING)
    if name not in inner:
        inner[name] = None
        inner[name] = _led(_read(name), inner)
    return {"$ref": f"#/$defs/{name}"}


def _read(name: str) -> Any:
    return json.loads((files(__name__) / f"{name}{_ENDING}").read_text(encoding="utf-8"))
