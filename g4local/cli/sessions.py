"""`g4local sessions`: the conversations that were kept."""

import sys
from collections.abc import Callable
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from g4local.cli import completion, options, output
from g4local.cli.forgetting import rm
from g4local.cli.kept import named, opened
from g4local.cli.replay import replay
from g4local.core.errors import UsageError
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.store.store import Store
    from g4local.store.transcript import Transcript
    from g4local.store.upkeep import Hit
    from g4local.store.values import Session

_MOST = 2**31 - 1
_FEW = 20
"""Sessions or messages that are listed when nobody says how many."""


Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="A session's id, or its beginning.", autocompletion=completion.sessions),
]
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Ids, or their beginnings.", autocompletion=completion.sessions),
]
Limit = Annotated[int, typer.Option("--limit", "-l", min=1, max=_MOST, metavar="N", help="How many to list.")]
Format = Annotated[
    Literal["md", "json", "jsonl"],
    typer.Option("--format", "-f", help="md is for people, json the whole tree, jsonl chat messages (OpenAI's)."),
]

sessions = typer.Typer(invoke_without_command=True)


@sessions.callback()
def _listed(context: typer.Context) -> None:
    """List, show, find, fork, export, import or remove sessions."""
    if context.invoked_subcommand is None:
        ls()


@sessions.command()
def ls(
    most: Limit = _FEW,
    everything: Annotated[bool, typer.Option("--all", help="List all of them.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """List the sessions, the one that was used last first."""
    from g4local.store.transcript import head_object, here

    found, total = [], 0
    if paths(environ).sessions.exists():
        with opened() as store:
            found, total = store.sessions(-1 if everything else most), store.count()
    if as_json:
        listed: list[Json] = [head_object(each) for each in found]
        output.json_line({"schema": "g4local.sessions.ls/1", "total": total, "sessions": listed})
        return
    if not total:
        output.note("There is no session yet; g4local chat demo begins one.")
        return
    rows = [[each.id, here(each.updated), *_about(each)] for each in found]
    output.table(["ID", "USED", "MESSAGES", "MODEL", "TITLE"], rows, ("TITLE", "MODEL"))
    if len(found) < total:
        output.note(f"{len(found)} of {total}; --all shows the rest.")


@sessions.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", help="A session's id, or its beginning; the last one.", autocompletion=completion.sessions
        ),
    ] = None,
    branches: Annotated[
        bool, typer.Option("--branches", help="List the ends of all branches instead: what was edited or taken back.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what was said, each message with its number; --json prints the whole tree, and how each turn was asked."""
    from g4local.store import transcript
    from g4local.store.upkeep import leaves
    from g4local.store.values import numbers

    with opened() as store:
        session = store.find(name) if name is not None else store.last()
        found = transcript.read(store, session)
    number = numbers(found.tree)
    if as_json:
        output.json_line(transcript.session_object(found))
    elif branches:
        rows = [
            [
                str(number[each.id]),
                "*" if each.id == session.head else "",
                transcript.heading(each.message),
                output.shortened(each.message.text),
            ]
            for each in leaves(found.tree)
        ]
        output.table(["END", "", "WHO", "TEXT"], rows, ("TEXT",))
        output.note("* is where the session goes on.")
    else:
        from g4local.cli.wrapping import wrapped

        output.answer(wrapped(transcript.markdown(found, number), output.columns(sys.stdout)))


@sessions.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORD", help='All of these words; "a phrase" in quotes.')],
    most: Limit = _FEW,
    as_json: options.AsJson = False,
) -> None:
    """Find messages by their words, the best first; branches that were left are searched, too."""
    from g4local.store import upkeep
    from g4local.store.values import numbers

    query = " ".join(words)
    with opened() as store:
        hits = upkeep.search(store, query, most)
        places = {hit.session: numbers(store.tree(store.find(hit.session))) for hit in hits}
    found = [(hit, places[hit.session][hit.message]) for hit in hits]
    if as_json:
        listed: list[Json] = [_hit_object(*each) for each in found]
        output.json_line({"schema": "g4local.sessions.search/1", "query": query, "hits": listed})
    elif hits:
        rows = [
            [hit.session, str(number), hit.role, output.shortened(hit.snippet), output.shortened(hit.title)]
            for hit, number in found
        ]
        output.table(["ID", "MESSAGE", "WHO", "TEXT", "TITLE"], rows, ("TEXT", "TITLE"))
    else:
        output.note("Nothing was found.")


@sessions.command()
def fork(
    name: Id,
    at: Annotated[
        int | None, typer.Option("--at", metavar="N", help="The message that it ends with, by its number in `show`.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Begin a session as another one does; what both share is kept once."""
    from g4local.store import upkeep
    from g4local.tools import permissions

    rules = paths(environ).permissions
    permissions.read(rules)  # when it can't be, that is told before there is a fork
    with opened() as store:
        session = store.find(name)
        fork = upkeep.fork(store, session, None if at is None else _message(store, session, at))
    permissions.hand_on(rules, session.id, fork)
    if as_json:
        output.json_line({"schema": "g4local.sessions.fork/1", "session": fork, "forked_from": session.id})
    else:
        output.line(fork)


sessions.command()(replay)


@sessions.command()
def export(
    names: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="All sessions, the oldest first.")] = False,
    form: Format = "md",
) -> None:
    """Print sessions as Markdown, or as JSON with one session a line."""
    from g4local.store import transcript

    printed: dict[str, Callable[[Transcript], None]] = {
        "md": lambda each: output.answer(transcript.markdown(each)),
        "json": lambda each: output.json_line(transcript.session_object(each)),
        "jsonl": lambda each: output.json_line(transcript.chat_object(each)),
    }
    with opened() as store:
        for number, session in enumerate(store.sessions()[::-1] if everything else named(store, names)):
            if number and form == "md":
                output.line()
            printed[form](transcript.read(store, session))


@sessions.command(name="import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files, or folders of such files.")],
    as_json: options.AsJson = False,
) -> None:
    """Take in conversations of LM Studio, llm (logs.db), ChatGPT or g4local (json, backups), once each."""
    from g4local.store import imports
    from g4local.store.store import Store

    added: list[Json] = []
    failed: list[Json] = []
    known = left_out = 0
    chosen = imports.files(files)
    with Store(paths(environ).sessions) as store:
        for file in chosen:
            try:
                for found in imports.read(file):
                    session = imports.add(store, found) if found.nodes else None
                    known += session is None
                    left_out += found.left_out if session is not None or not found.nodes else 0
                    if session is not None:
                        entry: dict[str, Json] = {"id": session, "title": store.find(session).title}
                        added.append({**entry, "message_count": len(found.nodes)})
            except UsageError as error:
                if len(chosen) == 1:
                    raise
                output.warning(error.message)
                failed.append(str(file))
    if left_out:
        parts = _counted(left_out, "part", "that is no text was", "that are no text were")
        output.warning(f"{parts} left out (images, files, what tools did).")
    if as_json:
        counts: dict[str, Json] = {"known": known, "left_out": left_out, "failed": failed}
        output.json_line({"schema": "g4local.sessions.import/1", "imported": added, **counts})
    else:
        output.line(f"imported {_counted(len(added), 'session')}; {known} are here already or are empty")
    raise typer.Exit(1 if failed else 0)


def _counted(count: int, noun: str, one: str = "", more: str = "") -> str:
    return f"1 {noun} {one}".rstrip() if count == 1 else f"{count} {noun}s {more}".rstrip()


sessions.command()(rm)


@sessions.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")], as_json: options.AsJson = False
) -> None:
    """Copy all sessions into a new file, also while they are used."""
    from g4local.store import upkeep

    with opened() as store:
        upkeep.backup(store, target)
    nbytes = target.stat().st_size
    if as_json:
        output.json_line({"schema": "g4local.sessions.backup/1", "path": str(target.absolute()), "bytes": nbytes})
    else:
        output.line(f"{target}  {output.human_bytes(nbytes)}")


def _message(store: "Store", session: "Session", number: int) -> int:
    """The message of a session that has this number."""
    tree = store.tree(session)
    if not 1 <= number <= len(tree):
        raise UsageError(
            f"Session {session.id} has no message {number}.", f"`g4local sessions show {session.id}` tells the numbers."
        )
    return tree[number - 1].id


def _about(session: "Session") -> list[str]:
    return [str(session.messages), output.shortened(session.setting("model")), output.shortened(session.title)]


def _hit_object(hit: "Hit", number: int) -> dict[str, Json]:
    from g4local.store.transcript import moment

    return {
        "session": hit.session,
        "title": hit.title,
        "message": hit.message,
        "number": number,
        "role": hit.role,
        "created": moment(hit.created),
        "snippet": hit.snippet,
    }
