"""`g4local sessions`: the conversations that were kept."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from g4local.cli import completion, options, output
from g4local.core.errors import UsageError
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.store.store import Store
    from g4local.store.transcript import Transcript
    from g4local.store.upkeep import Hit
    from g4local.store.values import Session

_MOST = 2**31 - 1
_WIDEST = 100
"""Characters of a line that repeats a message."""

Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="A session's id, or its beginning.", autocompletion=completion.sessions),
]
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Ids, or their beginnings.", autocompletion=completion.sessions),
]
Format = Annotated[
    Literal["md", "json", "jsonl"],
    typer.Option("--format", "-f", help="md is for people, json the whole tree, jsonl chat messages (OpenAI's)."),
]

sessions = typer.Typer(no_args_is_help=True, help="List, show, find, fork, export, import or remove sessions.")


@sessions.command()
def ls(
    most: Annotated[int, typer.Option("--limit", "-l", min=1, max=_MOST, help="How many to list.")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """List the sessions, the one that was used last first."""
    from g4local.store.transcript import head_object, moment

    found = []
    if paths(environ).sessions.exists():
        with _store() as store:
            found = store.sessions(most)
    if as_json:
        output.json_line({"schema": "g4local.sessions.ls/1", "sessions": [head_object(each) for each in found]})
        return
    rows = [[each.id, moment(each.updated)[:16].replace("T", " "), *_about(each)] for each in found]
    output.table(["ID", "USED (UTC)", "MESSAGES", "MODEL", "TITLE"], rows)


@sessions.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="A session's id, or its beginning; the last one.", autocompletion=completion.sessions
        ),
    ] = None,
    branches: Annotated[
        bool, typer.Option("--branches", help="List the ends of all branches instead: what was edited or taken back.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what was said; --json prints the whole tree, with what each turn was asked with."""
    from g4local.store import transcript
    from g4local.store.upkeep import leaves

    with _store() as store:
        session = store.find(name) if name is not None else store.last()
        found = transcript.read(store, session)
    if as_json:
        output.json_line(transcript.session_object(found))
    elif branches:
        rows = [
            [
                str(each.id),
                "*" if each.id == session.head else "",
                transcript.heading(each.message),
                _line(each.message.text),
            ]
            for each in leaves(found.tree)
        ]
        output.table(["END", "", "WHO", "TEXT"], rows)
    else:
        output.answer(transcript.markdown(found))


@sessions.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help='All of these words; "a phrase" in quotes.')],
    most: Annotated[int, typer.Option("--limit", "-l", min=1, max=_MOST, help="How many messages to list.")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """Find messages by their words, the best first; branches that were left are searched, too."""
    from g4local.store import upkeep

    query = " ".join(words)
    with _store() as store:
        hits = upkeep.search(store, query, most)
    if as_json:
        output.json_line(
            {"schema": "g4local.sessions.search/1", "query": query, "hits": [_hit_object(hit) for hit in hits]}
        )
        return
    rows = [[hit.session, str(hit.message), hit.role, _line(hit.snippet), _line(hit.title)] for hit in hits]
    output.table(["ID", "MESSAGE", "WHO", "TEXT", "TITLE"], rows)


@sessions.command()
def fork(
    name: Id,
    at: Annotated[
        int | None, typer.Option("--at", metavar="N", help="The message that it ends with; see show --branches.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Begin a session as another one does; what both share is kept once."""
    from g4local.store import upkeep

    with _store() as store:
        session = store.find(name)
        fork = upkeep.fork(store, session, at)
    if as_json:
        output.json_line({"schema": "g4local.sessions.fork/1", "session": fork, "forked_from": session.id})
    else:
        output.line(fork)


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
    with _store() as store:
        for session in store.sessions()[::-1] if everything else _named(store, names):
            printed[form](transcript.read(store, session))


@sessions.command(name="import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files, or folders of LM Studio's.")],
    as_json: options.AsJson = False,
) -> None:
    """Take in conversations of LM Studio, llm (logs.db), ChatGPT (its export) or g4local (json); once each."""
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
                    if session is not None:
                        left_out += found.left_out
                        entry: dict[str, Json] = {"id": session, "title": store.find(session).title}
                        added.append({**entry, "message_count": len(found.nodes)})
            except UsageError as error:
                if len(chosen) == 1:
                    raise
                output.warning(error.message)
                failed.append(str(file))
    if left_out:
        output.warning(f"{left_out} parts that are no text (images, files, what tools did) were left out.")
    if as_json:
        counts: dict[str, Json] = {"known": known, "left_out": left_out, "failed": failed}
        output.json_line({"schema": "g4local.sessions.import/1", "imported": added, **counts})
    else:
        output.line(f"imported {len(added)} sessions; {known} are here already or are empty")
    raise typer.Exit(1 if failed else 0)


@sessions.command()
def rm(names: Ids = None, as_json: options.AsJson = False) -> None:
    """Remove sessions for good; what forks share with them stays."""
    from g4local.store import upkeep

    with _store() as store:
        gone = list({session.id: session for session in _named(store, names)}.values())
        upkeep.remove(store, gone)
    if gone:  # a snapshot holds what was said, and does not know in which session
        shutil.rmtree(paths(environ).snapshots, ignore_errors=True)
    if as_json:
        output.json_line({"schema": "g4local.sessions.rm/1", "removed": [session.id for session in gone]})
        return
    for session in gone:
        output.line(f"removed {session.id}  {session.title}")


@sessions.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")], as_json: options.AsJson = False
) -> None:
    """Copy all sessions into a new file, also while they are used."""
    from g4local.store import upkeep

    with _store() as store:
        upkeep.backup(store, target)
    nbytes = target.stat().st_size
    if as_json:
        output.json_line({"schema": "g4local.sessions.backup/1", "path": str(target.absolute()), "bytes": nbytes})
    else:
        output.line(f"{target}  {output.human_bytes(nbytes)}")


@contextmanager
def _store() -> Iterator["Store"]:
    from g4local.store.store import Store

    path = paths(environ).sessions
    if not path.exists():
        raise UsageError("There is no session yet.", "g4local chat demo begins one.")
    with Store(path) as store:
        yield store


def _named(store: "Store", names: Sequence[str] | None) -> list["Session"]:
    if not names:
        raise UsageError("No session is named.", "`g4local sessions ls` lists them.")
    return [store.find(name) for name in names]


def _about(session: "Session") -> list[str]:
    return [str(session.messages), _line(session.setting("model")), _line(session.title)]


def _hit_object(hit: "Hit") -> dict[str, Json]:
    from g4local.store.transcript import moment

    return {
        "session": hit.session,
        "title": hit.title,
        "message": hit.message,
        "role": hit.role,
        "created": moment(hit.created),
        "snippet": hit.snippet,
    }


def _line(text: str) -> str:
    """A text on one line of a table."""
    words = " ".join(text[: 4 * _WIDEST].split())
    return words if len(words) <= _WIDEST else f"{words[: _WIDEST - 1]}…"
