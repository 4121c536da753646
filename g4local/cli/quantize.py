"""`g4local quantize`: a GGUF in 16 or 32 bits becomes a smaller one."""

import re
from functools import partial
from os import environ
from typing import Annotated

import typer

from g4local.cli import completion, conversion, options
from g4local.core.errors import UsageError
from g4local.settings import paths

_WIDE = re.compile(r"[-._](bf16|f16|f32)$", re.IGNORECASE)
"""How the name of a GGUF ends that is not quantized."""


@options.takes(conversion.Conversion)
def quantize(
    wanted: conversion.Conversion,
    model: Annotated[
        str,
        typer.Argument(
            metavar="GGUF",
            help="A Gemma 4 in BF16, F16 or F32: a file, the first of several, or a name that `ls` shows.",
            autocompletion=completion.models,
        ),
    ],
) -> None:
    """Quantize a GGUF that is not quantized yet; prints the path."""
    from g4convert import requantize, shards
    from g4local import library

    found = library.find(model, paths(environ))
    if found.kind == "checkpoint" and not (found.path / "config.json").is_file():
        raise UsageError(
            f"{model} is a folder without config.json, and so no checkpoint.", "Name a GGUF, or a name that `ls` shows."
        )
    if found.kind == "checkpoint":
        raise UsageError(f"{model} is a checkpoint, not a GGUF.", f"g4local convert {found.path} quantizes it at once.")
    source = conversion.Source(
        _WIDE.sub("", shards.stem(found.path)),
        partial(requantize.plan, found.path),
        partial(requantize.requantize, found.path),
        found,
    )
    conversion.carry_out(wanted, source)
