"""`g4local import`: GGUFs that lie elsewhere get a name here."""

from collections.abc import Sequence
from os import environ
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import UsageError
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.importing import Imported

SCHEMA = "g4local.import/1"
"""The name and version of the object that --json prints."""

_HOW = {"link": "is linked to", "copy": "is a copy of", "move": "was", "here": "is here already:"}
_KINDS = {"mmproj": "towers", "drafter": "a drafter"}


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="GGUFs; of a split one the first file.")],
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the files, which a link would leave where they are.")
    ] = False,
    move: Annotated[bool, typer.Option("--move", help="Move the files into the models folder.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What the model is called here.")] = None,
    sidecars: Annotated[
        bool,
        typer.Option("--sidecars/--no-sidecars", help="Bring the towers and the drafter that lie beside a model."),
    ] = True,
    as_json: options.AsJson = False,
) -> None:
    """Give GGUFs that lie elsewhere a name here; prints the paths.

    A link leads to them, unless they are to be copied or moved.
    Towers (mmproj) and drafters come with the model that they are made for: by what stands in them, never by name.
    """
    from g4local import importing

    if copy and move:
        raise UsageError("--copy and --move are two ways to bring a file.", "Give one of them.")
    wish = importing.Wish("copy" if copy else "move" if move else "link", sidecars, name)
    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        brought = importing.bring(files, wish, paths(environ), bar.report, cancel)
    if as_json:
        output.json_line({"schema": SCHEMA, "files": list[Json](map(_object, brought))})
        return
    _tell(brought)


def _tell(brought: Sequence["Imported"]) -> None:
    for each in brought:
        output.line(str(each.path))
        note = output.in_one_line(
            f"{each.path.name}, {output.human_bytes(each.nbytes)}, {_HOW[each.way]} {each.source}"
        )
        if each.kind != "model":
            fits = output.in_one_line(", ".join(each.fits))
            note += f"; {_KINDS[each.kind]} for {fits or 'no model that is here'}"
        output.note(note)
        if each.release:
            output.note(f"It is {each.release.told}: {each.release.called} finds it.")
        elif each.alike:
            output.note(
                f"It has as many bytes as {each.alike.called} of {each.alike.entry.repo}; "
                f"`g4local verify {each.path.stem}` tells whether it is that."
            )


def _object(each: "Imported") -> dict[str, Json]:
    return {
        "name": each.path.stem,
        "path": str(each.path),
        "source": str(each.source.absolute()),
        "kind": each.kind,
        "bytes": each.nbytes,
        "way": each.way,
        "fits": list[Json](each.fits),
        "release": each.release.called if each.release else None,
    }
