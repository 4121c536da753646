"""`g4local sessions rm`: conversations that go for good; several at once are shown and asked for before."""

from dataclasses import dataclass
from os import environ
from time import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from g4local.cli import asking, completion, options, output
from g4local.cli.kept import named, opened
from g4local.core.errors import G4Error, UsageError
from g4local.core.messages import Json
from g4local.core.units import seconds
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.store.store import Store
    from g4local.store.values import Session

_SHOWN = 20
"""Sessions that are listed before the question."""


def _age(value: str) -> float:
    """A parser of ages: 30d, 12h."""
    try:
        return seconds(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is no time such as 30d or 12h.") from None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which sessions are to be removed, and how; each field is a flag."""

    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids, or their beginnings.", autocompletion=completion.sessions),
    ] = None
    everything: Annotated[bool, typer.Option("--all", help="All sessions.")] = False
    older_than: Annotated[
        Any,
        typer.Option("--older-than", metavar="TIME", parser=_age, help="Those not used for so long, such as 30d."),
    ] = None
    keep_snapshots: Annotated[
        bool, typer.Option("--keep-snapshots", help="Keep what models have read for them, and hold what was said.")
    ] = False
    yes: options.Yes = False
    dry_run: options.DryRun = False


@options.takes(Choice)
def rm(choice: Choice, as_json: options.AsJson = False) -> None:
    """Remove sessions for good, and all snapshots; what forks share with them stays.

    With --all and --older-than they are shown, and asked for.
    """
    from g4local.forgetting import forget
    from g4local.tools import permissions

    places = paths(environ)
    permissions.read(places.permissions)  # one that can't be understood is told before anything is asked
    lost: list[int] = []
    with opened() as store:
        chosen = _chosen(store, choice)
        if not choice.dry_run:
            _ask(choice, chosen)
            lost = forget(store, chosen, places, keep_snapshots=choice.keep_snapshots)
    if as_json:
        removed: dict[str, Json] = {"removed": [session.id for session in chosen], "dry_run": choice.dry_run}
        freed: dict[str, Json] = {"snapshots": len(lost), "snapshots_bytes": sum(lost)}
        output.json_line({"schema": "g4local.sessions.rm/1", **removed, **freed})
    else:
        _tell(choice, chosen, lost)


def _chosen(store: "Store", choice: Choice) -> list["Session"]:
    if not choice.everything and choice.older_than is None:
        return list({session.id: session for session in named(store, choice.names)}.values())
    if choice.names or (choice.everything and choice.older_than is not None):
        raise UsageError("Ids, --all and --older-than are three ways to say which.", "Give one of them.")
    return [each for each in store.sessions() if choice.everything or each.updated < time() - choice.older_than]


def _ask(choice: Choice, chosen: list["Session"]) -> None:
    """Ask for those that nobody has named; Exit where the answer is no, UsageError where nobody can be asked."""
    if choice.yes or choice.names or not chosen:
        return
    shown = [_row(session) for session in chosen[:_SHOWN]]
    if len(chosen) > _SHOWN:
        shown.append(f"and {len(chosen) - _SHOWN:,} more")
    what = "this session" if len(chosen) == 1 else f"these {len(chosen):,} sessions"
    if not asking.may_remove(shown, f"Remove {what} for good?"):
        output.note("Nothing was removed.")
        raise typer.Exit(G4Error.exit_code)


def _row(session: "Session") -> str:
    from g4local.store.transcript import here

    return output.in_one_line(f"{session.id}  {here(session.updated)}  {session.title}")


def _tell(choice: Choice, chosen: list["Session"], lost: list[int]) -> None:
    for session in chosen:
        output.line(f"{'would remove' if choice.dry_run else 'removed'} {session.id}  {session.title}")
    if not chosen:
        output.note("No session is so old." if choice.older_than is not None else "There is no session.")
    if lost:
        count = f"{len(lost)} snapshots" if len(lost) > 1 else "The snapshot"
        output.note(
            f"{count} ({output.human_bytes(sum(lost))}) removed, also of other sessions: a snapshot holds what was "
            "said, not in which session. Other chats are read once more when they go on."
        )
