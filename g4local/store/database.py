"""The session store's file: its schema, how it grows from version to version, and what can be wrong with it.

A session is a place in a tree of messages: its `head` is the message that was said last, and what was said before is
found by going from parent to parent. Messages never change, so an edit or a fork is another child of a message that
both share, and nothing is lost.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from g4local.core.errors import StoreError, reason

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            title TEXT NOT NULL,
            head INTEGER REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
            forked_from TEXT,  -- the id of a session that may be gone
            source TEXT UNIQUE,  -- where an imported one comes from, so that it is imported once
            created REAL NOT NULL,
            updated REAL NOT NULL
        )""",
        """CREATE TABLE turns (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            settings TEXT NOT NULL,  -- JSON: model, sampling and all else that the turn was asked with
            result TEXT,  -- JSON: how it ended, its seed and its cost; NULL where it broke off
            created REAL NOT NULL
        )""",
        """CREATE TABLE messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            parent INTEGER REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
            session TEXT NOT NULL REFERENCES sessions (id),  -- where it was said; forks share it
            turn INTEGER REFERENCES turns (id),
            depth INTEGER NOT NULL,  -- messages from the beginning to this one
            role TEXT NOT NULL,
            text TEXT NOT NULL,  -- its words
            rest TEXT NOT NULL,  -- JSON: all else of core.messages.to_dict
            created REAL NOT NULL
        )""",
        "CREATE INDEX messages_parent ON messages (parent)",
        "CREATE INDEX messages_session ON messages (session)",
        "CREATE INDEX messages_turn ON messages (turn)",
        "CREATE INDEX sessions_head ON sessions (head)",
        "CREATE INDEX sessions_updated ON sessions (updated)",
        """CREATE TABLE drafts (  -- replies while they are being said; what a crash leaves here becomes a message
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
            parent INTEGER NOT NULL REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
            turn INTEGER REFERENCES turns (id),
            entries TEXT NOT NULL  -- JSON: a list of core.messages.to_dict
        )""",
        "CREATE INDEX drafts_session ON drafts (session)",
        "CREATE INDEX drafts_parent ON drafts (parent)",
        "CREATE VIRTUAL TABLE words USING fts5 (text, content = 'messages', content_rowid = 'id')",
        """CREATE TRIGGER words_are_added AFTER INSERT ON messages
            WHEN new.role IN ('user', 'assistant') AND new.text <> ''
            BEGIN INSERT INTO words (rowid, text) VALUES (new.id, new.text); END""",
        """CREATE TRIGGER words_are_removed AFTER DELETE ON messages
            WHEN old.role IN ('user', 'assistant') AND old.text <> ''
            BEGIN INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text); END""",
        """CREATE TRIGGER messages_are_final
            BEFORE UPDATE OF id, parent, turn, depth, role, text, rest, created ON messages
            BEGIN SELECT RAISE (ABORT, 'a message never changes'); END""",
    ),
)
"""Each version's statements; a store knows its version as `user_version`. Only ever append here."""

_PRIMARY = 0xFF
"""The bits of SQLite's error codes that tell the kind."""
_WAIT_SECONDS = 5.0
"""How long another process may keep the store to itself; its writes take milliseconds."""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """SQLite's errors as StoreError, which says which file it is about."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise StoreError(
            f"A session in {path} was removed while something was said in it.", "/clear begins a new one."
        ) from error
    except (sqlite3.Error, OSError, ValueError, RecursionError) as error:
        raise StoreError(f"The session store {path} can't be used: {reason(error)}.", _way_out(error)) from error


def _way_out(error: Exception) -> str:
    if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return "The disk is full, or failing; make room there."
    return "Move the file away if it is damaged; a new one is begun then."


def connect(path: Path) -> sqlite3.Connection:
    """Open the store, make it if there is none, and bring it up to date; StoreError when that can't be done.

    Transactions are begun by hand. Each commit is on the disk when it returns (WAL with synchronous=FULL).
    """
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
        database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(database, path)
        except BaseException:
            database.close()
            raise
    return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    _refuse_a_newer_one(database, path)
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("PRAGMA secure_delete = ON")
    database.execute("PRAGMA synchronous = FULL")
    is_current = _version(database) == len(MIGRATIONS)
    if database.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            _switch_to_wal(database)
        except sqlite3.OperationalError:
            if not is_current:  # a copy that can't be written can still be read
                raise
    if is_current:
        return
    database.execute("BEGIN IMMEDIATE")
    _refuse_a_newer_one(database, path)
    for number, statements in enumerate(MIGRATIONS[_version(database) :], _version(database) + 1):
        for statement in statements:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {number}")
    database.execute("COMMIT")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _refuse_a_newer_one(database: sqlite3.Connection, path: Path) -> None:
    if _version(database) > len(MIGRATIONS):
        raise StoreError(
            f"The session store {path} was written by a newer g4local (schema {_version(database)}; "
            f"this one knows {len(MIGRATIONS)}).",
            "Update g4local, or set G4LOCAL_HOME to another folder.",
        )


def _switch_to_wal(database: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side; SQLite does not wait here for another process, so this does."""
    give_up = monotonic() + _WAIT_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if monotonic() > give_up:
                raise
            sleep(0.02)
        else:
            return
