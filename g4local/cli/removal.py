"""`g4local rm` and `g4local prune`: what leaves this disk is shown, asked for, and told."""

from collections.abc import Sequence
from os import environ
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import asking, completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import G4Error
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.removing import Leaving

RM_SCHEMA = "g4local.rm/1"
"""The name and version of the object that `rm --json` prints."""
PRUNE_SCHEMA = "g4local.prune/1"
"""The same of `prune --json`."""

_KINDS = {"mmproj": "towers", "part": "half a file"}


def rm(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="A name that `ls` shows, or a file there.", autocompletion=completion.removable
        ),
    ],
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Remove models, with what belongs to them alone.

    That is their receipts, and towers and drafters that fit no other model here.
    Of a model that was linked to, the link is removed, and never the file that it leads to.
    """
    from g4local import removing

    going = removing.models(models, paths(environ))
    _carry_out(going, RM_SCHEMA, yes=yes, dry_run=dry_run, as_json=as_json)


def prune(yes: options.Yes = False, dry_run: options.DryRun = False, as_json: options.AsJson = False) -> None:
    """Remove what nothing uses: half files, what lost its model.

    Half files are what killed downloads and conversions left behind, checkpoints those that were pulled to be
    converted and were not; such a download begins anew. Towers, drafters,
    receipts and snapshots go when their model is gone, conversions when their checkpoint is gone or has changed.
    """
    from g4local import library, removing

    places, cancel = paths(environ), Event()
    with output.Bar() as bar, interruptible(cancel):
        going = removing.unused(places, bar.report, cancel)
    _carry_out(going, PRUNE_SCHEMA, yes=yes, dry_run=dry_run, as_json=as_json)
    if not as_json:
        for link in library.away(places):
            told = f"{link} leads to a file that is not there now; `g4local rm {link.stem}` removes the link."
            output.note(output.in_one_line(told))


def _carry_out(going: Sequence["Leaving"], schema: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    from g4local import removing

    if not (dry_run or yes or not going) and not _is_wanted(going):
        output.note("Nothing was removed.")
        raise typer.Exit(G4Error.exit_code)
    gone: list[Leaving] = []
    for each in going:
        if not dry_run and not removing.remove(each):
            output.note(output.in_one_line(f"{each.path} stays: somebody writes it now."))
            continue
        gone.append(each)
        if not as_json:
            output.line(f"{'would remove' if dry_run else 'removed'} {_row(each)}")
    if as_json:
        removed: dict[str, Json] = {"removed": list[Json](map(_object, gone)), "dry_run": dry_run}
        output.json_line({"schema": schema, **removed, "bytes": sum(each.nbytes for each in gone)})
        return
    if summary := _summary(going, gone, dry_run=dry_run):
        output.note(summary)


def _is_wanted(going: Sequence["Leaving"]) -> bool:
    """Whether the person says yes to all of it; UsageError where nobody can be asked."""
    return asking.may_remove([*map(_row, going)], f"Remove {'it' if len(going) == 1 else 'these'} ({_total(going)})?")


def _row(leaving: "Leaving") -> str:
    kind = _KINDS.get(leaving.kind, leaving.kind)
    return output.in_one_line(f"{leaving.path}  {kind}, {output.human_bytes(leaving.nbytes)}, {leaving.why}")


def _summary(going: Sequence["Leaving"], gone: Sequence["Leaving"], *, dry_run: bool) -> str:
    if not going:
        return "There is nothing that nothing uses."
    if not gone:
        return "Nothing was removed."
    if not any(each.nbytes for each in gone):
        return ""
    return f"{_total(gone)} would be freed." if dry_run else f"{_total(gone)} freed."


def _total(leaving: Sequence["Leaving"]) -> str:
    return output.human_bytes(sum(each.nbytes for each in leaving))


def _object(leaving: "Leaving") -> dict[str, Json]:
    return {"path": str(leaving.path), "kind": leaving.kind, "bytes": leaving.nbytes, "why": leaving.why}
