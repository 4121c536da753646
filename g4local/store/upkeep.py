"""What is done with sessions that are there: found by their words, forked, removed, copied to a safe place."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from g4local.core.errors import StoreError, UsageError, reason
from g4local.store.database import told
from g4local.store.store import PATH, Store
from g4local.store.values import Session, Stored, storable, title_of

_TABLES = ("sessions", "turns", "messages", "drafts", "words")
"""What a store is made of."""
_SNIPPET_WORDS = 16
_SNIPPET_CHARACTERS = 60
"""Characters before and after what was found inside of words."""
_INDEX_ANEW = (
    "INSERT INTO words (words) VALUES ('delete-all')",
    """INSERT INTO words (rowid, text)
        SELECT id, text FROM messages WHERE role IN ('user', 'assistant') AND text <> ''""",
)
"""Leaves nothing of removed words in the index. FTS5's own `optimize` does so, too, but adds a level to its structure
each time, and calls it malformed once there are 2000."""
_PHRASE = re.compile(r'"([^"]+)"|(\S+)')

_HIT = "messages.id, messages.session, sessions.title, messages.role, messages.created"
_FROM = "messages JOIN sessions ON sessions.id = messages.session"
_TURNS_IN_USE = """SELECT turn FROM messages WHERE turn IS NOT NULL
    UNION SELECT turn FROM drafts WHERE turn IS NOT NULL"""
"""A reply that is being said may be all that there is of its turn: an answer that is asked for again."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A message in which something was found."""

    message: int
    session: str
    title: str
    role: str
    created: float
    snippet: str
    """The words around it."""


def search(store: Store, words: str, most: int) -> list[Hit]:
    """The messages of users and models in which all of these words are, the best first.

    Words in quotation marks stand together; any other may be the beginning of one. Where no message has them as words,
    the text as it is typed is looked for, also inside of words: some languages put nothing between theirs.
    """
    words = words.replace("\0", " ")
    phrases = [
        f'"{phrase}"' if phrase else '"{}" *'.format(word.replace('"', '""')) for phrase, word in _PHRASE.findall(words)
    ]
    if not phrases:
        raise UsageError("There is nothing to look for.", "Give a word.")
    query = f"""SELECT {_HIT}, snippet(words, 0, '', '', '…', {_SNIPPET_WORDS})
        FROM words JOIN messages ON messages.id = words.rowid JOIN sessions ON sessions.id = messages.session
        WHERE words MATCH ? ORDER BY rank LIMIT ?"""
    found = [Hit(*row) for row in store.rows(query, (" AND ".join(phrases), most))]
    return found or _inside_words(store, words.strip(), most)


def _inside_words(store: Store, text: str, most: int) -> list[Hit]:
    """The messages that contain a text (ASCII letters in either case), the newest first."""
    pattern = re.sub(r"([\\%_])", r"\\\1", text)
    query = f"""SELECT {_HIT}, messages.text FROM {_FROM}
        WHERE role IN ('user', 'assistant') AND text LIKE ? ESCAPE '\\' ORDER BY messages.id DESC LIMIT ?"""
    found = [Hit(*row) for row in store.rows(query, (f"%{pattern}%", most))]
    return [replace(hit, snippet=_around(hit.snippet, text)) for hit in found]


def _around(text: str, found: str) -> str:
    start = max(0, text.lower().find(found.lower()))
    first, last = max(0, start - _SNIPPET_CHARACTERS), start + len(found) + _SNIPPET_CHARACTERS
    return f"{'…' if first else ''}{text[first:last]}{'…' if last < len(text) else ''}"


def leaves(messages: Sequence[Stored]) -> list[Stored]:
    """The ends of a tree's branches, in order."""
    parents = {each.parent for each in messages}
    return [each for each in messages if each.id not in parents]


def fork(store: Store, session: Session, at: int | None) -> str:
    """A session of its own that begins as this one does, up to a message (None: its head); the new one's id."""
    if at is not None and at not in {each.id for each in store.tree(session)}:
        raise UsageError(
            f"Session {session.id} has no message {at}.", f"`g4local sessions show {session.id} --branches` lists ends."
        )
    with store.writing():
        name = store.start(session.title, forked_from=session.id)
        store.move_head(name, session.head if at is None else at)
    return name


def rename(store: Store, session: Session, title: str) -> str:
    """Give a session another title, its first words on one line; what it is called now. UsageError for none."""
    if not title.strip():
        raise UsageError("A title has at least a letter.", "Give some words.")
    named = title_of(storable(title))
    with store.writing():
        store.database.execute("UPDATE sessions SET title = ? WHERE id = ?", (named, session.id))
    return named


def remove(store: Store, sessions: Sequence[Session]) -> None:
    """Remove sessions and all that only they hold; what forks share with them is theirs from then on.

    Nothing of it is left in the file, the words of its index included.
    """
    with store.writing():
        for session in sessions:
            _hand_over(store, session.id)
            store.database.execute("UPDATE sessions SET head = NULL WHERE id = ?", (session.id,))
            store.database.execute("DELETE FROM drafts WHERE session = ?", (session.id,))
            store.database.execute("DELETE FROM messages WHERE session = ?", (session.id,))
            store.database.execute("DELETE FROM sessions WHERE id = ?", (session.id,))
        store.database.execute(f"DELETE FROM turns WHERE id NOT IN ({_TURNS_IN_USE})")
        for statement in _INDEX_ANEW:
            store.database.execute(statement)
    store.rows("PRAGMA wal_checkpoint(TRUNCATE)")


def _hand_over(store: Store, session: str) -> None:
    """Give the messages of a session that others stand on to these others."""
    query = """SELECT sessions.id, head FROM sessions JOIN messages ON messages.id = head
            WHERE messages.session = :session AND sessions.id <> :session
        UNION SELECT child.session, child.parent FROM messages AS child JOIN messages AS mine ON mine.id = child.parent
            WHERE mine.session = :session AND child.session <> :session
        UNION SELECT drafts.session, parent FROM drafts WHERE drafts.session <> :session AND parent IS NOT NULL"""
    for heir, last in store.rows(query, {"session": session}):
        store.database.execute(
            f"{PATH} UPDATE messages SET session = :heir WHERE session = :session AND id IN (SELECT id FROM path)",
            {"head": last, "heir": heir, "session": session},
        )


def _expect_whole(store: Store) -> None:
    """StoreError for a store that lacks a table or has a damaged page: a copy of it would save nobody."""
    there = {row[0] for row in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = [name for name in _TABLES if name not in there]
    wrong = [f"it has no {name}" for name in missing] or [
        str(row[0]) for row in store.rows("PRAGMA quick_check(1)") if row[0] != "ok"
    ]
    if wrong:
        raise StoreError(
            f"The session store {store.path} is damaged: {wrong[0]}.", "Keep an older copy of it, if there is one."
        )


def backup(store: Store, target: Path) -> None:
    """Copy the whole store into a new file, also while others write to it; the file appears whole or not at all.

    Only its owner can read it. UsageError where it can't be begun, StoreError where it can't be written.
    """
    if target.exists():
        raise UsageError(f"{target} is there already.", "Give a name that is free.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}.", "Make it first, or name another.")
    part = target.with_name(f"{target.name}.part")
    with told(store.path):
        try:
            part.unlink(missing_ok=True)
            part.touch(mode=0o600, exist_ok=False)
            _expect_whole(store)
            store.database.execute("VACUUM INTO ?", (str(part),))
            part.replace(target)
        except (sqlite3.OperationalError, OSError) as error:
            raise StoreError(
                f"{target} can't be written: {reason(error)}.", "Check the disk, and its rights."
            ) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
