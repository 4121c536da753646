"""`g4local ls`: which models there are."""

from datetime import UTC, datetime
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import options, output
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.inventory import Local
    from g4local.library import Model

SCHEMA = "g4local.ls/1"
"""The name and version of the object that --json prints."""


def ls(
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the names only.")] = False,
    remote: Annotated[
        bool, typer.Option("--remote", help="List what `pull` knows by name, and what of it fits here.")
    ] = False,
) -> None:
    """List the models that have a name here."""
    if remote:
        from g4local.cli.remote import ls_remote

        ls_remote(as_json=as_json, quiet=quiet)
        return

    from g4local import inventory, library

    places = paths(environ)
    if quiet:
        for model in library.listed(places):
            output.line(model.name)
        return
    entries = [{**_entry(found), "known_as": _known_as(found.model)} for found in inventory.listed(places)]
    if as_json:
        output.json_line({"schema": SCHEMA, "models": list[Json](entries)})
    else:
        heads = ["name", "quant", "size", "modified"]
        if any(entry["known_as"] for entry in entries):
            heads.append("known as")
        rows = [
            {**entry, "modified": str(entry["modified"])[:10], "size": _size(entry), "known as": entry["known_as"]}
            for entry in entries
        ]
        cells = [[str(row[head] or "-") for head in heads] for row in rows]
        output.table([head.upper() for head in heads], cells, ("KNOWN AS",))
        for part in library.left_over(places):
            output.note(_left(part))


def _known_as(model: "Model") -> str | None:
    from g4local import pins

    pin = pins.of(model.path) if model.kind == "gguf" else None
    return pin.called if pin else None


def _size(entry: dict[str, Json]) -> str:
    """How large a model is, and what of it: a checkpoint is smaller once it is quantized."""
    from g4local.inventory import AWAY

    if entry["quant"] == AWAY:
        return "-"
    return f"{entry['size']} (checkpoint)" if entry["kind"] == "checkpoint" else str(entry["size"])


def _left(part: Path) -> str:
    from g4local.hub.transfer import is_part

    if is_part(part):
        return f"{part} is the beginning of a download; pulling again goes on, `g4local prune` removes it."
    return f"{part} is left of a conversion that was killed; `g4local prune` removes it."


def _entry(found: "Local") -> dict[str, Json]:
    """What `ls` tells of a model."""
    model = found.model
    return {
        "name": model.name,
        "quant": found.quant,
        "bytes": found.nbytes,
        "size": output.human_bytes(found.nbytes),
        "modified": datetime.fromtimestamp(found.modified, UTC).isoformat(timespec="seconds"),
        "path": str(model.path),
        "kind": model.kind,
    }
