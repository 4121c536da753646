"""`g4local show`: what is in a GGUF, and where it comes from."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from math import prod
from os import environ
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import options, output
from g4local.cli.interrupts import interruptible
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4convert.gguf import Gguf, TensorInfo, Value
    from g4local.library import Model

SCHEMA = "g4local.show/1"
"""The name and version of the object that --json prints."""

_LONGEST_ARRAY = 64
"""Longer arrays (a vocabulary) are told by their length."""
_NUMBERS = (
    *("context_length", "block_count", "embedding_length", "embedding_length_out", "expert_count"),
    *("attention.sliding_window", "vision.projector_type", "vision.block_count", "vision.embedding_length"),
    *("audio.projector_type", "audio.block_count", "audio.embedding_length"),
)
"""Keys of an architecture that are shown where a file has them."""
_MADE = "g4local."
_HASHES = {"index_sha256": "index", "header_sha256": "header"}
_DIGITS = 16
"""Of a hash that are shown to a person; `--json` has all."""


def show(
    model: options.Model,
    quant: options.Quant = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor, and where in the file it is.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what a GGUF holds and where it comes from."""
    from g4convert import shards
    from g4local import library

    places = paths(environ)
    found = library.find(model, places)
    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        files = shards.read(library.gguf(found, quant, places, bar.report, cancel), _LONGEST_ARRAY)
    if as_json:
        rows: dict[str, Json] = {"tensors": [_tensor(file, tensor) for file, tensor in _each(files)]} if tensors else {}
        output.json_line({"schema": SCHEMA, **_object(found, files), **rows})
    elif tensors:
        _print_tensors(files)
    else:
        _print(found, files)


def _print(model: "Model", files: Sequence["Gguf"]) -> None:
    from g4convert import shards
    from g4local import receipts

    first = files[0]
    receipt = receipts.kept(first.path)
    architecture = _value(first, "general.architecture")
    known = {name: _value(first, f"{architecture}.{name}") for name in _NUMBERS}
    if _value(first, "general.type") == "imatrix":
        what = _matrix(first)
    else:
        sizes = {"parameters": f"{_parameters(files):,}", "quant": shards.recipe(files)}
        what = {"architecture": str(architecture or "-"), **sizes}
    output.fields(
        {
            "model": model.name,
            "path": str(first.path) + (f" and {len(files) - 1} more" if len(files) > 1 else ""),
            **_origin(first),
            "size": output.human_bytes(_nbytes(files)),
            **what,
            **{
                name.replace("_", " ").replace(".", " "): f"{value:,}" if isinstance(value, int) else str(value)
                for name, value in known.items()
                if value is not None
            },
            **_guidance(first),
            **_template(first),
        }
    )
    if receipt:
        output.line()
        output.fields({f"receipt: {name}": told for name, told in receipt.table.items()})
    if made := [*_making(first)]:
        output.line()
        output.table(("QUANT", "MADE OF", "SHA-256 OF ITS", "BY"), made)
    output.line()
    output.table(
        ("TYPE", "TENSORS", "SIZE"),
        [(name, str(count), output.human_bytes(nbytes)) for name, (count, nbytes) in shards.types(files).items()],
    )


def _origin(file: "Gguf") -> dict[str, str]:
    """Which file of the hub it is, where that is known."""
    from g4local import pins

    pin = pins.of(file.path)
    return {"known as": pin.called, "from": pin.source} if pin else {}


def _matrix(file: "Gguf") -> dict[str, str]:
    """What an importance matrix was computed from."""
    from g4convert.imatrix import CHUNK_COUNT, CHUNK_SIZE, DATASETS

    texts = _value(file, DATASETS)
    return {
        "holds": f"an importance matrix of {len(file.tensors) // 2} weights",
        "chunks": f"{_value(file, CHUNK_COUNT)} of {_value(file, CHUNK_SIZE)} tokens",
        "texts": ", ".join(map(str, texts)) if isinstance(texts, list) else str(texts),
    }


def _guidance(file: "Gguf") -> dict[str, str]:
    """What the quantization followed beside its recipe."""
    told = {"importance": _value(file, "quantize.imatrix.file"), "types by hand": _value(file, f"{_MADE}types")}
    return {
        name: ", ".join(map(str, said)) if isinstance(said, list) else str(said) for name, said in told.items() if said
    }


def _template(file: "Gguf") -> dict[str, str]:
    """How old the chat template in the file is, which is never used."""
    from g4local import templates

    said = templates.told(str(_value(file, "tokenizer.chat_template") or ""))
    return {"chat template": f"the file {said}"} if said else {}


def _making(file: "Gguf") -> Iterator[tuple[str, str, str, str]]:
    """What the file tells of its making, the last step first."""
    prefix = _MADE
    while f"{prefix}version" in file.keys:
        told = {
            name.removeprefix(prefix): str(_json(value)) for name, value in file.keys.items() if name.startswith(prefix)
        }
        hashes = [
            f"{said} {told[f'source.{key}'][:_DIGITS]}" for key, said in _HASHES.items() if f"source.{key}" in told
        ]
        recipe = told.get("recipe", "-") + (" (QAT)" if told.get("qat") == "True" else "")
        yield recipe, told.get("source.name", "-"), ", ".join(hashes) or "-", f"g4local {told['version']}"
        prefix += "source."


def _print_tensors(files: Sequence["Gguf"]) -> None:
    output.table(
        ("TENSOR", "SHAPE", "TYPE", "SIZE", "OFFSET", *(("FILE",) if len(files) > 1 else ())),
        [
            (
                tensor.name,
                " x ".join(map(str, reversed(tensor.dims))),
                tensor.type.name,
                output.human_bytes(tensor.nbytes),
                str(file.data_start + tensor.offset),
                *((file.path.name,) if len(files) > 1 else ()),
            )
            for file, tensor in _each(files)
        ],
    )


def _tensor(file: "Gguf", tensor: "TensorInfo") -> Json:
    """`offset` is counted from the beginning of `file`."""
    return {
        "name": tensor.name,
        "shape": list(reversed(tensor.dims)),
        "type": tensor.type.name,
        "bytes": tensor.nbytes,
        "offset": file.data_start + tensor.offset,
        "file": str(file.path),
    }


def _object(model: "Model", files: Sequence["Gguf"]) -> dict[str, Json]:
    from g4convert import shards
    from g4local import receipts

    first = files[0]
    receipt = receipts.kept(first.path)
    return {
        "name": model.name,
        "path": str(first.path),
        "bytes": _nbytes(files),
        "parameters": _parameters(files),
        "quant": shards.recipe(files),
        "types": {name: {"tensors": count, "bytes": nbytes} for name, (count, nbytes) in shards.types(files).items()},
        "keys": {name: _json(value) for name, value in first.keys.items()},
        "receipt": dict(receipt.content) if receipt else None,
        "origin": _origin_object(first),
    }


def _origin_object(file: "Gguf") -> Json:
    from g4local import pins

    pin = pins.of(file.path)
    if pin is None:
        return None
    where: dict[str, Json] = {
        "repo": pin.repo,
        "file": pin.path or None,
        "commit": pin.commit or None,
        "sha256": pin.digest or None,
    }
    return {"known_as": pin.called, **where}


def _each(files: Sequence["Gguf"]) -> Iterator[tuple["Gguf", "TensorInfo"]]:
    return chain.from_iterable(((file, tensor) for tensor in file.tensors) for file in files)


def _nbytes(files: Sequence["Gguf"]) -> int:
    return sum(file.nbytes for file in files)


def _parameters(files: Sequence["Gguf"]) -> int:
    return sum(prod(tensor.dims) for _, tensor in _each(files))


def _value(file: "Gguf", key: str) -> Json:
    return _json(file.keys[key]) if key in file.keys else None


def _json(value: "Value") -> Json:
    from g4convert.gguf import Omitted

    return f"({value.data.items:,} items)" if isinstance(value.data, Omitted) else _plain(value.data)


def _plain(data: object) -> Json:
    """The same in JSON, which has no word for what is infinite or not a number."""
    match data:
        case list():
            return [_plain(item) for item in data]
        case float() if not math.isfinite(data):
            return str(data)
        case bool() | int() | float() | str():
            return data
        case _:
            raise AssertionError("a GGUF holds nothing else")
