"""`g4local ls` and `g4local show`: which models there are, and what is in one."""

from datetime import UTC, datetime
from math import prod
from os import environ
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import UnusableFile
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4convert.gguf import Gguf, Value
    from g4local.library import Model

_LONGEST_ARRAY = 64
"""Longer arrays (a vocabulary) are told by their length."""


def ls(
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the names only.")] = False,
) -> None:
    """List the models that have a name here: the built-in one, and the GGUFs in the models folder."""
    from g4local import library

    models = library.listed(paths(environ))
    if quiet:
        for model in models:
            output.line(model.name)
        return
    entries = [_entry(model) for model in models]
    if as_json:
        output.json_line(list[Json](entries))
    else:
        heads = ("name", "quant", "size", "modified")
        rows = [{**entry, "modified": str(entry["modified"])[:10]} for entry in entries]
        output.table([head.upper() for head in heads], [[str(row[head] or "-") for head in heads] for row in rows])


def show(model: options.Model, quant: options.Quant = None, as_json: options.AsJson = False) -> None:
    """Show what a model's GGUF holds; a checkpoint folder is converted first."""
    from g4convert import gguf
    from g4local import library

    places = paths(environ)
    found = library.find(model, places)
    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        header = gguf.read(library.gguf(found, quant, places, bar.report, cancel), _LONGEST_ARRAY)
    if as_json:
        output.json_line(_object(found, header))
    else:
        _print(found, header)


def _entry(model: "Model") -> dict[str, Json]:
    """What `ls` tells of a model; one that can't be read stays in the list, and is called so."""
    from g4convert import gguf

    weights = [model.path] if model.kind == "gguf" else sorted(model.path.glob("*.safetensors"))
    nbytes = sum(file.stat().st_size for file in weights)
    modified = max(file.stat().st_mtime for file in weights)
    try:
        quant = _quant(gguf.read(model.path, 0)) if model.kind == "gguf" else model.recipe
    except UnusableFile:
        quant = "unreadable"
    return {
        "name": model.name,
        "quant": quant,
        "bytes": nbytes,
        "size": output.human_bytes(nbytes),
        "modified": datetime.fromtimestamp(modified, UTC).isoformat(timespec="seconds"),
        "path": str(model.path),
        "kind": model.kind,
    }


def _print(model: "Model", header: "Gguf") -> None:
    architecture = str(_value(header, "general.architecture"))
    numbers = ("context_length", "block_count", "embedding_length", "expert_count", "attention.sliding_window")
    known = {name.replace("_", " "): _value(header, f"{architecture}.{name}") for name in numbers}
    output.fields(
        {
            "model": model.name,
            "path": str(header.path),
            "size": output.human_bytes(header.nbytes),
            "architecture": architecture,
            "parameters": f"{_parameters(header):,}",
            "quant": _quant(header),
            **{name: f"{value:,}" for name, value in known.items() if isinstance(value, int)},
        }
    )
    output.line()
    output.table(
        ("TYPE", "TENSORS", "SIZE"),
        [(name, str(count), output.human_bytes(nbytes)) for name, (count, nbytes) in _types(header).items()],
    )


def _object(model: "Model", header: "Gguf") -> dict[str, Json]:
    return {
        "name": model.name,
        "path": str(header.path),
        "bytes": header.nbytes,
        "parameters": _parameters(header),
        "quant": _quant(header),
        "types": {name: {"tensors": count, "bytes": nbytes} for name, (count, nbytes) in _types(header).items()},
        "keys": {name: _json(value) for name, value in header.keys.items()},
    }


def _types(header: "Gguf") -> dict[str, tuple[int, int]]:
    """Tensors and bytes by type, the type with the most bytes first."""
    totals: dict[str, tuple[int, int]] = {}
    for tensor in header.tensors:
        count, nbytes = totals.get(tensor.type.name, (0, 0))
        totals[tensor.type.name] = (count + 1, nbytes + tensor.nbytes)
    return dict(sorted(totals.items(), key=lambda entry: -entry[1][1]))


def _quant(header: "Gguf") -> str:
    """The recipe that the file says it follows, or the type that most of its bytes have."""
    from g4convert.quants import RECIPES

    said = _value(header, "general.file_type")
    return next(
        (recipe.name for recipe in RECIPES.values() if recipe.file_type == said), next(iter(_types(header)), "-")
    )


def _parameters(header: "Gguf") -> int:
    return sum(prod(tensor.dims) for tensor in header.tensors)


def _value(header: "Gguf", key: str) -> Json:
    return _json(header.keys[key]) if key in header.keys else None


def _json(value: "Value") -> Json:
    from g4convert.gguf import Omitted

    return f"({value.data.items:,} items)" if isinstance(value.data, Omitted) else _plain(value.data)


def _plain(data: object) -> Json:
    assert isinstance(data, (bool, int, float, str, list)), "a GGUF holds nothing else"
    return data
