"""The session store: sessions, their messages and turns, written in short transactions that two processes can mix.

What is done between `with store.writing()` and its end appears as a whole, and is on the disk then.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from time import time
from typing import Any, Self, cast

from g4local.core.errors import StoreError, UsageError
from g4local.core.messages import Json, Message, to_dict
from g4local.store import values
from g4local.store.database import connect, told
from g4local.store.values import STORED, Session, Stored, Turn, storable, title_of

_ID_BYTES, _ID_TRIES = 4, 20
_LONGEST_NAME = 40
"""Characters of a name that are repeated in an error."""

PATH = """WITH RECURSIVE path (id) AS (
    SELECT :head UNION ALL
    SELECT messages.parent FROM path JOIN messages USING (id) WHERE messages.parent IS NOT NULL)"""
"""The message `:head` and all that were said before it."""

_SESSION = """
    SELECT sessions.id, title, head, coalesce(messages.depth, 0), turns.settings, forked_from, sessions.created, updated
    FROM sessions LEFT JOIN messages ON messages.id = head LEFT JOIN turns ON turns.id = coalesce(
        messages.turn, (SELECT max(turn) FROM messages AS own WHERE own.session = sessions.id))"""


class Store:
    """An open session store; the errors of all its methods are StoreError, and UsageError for an unknown session."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was written stays."""
        self.database.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction: all that is written inside, or nothing of it."""
        with told(self.path):
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.database.execute("COMMIT")
            except BaseException:
                if self.database.in_transaction:
                    self.database.execute("ROLLBACK")
                raise

    def rows(self, query: str, given: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with told(self.path):
            return self.database.execute(query, given).fetchall()

    def sessions(self, most: int = -1) -> list[Session]:
        """The sessions, the one that was written to last first; `most` of them, or all."""
        rows = self.rows(f"{_SESSION} ORDER BY updated DESC, sessions.rowid DESC LIMIT ?", (most,))
        with told(self.path):
            return [values.session(row) for row in rows]

    def count(self) -> int:
        """How many sessions there are."""
        [(count,)] = self.rows("SELECT count(*) FROM sessions")
        return int(count)

    def find(self, name: str) -> Session:
        """The session with this id, or the only one whose id begins so."""
        found = self.rows(f"{_SESSION} WHERE substr(sessions.id, 1, ?) = ? LIMIT 2", (len(name), name)) if name else []
        if len(found) == 1:
            with told(self.path):
                return values.session(found[0])
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        if not found:
            raise UsageError(f"There is no session {shown!r}.", "`g4local sessions ls` lists them.")
        raise UsageError(f"More than one session begins with {shown!r}.", "Give more of its id.")

    def last(self) -> Session:
        """The session that was written to last, of those that something is said in."""
        newest = self.rows(f"{_SESSION} WHERE head IS NOT NULL ORDER BY updated DESC, sessions.rowid DESC LIMIT 1")
        if not newest:
            raise UsageError("There is no session yet.", "g4local chat MODEL begins one.")
        with told(self.path):
            return values.session(newest[0])

    def path_to(self, head: int | None) -> list[Stored]:
        """The messages from the beginning to this one, in order."""
        query = f"{PATH} SELECT {STORED} FROM path JOIN messages USING (id)"
        with told(self.path):
            return [values.stored(row) for row in sorted(self.rows(query, {"head": head}), key=itemgetter(0))]

    def tree(self, session: Session) -> list[Stored]:
        """All messages of a session, those of its other branches and those that it shares included; parents first."""
        query = f"""{PATH} SELECT {STORED} FROM messages
            WHERE session = :session OR id IN (SELECT id FROM path)"""
        with told(self.path):
            rows = self.rows(query, {"head": session.head, "session": session.id})
            found = {row[0]: values.stored(row) for row in rows}
        for parent in {each.parent for each in found.values()} - {None, *found}:
            found |= {shared.id: shared for shared in self.path_to(parent)}
        return sorted(found.values(), key=lambda each: each.id)

    def turns(self, messages: Iterable[Stored]) -> list[Turn]:
        """The turns in which these messages were said, in order."""
        numbers = sorted({each.turn for each in messages if each.turn is not None})
        query = "SELECT id, settings, result, created FROM turns WHERE id = ?"
        with told(self.path):
            return [values.turn(row) for number in numbers for row in self.rows(query, (number,))]

    def draft(self, session: Session) -> list[Message]:
        """What was said of a reply that follows the session's head, and is not over or never will be."""
        query = "SELECT entries FROM drafts WHERE session = ? AND parent = ? ORDER BY id DESC LIMIT 1"
        rows = self.rows(query, (session.id, session.head))
        with told(self.path):
            return [message for row in rows for message in values.drafted(row[0])]

    def resume(self, name: str | None) -> Session:
        """The session with this id, or the last one, to be gone on with: a reply that a crash cut off is part of it."""
        session = self.find(name) if name is not None else self.last()
        if self.rows("SELECT id FROM drafts WHERE session = ? LIMIT 1", (session.id,)):
            with self.writing():
                self._adopt_drafts(self.find(session.id))
            session = self.find(session.id)
        return session

    def start(
        self, title: str, *, forked_from: str | None = None, source: str | None = None, created: float = 0
    ) -> str:
        """Begin a session, inside `writing`; its id."""
        now = created or time()
        query = """INSERT INTO sessions (id, title, forked_from, source, created, updated) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO NOTHING"""
        for _ in range(_ID_TRIES):
            name = os.urandom(_ID_BYTES).hex()
            given = (name, title_of(storable(title)), forked_from, source, now, now)
            if self.database.execute(query, given).rowcount:
                return name
        raise StoreError("No id is free for another session.", "Remove some: g4local sessions rm ID.")

    def begin_turn(self, settings: Mapping[str, Json]) -> int:
        """Note what a turn is asked with, inside `writing`; its number."""
        added = self.database.execute(
            "INSERT INTO turns (settings, created) VALUES (?, ?)", (json.dumps(dict(settings)), time())
        )
        return cast(int, added.lastrowid)

    def end_turn(self, turn: int, result: Mapping[str, Json]) -> None:
        """Note how a turn ended, inside `writing`."""
        self.database.execute("UPDATE turns SET result = ? WHERE id = ?", (json.dumps(dict(result)), turn))

    def append(
        self, session: str, parent: int | None, message: Message, *, turn: int | None = None, created: float = 0
    ) -> int:
        """Add a message behind another one, inside `writing`; its number. The session's head stays where it is."""
        added = self.database.execute(
            """INSERT INTO messages (depth, parent, session, turn, role, text, rest, created)
            VALUES (1 + coalesce((SELECT depth FROM messages WHERE id = ?), 0), ?, ?, ?, ?, ?, ?, ?)""",
            (parent, parent, session, turn, *values.columns(message), created or time()),
        )
        return cast(int, added.lastrowid)

    def move_head(self, session: str, head: int | None, *, updated: float = 0) -> None:
        """Let a session end in this message, inside `writing`."""
        query = "UPDATE sessions SET head = ?, updated = ? WHERE id = ?"
        self.database.execute(query, (head, updated or time(), session))

    def keep_draft(
        self, draft: int | None, session: str, parent: int, turn: int | None, said: Sequence[Message]
    ) -> int:
        """Keep what was said of a reply, in place of the draft with this number, inside `writing`; its number."""
        added = self.database.execute(
            "INSERT OR REPLACE INTO drafts (id, session, parent, turn, entries) VALUES (?, ?, ?, ?, ?)",
            (draft, session, parent, turn, json.dumps([to_dict(message) for message in said])),
        )
        return cast(int, added.lastrowid)

    def drop_draft(self, draft: int) -> None:
        """Forget a draft, inside `writing`: its reply is a message now."""
        self.database.execute("DELETE FROM drafts WHERE id = ?", (draft,))

    def _adopt_drafts(self, session: Session) -> None:
        """Make messages of a session's drafts; one that follows the head becomes the head."""
        head = session.head
        query = "SELECT id, parent, turn, entries FROM drafts WHERE session = ? ORDER BY id"
        for draft, parent, turn, entries in self.rows(query, (session.id,)):
            last = parent
            for message in values.drafted(entries):
                last = self.append(session.id, last, message, turn=turn)
            if head == parent:
                self.move_head(session.id, last, updated=session.updated)
                head = last
            self.drop_draft(draft)
