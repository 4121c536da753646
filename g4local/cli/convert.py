"""`g4local convert`: a Hugging Face checkpoint becomes a GGUF, with another beside it for what it sees and hears."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import conversion, options
from g4local.core.errors import ModelNotFound, UsageError

if TYPE_CHECKING:
    from g4convert.mmproj import Senses

_SENSES = {"vision": "images", "audio": "sound"}
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
    from g4local import library

    try:
        is_file, is_folder = folder.is_file(), folder.is_dir()
    except OSError as error:
        raise ModelNotFound(
            f"{folder} can't be read: {error.strerror}.", "Check its name, and your rights there."
        ) from error
    if is_file:
        raise UsageError(
            f"{folder} is a file.", "`convert` takes the folder that holds config.json; `quantize` takes a GGUF."
        )
    if not is_folder:
        raise ModelNotFound(
            f"There is no folder {folder}.",
            "Give a folder that holds config.json and *.safetensors; `g4local pull --from-checkpoint` downloads one.",
        )
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
        _warnings(senses) if senses else (),
    )
    conversion.carry_out(wanted, source)


def _warnings(senses: "Senses") -> tuple[str, ...]:
    if not senses.missing:
        return ()
    missing = " and ".join(_SENSES[sense] for sense in senses.missing)
    left = "text and images" if senses.sees else "text"
    return (f"config.json announces {missing}, but the checkpoint has no tensors for that: only {left} will work.",)
