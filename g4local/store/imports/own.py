"""g4local's own sessions: what `sessions export --format json` prints, and the store that `sessions backup` writes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from g4local.core.errors import StoreError, UsageError
from g4local.core.messages import from_dict
from g4local.store import transcript
from g4local.store.database import MIGRATIONS
from g4local.store.imports.values import Imported, ImportedTurn, Node, fingerprint, items, seconds, table, text
from g4local.store.store import Store
from g4local.store.transcript import SCHEMA as SCHEMA


def read(session: dict[str, Any]) -> Imported:
    """A session with its branches and its turns; UsageError where a message is none."""
    entries = [table(entry) for entry in items(session.get("messages"))]
    turns = [table(turn) for turn in items(session.get("turns"))]
    places = {_key(entry.get("id")): index for index, entry in enumerate(entries)}
    numbers = {_key(turn.get("id")): index for index, turn in enumerate(turns)}
    nodes = []
    for index, entry in enumerate(entries):
        parent = places.get(_key(entry.get("parent")))
        nodes.append(
            Node(
                from_dict(table(entry.get("message"))),
                parent if parent is not None and parent < index else None,
                moment(entry.get("created")),
                numbers.get(_key(entry.get("turn"))),
            )
        )
    head = places.get(_key(session.get("head")))
    for draft in items(session.get("draft")):
        nodes.append(Node(from_dict(table(draft)), head))
        head = len(nodes) - 1
    name, updated = text(session.get("id")), moment(session.get("updated"))
    return Imported(
        source=f"g4local:{f'{name}:{updated}' if name else fingerprint(session)}",
        title=text(session.get("title")),
        nodes=nodes,
        head=head,
        created=moment(session.get("created")),
        updated=updated,
        turns=[ImportedTurn(table(each.get("settings")), table(each.get("result")) or None) for each in turns],
        own_id=name,
    )


def stored(path: Path) -> Iterator[Imported]:
    """The sessions of a store, which is left as it is; UsageError for one that is newer or damaged."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        with closing(opened(path)) as source, closing(sqlite3.connect(copy)) as target:
            version = source.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise UsageError(f"{path} was written by a newer g4local (schema {version}).", "Update g4local.")
            source.backup(target)
        try:
            with Store(copy) as store:
                for session in reversed(store.sessions()):
                    yield read(transcript.session_object(transcript.read(store, session)))
        except StoreError as error:
            raise UsageError(f"{path} is damaged.", "Take an older backup, if there is one.") from error


def opened(path: Path) -> sqlite3.Connection:
    """A database that is only read; where nobody writes it, also one on a disk that can't be written."""
    is_written = path.with_name(f"{path.name}-wal").exists()
    return sqlite3.connect(f"{path.absolute().as_uri()}?{'mode=ro' if is_written else 'immutable=1'}", uri=True)


def moment(value: Any) -> float:
    """A time in ISO 8601 as seconds since 1970, UTC where it names no zone; 0 where it is none."""
    try:
        when = datetime.fromisoformat(text(value))
        return seconds((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0


def _key(value: Any) -> Any:
    return value if isinstance(value, int | str) else None
