"""`g4local pack` and `g4local unpack`: a model is carried to another machine."""

from os import environ
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from g4local.cli import options, output
from g4local.cli.interrupts import interruptible
from g4local.core.messages import Json
from g4local.settings import paths

SCHEMA = "g4local.packed/1"
"""The name and version of the object that `pack --json` prints."""
UNPACKED_SCHEMA = "g4local.unpacked/1"
"""The same of `unpack --json`."""


def pack(
    model: options.Model,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder, such as one on a USB stick.")],
    quant: options.Quant = None,
    sidecars: Annotated[
        bool,
        typer.Option("--sidecars/--no-sidecars", help="Pack the towers and the drafter that lie beside the model."),
    ] = True,
    as_json: options.AsJson = False,
) -> None:
    """Copy a model, with what belongs to it, into a folder to carry.

    `unpack` takes it on another machine. A manifest with the hash of each file lies beside them.
    """
    from g4local import packing

    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        wish = packing.Wish(model, quant, sidecars)
        packed = packing.pack(wish, folder, paths(environ), bar.report, cancel)
    total = sum(entry.bytes for entry in packed.files)
    if as_json:
        files: list[Json] = [
            {
                "path": str((folder / each.name).absolute()),
                "kind": each.kind,
                "bytes": each.bytes,
                "sha256": each.sha256,
            }
            for each in packed.files
        ]
        output.json_line({"schema": SCHEMA, "model": packed.model, "files": files, "bytes": total})
        return
    for entry in packed.files:
        output.line(str(folder / entry.name))
    output.note(f"{output.human_bytes(total)} of {packed.model}; `g4local unpack {folder}` takes it elsewhere.")


def unpack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `pack` made.", exists=True, file_okay=False)],
    as_json: options.AsJson = False,
) -> None:
    """Take the model out of a pack; prints the paths.

    It appears in the models folder once the hash of each file is right.
    """
    from g4local import packing

    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        unpacked = packing.unpack(folder, paths(environ), bar.report, cancel)
    if as_json:
        files: list[Json] = [
            {
                "path": str(each.path),
                "kind": each.entry.kind,
                "bytes": each.entry.bytes,
                "sha256": each.entry.sha256,
                "was_here": each.was_here,
            }
            for each in unpacked
        ]
        output.json_line({"schema": UNPACKED_SCHEMA, "files": files})
        return
    for each in unpacked:
        output.line(str(each.path))
        how = "was here already" if each.was_here else "is here now, its hash is right"
        output.note(f"{each.path.name}, {output.human_bytes(each.entry.bytes)}, {how}")
