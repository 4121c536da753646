"""`g4local convert`: a Hugging Face checkpoint becomes a GGUF."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from g4local.cli import conversion, options
from g4local.core.errors import ModelNotFound


@options.takes(conversion.Conversion)
def convert(
    wanted: conversion.Conversion,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The checkpoint: config.json, safetensors, tokenizer.")],
) -> None:
    """Turn a Gemma 4 checkpoint into one GGUF; prints the file's path."""
    from g4convert import convert as converter
    from g4local import library

    if not folder.is_dir():
        raise ModelNotFound(
            f"There is no folder {folder}.", "Give the folder that holds config.json and *.safetensors."
        )
    name = folder.resolve().name
    source = conversion.Source(
        name,
        partial(converter.plan, folder),
        partial(converter.convert, folder),
        library.Model(name, folder, "checkpoint"),
    )
    conversion.carry_out(wanted, source)
