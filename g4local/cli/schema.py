"""`g4local schema`: JSON Schemas of what other commands print with --json and --stream-json."""

import json
from typing import Annotated, Any

import typer

from g4local.cli import completion, output
from g4local.core.errors import UsageError

PRINTED_BY = "x-printed-by"
"""The keyword under which a schema names the commands whose output it describes."""


def schema(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="A command, or a name of the list.", autocompletion=completion.schemas),
    ] = None,
) -> None:
    """Print the JSON Schema of a command's --json; list all.

    What is printed may get more keys. Should one go away or change its meaning, the number behind the slash changes.
    """
    from g4local import schemas

    known = {name: schemas.schema(name) for name in schemas.names()}
    if not command:
        output.table(("NAME", "OF"), [(name, ", ".join(each[PRINTED_BY])) for name, each in known.items()])
        return
    wanted = " ".join(command)
    found = known.get(wanted.replace(" ", "."), _printed_by(wanted, known))
    if found is None:
        raise UsageError(f"There is no schema of {wanted!r}.", "`g4local schema` lists all.")
    output.line(json.dumps(found, ensure_ascii=False, indent=1))


def _printed_by(command: str, known: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The schema of what a command prints with --json."""
    return next((each for each in known.values() if f"{command} --json" in each[PRINTED_BY]), None)
