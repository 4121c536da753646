"""`g4local convert`: a Hugging Face checkpoint becomes a GGUF, with another beside it for what it sees and hears."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from g4local.cli import conversion, options
from g4local.core.errors import UsageError

_Type = Annotated[
    str, typer.Option("--mmproj-type", metavar="NAME", help="What the towers become: BF16, F16, Q8_0 or F32.")
]


@options.takes(conversion.Conversion)
def convert(
    wanted: conversion.Conversion,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The checkpoint: config.json, safetensors, tokenizer.")],
    mmproj: Annotated[
        bool | None,
        typer.Option(
            "--mmproj/--no-mmproj",
            help="Write a second file for images and sound, or not; without either, where the checkpoint has any.",
        ),
    ] = None,
    mmproj_type: _Type = "BF16",
) -> None:
    """Turn a Gemma 4 checkpoint into a GGUF; prints the paths."""
    from g4convert import convert as converter
    from g4convert.mmproj import TYPES
    from g4local import converting, library

    converting.expect_folder(folder)
    if mmproj_type.upper() not in TYPES:
        raise UsageError(f"There is no type {mmproj_type!r} for a file of towers.", f"Types: {', '.join(TYPES)}.")
    senses = None if mmproj is False else converter.senses(folder)
    kind = mmproj_type.upper()
    towers = conversion.Towers(kind, partial(converter.plan_towers, folder, kind))
    name = folder.resolve().name
    source = conversion.Source(
        name,
        partial(converter.plan, folder),
        partial(converter.convert, folder),
        library.Model(name, folder, "checkpoint"),
        towers if mmproj or (senses and senses.sees) else None,
        converting.missing(senses) if senses else (),
    )
    conversion.carry_out(wanted, source)
