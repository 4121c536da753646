"""Conversations of other programs: what kind of file it is, and how they get into the store."""

import json
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from g4local.core.errors import UsageError, reason
from g4local.store.imports import chatgpt, llm, lm_studio, own
from g4local.store.imports.values import Imported, items, table
from g4local.store.store import Store

_LARGEST = 1 << 30
"""Bytes of a file, or of one in an archive, that is read into memory."""
_FORMATS = "Known are LM Studio's conversations, llm's logs.db, ChatGPT's export (zip or json), and g4local's own json."


def files(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant: a folder stands for LM Studio's conversations in it."""
    return [file for path in paths for file in (sorted(path.rglob("*.conversation.json")) if path.is_dir() else [path])]


def read(path: Path) -> Iterator[Imported]:
    """The conversations in a file; UsageError for what can't be read."""
    try:
        with path.open("rb") as opened:
            begin = opened.read(16)
        if begin == b"SQLite format 3\0":
            yield from llm.read(path)
        elif zipfile.is_zipfile(path):
            yield from _archived(path)
        else:
            if path.stat().st_size > _LARGEST:
                raise UsageError(f"{path} is larger than any known export.", _FORMATS)
            yield from _parsed(path.read_bytes(), path)
    except (OSError, ValueError, RecursionError, sqlite3.Error, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} can't be read: {reason(error)}.", _FORMATS) from error


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


def _archived(path: Path) -> Iterator[Imported]:
    """ChatGPT's export as it is downloaded; larger ones hold their conversations in several files."""
    with zipfile.ZipFile(path) as archive:
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
            yield from _parsed(archive.read(entry), path)


def _parsed(content: bytes, path: Path) -> Iterator[Imported]:
    values = _json(content.decode("utf-8-sig"))
    kinds = {"mapping": chatgpt.read, "messages": lm_studio.read}
    for value in (table(each) for each in values):
        if value.get("schema") == own.SCHEMA:
            yield own.read(value)
            continue
        reader = next((kinds[key] for key in kinds if key in value), None)
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
