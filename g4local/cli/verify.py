"""`g4local verify`: whether the models on this disk are what they were."""

from os import environ
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import UnusableFile
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.verifying import Verdict

SCHEMA = "g4local.verify/1"
"""The name and version of the object that --json prints."""


def verify(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A name that `ls` shows, or a GGUF; without it, all in the models folder.",
            autocompletion=completion.models,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Tell whether models are what they were, by their hashes.

    They are read again, and compared with how they were pulled, with what a receipt says, and with what was found the
    last time. Exit code 4: something differs.
    """
    from g4local import verifying

    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        verdicts = verifying.verify(model, paths(environ), bar.report, cancel)
    broken = [each for each in verdicts if not each.is_whole]
    if as_json:
        files: dict[str, Json] = {"files": list[Json](map(_object, verdicts))}
        output.json_line({"schema": SCHEMA, "ok": not broken, **files})
    else:
        _print(verdicts)
    if broken:
        raise typer.Exit(UnusableFile.exit_code)


def _print(verdicts: list["Verdict"]) -> None:
    if not verdicts:
        output.note("There is no model in the models folder.")
        return
    rows = [(each.path.name, output.human_bytes(each.nbytes), each.digest[:16] or "-", each.state) for each in verdicts]
    output.table(("FILE", "SIZE", "SHA-256", "STATE"), rows, ("SHA-256", "STATE"))
    for each in verdicts:
        for note in each.notes:
            output.note(output.in_one_line(f"{each.path.name} {note}."))
        for problem in each.problems:
            output.warning(f"{each.path.name} {problem.removesuffix('.')}.")


def _object(verdict: "Verdict") -> dict[str, Json]:
    return {
        "name": verdict.path.name,
        "path": str(verdict.path),
        "bytes": verdict.nbytes,
        "sha256": verdict.digest or None,
        "ok": verdict.is_whole,
        "against": list[Json](verdict.against),
        "problems": list[Json](verdict.problems),
        "notes": list[Json](verdict.notes),
    }
