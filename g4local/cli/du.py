"""`g4local du`: what lies where, and how much of it."""

from os import environ

from g4local.cli import options, output
from g4local.core.messages import Json
from g4local.settings import paths

SCHEMA = "g4local.du/1"
"""The name and version of the object that --json prints."""


def du(as_json: options.AsJson = False) -> None:
    """Show what lies where on this disk, and how much."""
    from g4local import usage

    places = paths(environ)
    found = usage.places(places)
    total, free = sum(each.nbytes for each in found), usage.free(places)
    if as_json:
        rows: list[Json] = [
            {
                "name": each.name,
                "path": str(each.path),
                "files": each.files,
                "bytes": each.nbytes,
                "linked_bytes": each.linked_nbytes,
            }
            for each in found
        ]
        output.json_line({"schema": SCHEMA, "places": rows, "bytes": total, "free_bytes": free})
        return
    cells = [(each.name, output.human_bytes(each.nbytes), str(each.files), str(each.path)) for each in found]
    files = str(sum(each.files for each in found))
    output.table(("WHAT", "SIZE", "FILES", "WHERE"), [*cells, ("together", output.human_bytes(total), files, "")])
    if linked := sum(each.linked_nbytes for each in found):
        output.note(f"{output.human_bytes(linked)} more lie elsewhere, where links lead.")
    if free is not None:
        output.note(f"{output.human_bytes(free)} are free there.")
