"""Conversations of other programs: what kind of file it is, and how they get into the store."""

import json
import os
import sqlite3
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from g4local.core.errors import UsageError, reason
from g4local.store.imports import chat, chatgpt, llm, lm_studio, own
from g4local.store.imports.values import Imported, items, table
from g4local.store.store import Store

_LARGEST = 1 << 30
"""Bytes of a file, or of one in an archive, that is read into memory."""
_DATABASE, _ZIP = b"SQLite format 3\0", b"PK"
"""How these files begin."""
_FORMATS = (
    "Known are LM Studio's conversations, llm's logs.db, ChatGPT's export (zip, its folder or json), g4local's own "
    "json and backups, and OpenAI's chat messages."
)
_IN_FOLDERS = ("*.conversation.json", "conversations*.json")
"""LM Studio's, and those of ChatGPT's export once it is unpacked."""


def files(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant: a folder stands for those in it that are known by their names; UsageError for none."""
    found: list[Path] = []
    for path in paths:
        inside = {file for name in _IN_FOLDERS for file in path.rglob(name)} if path.is_dir() else {path}
        if not inside:
            raise UsageError(f"Nothing that is known was found in {path}.", _FORMATS)
        found += sorted(inside)
    return found


def read(path: Path) -> Iterator[Imported]:
    """The conversations in a file; UsageError for what can't be read."""
    try:
        with open(path, "rb", opener=_at_once) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise UsageError(f"{path} is a pipe or a device, and no file.", _FORMATS)
            begin = opened.read(len(_DATABASE))
            if begin.startswith(_ZIP):
                yield from _archived(path)
            elif begin == _DATABASE:
                yield from _kept(path)
            else:
                content = begin + opened.read(_LARGEST)
                if len(content) > _LARGEST:
                    raise UsageError(f"{path} is larger than any known export.", _FORMATS)
                yield from _parsed(content, path)
    except (OSError, ValueError, RecursionError, sqlite3.Error) as error:
        raise UsageError(f"{path} can't be read: {_why(error)}.", _FORMATS) from error


def add(store: Store, imported: Imported) -> str | None:
    """Put a conversation into the store; the id of its session, None when it is there already."""
    with store.writing():
        known = "SELECT id FROM sessions WHERE source = ? OR id = ?"
        if store.rows(known, (imported.source, imported.own_id)):
            return None
        session = store.start(imported.title, source=imported.source, created=imported.created)
        turns: list[int] = []
        for asked in imported.turns:
            turns.append(store.begin_turn(asked.settings))
            if asked.result is not None:
                store.end_turn(turns[-1], asked.result)
        numbers: list[int] = []
        for node in imported.nodes:
            parent = None if node.parent is None else numbers[node.parent]
            turn = None if node.turn is None else turns[node.turn]
            numbers.append(store.append(session, parent, node.message, turn=turn, created=node.created))
        head = None if imported.head is None else numbers[imported.head]
        store.move_head(session, head, updated=imported.updated)
    return session


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested beyond reason"
    return "it is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else reason(error)


def _at_once(path: str, flags: int) -> int:
    """Open it without waiting for somebody at the other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _kept(path: Path) -> Iterator[Imported]:
    """Those in a database: a store of g4local's, or llm's."""
    with closing(own.opened(path)) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return own.stored(path) if tables >= {"sessions", "messages", "drafts"} else llm.read(path)


def _archived(path: Path) -> Iterator[Imported]:
    """ChatGPT's export as it is downloaded; larger ones hold their conversations in several files."""
    with _unpacking(path):
        archive = zipfile.ZipFile(path)
    with archive:
        found = [
            entry
            for entry in archive.infolist()
            if Path(entry.filename).name.startswith("conversations") and entry.filename.endswith(".json")
        ]
        if not found:
            raise UsageError(f"{path} holds no conversations.json.", _FORMATS)
        for entry in found:
            if entry.file_size > _LARGEST:
                raise UsageError(f"{entry.filename} in {path} is larger than any known export.", _FORMATS)
            with _unpacking(path):
                content = archive.read(entry)
            yield from _parsed(content, path)


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """UsageError for whatever is wrong with an archive."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UsageError(f"{path} is a damaged zip, or a locked one.", "Download it again.") from error


def _parsed(content: bytes, path: Path) -> Iterator[Imported]:
    try:
        values = _json(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise UsageError(f"{path} is no JSON.", _FORMATS) from error
    kinds = {"mapping": chatgpt.read, "messages": lm_studio.read}
    for value in (table(each) for each in values):
        if value.get("schema") == own.SCHEMA:
            yield own.read(value)
            continue
        reader = chat.read if chat.is_one(value) else next((kinds[key] for key in kinds if key in value), None)
        if reader is None:
            raise UsageError(f"{path} holds no conversations that are known here.", _FORMATS)
        yield reader(value)


def _json(text: str) -> list[Any]:
    """One value, a list of them, or one on each line."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2:
            raise
        return [json.loads(line, parse_constant=_refuse) for line in lines]
    return items(value) if isinstance(value, list) else [value]


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")
