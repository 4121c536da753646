"""simonw/llm's `logs.db`: an SQLite database in either of its two generations (llm's docs/logging.md).

Since 0.32: `threads` point at the last of their `messages`, which know their parents and have `parts`. Before:
`conversations` have `responses`, each of which is a question with its answer.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from g4local.core.errors import UsageError
from g4local.core.messages import Message, ToolCall
from g4local.store.imports.own import moment
from g4local.store.imports.values import Imported, Tree, items, reply, settled, table, text

_THREADS = """
    SELECT id, name, tip_message_hash, datetime_utc,
        (SELECT model FROM turns WHERE thread_id = threads.id ORDER BY id DESC LIMIT 1),
        (SELECT max(datetime_utc) FROM turns WHERE thread_id = threads.id)
    FROM threads ORDER BY id"""
_CHAIN = """
    WITH RECURSIVE chain (hash, depth) AS (
        SELECT :tip, 0 UNION SELECT parent_hash, depth + 1 FROM chain JOIN messages USING (hash)
        WHERE parent_hash IS NOT NULL AND depth < 1000000
    )
    SELECT messages.hash, role, type, text, payload FROM chain JOIN messages USING (hash)
    LEFT JOIN parts ON message_hash = messages.hash ORDER BY depth DESC, position"""
_RESPONSES = """
    SELECT id, model, prompt, system, response, datetime_utc, {reasoning}
    FROM responses WHERE conversation_id = ? ORDER BY id"""


def read(path: Path) -> Iterator[Imported]:
    """The conversations of both generations; attachments are left out."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables >= {"responses", "conversations"}:
            raise UsageError(f"{path} is a database, but not llm's logs.db.", "`llm logs path` tells where it is.")
        known = set()
        if tables >= {"threads", "turns", "messages", "parts"}:
            for row in database.execute(_THREADS).fetchall():
                known.add(row[0])
                yield _thread(database, row)
        for row in database.execute("SELECT id, name, model FROM conversations ORDER BY id").fetchall():
            if row[0] not in known:
                yield _conversation(database, row, tables)


def _thread(database: sqlite3.Connection, row: Sequence[Any]) -> Imported:
    name, title, tip, created, model, updated = row
    tree = Tree()
    parts: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    roles: dict[str, str] = {}
    for digest, role, kind, words, payload in database.execute(_CHAIN, {"tip": tip}):
        roles[digest] = text(role)
        part = _object(payload)
        if words is not None:
            part["text"] = words
        parts.setdefault(digest, []).append((text(kind), part))
    head, systems = None, []
    for digest, found in parts.items():
        if roles[digest] == "system":
            systems.append(_words(database, found))
        else:
            head = tree.add_all(_messages(database, tree, roles[digest], found), head, moment(created))
    return Imported(
        source=f"llm:{name}:{tip}",
        title=text(title) or tree.first_words(),
        nodes=tree.nodes,
        head=head,
        created=moment(created),
        updated=moment(updated) or moment(created),
        turns=settled(text(model), "\n\n".join(systems)),
        left_out=tree.left_out,
    )


def _messages(
    database: sqlite3.Connection, tree: Tree, role: str, parts: Sequence[tuple[str, dict[str, Any]]]
) -> list[Message]:
    """A message of llm's as messages of ours: results of tools are messages of their own."""
    results = [
        Message(
            "tool", text(part.get("output")), tool_call_id=text(part.get("tool_call_id")), name=text(part.get("name"))
        )
        for kind, part in parts
        if kind == "tool_result"
    ]
    calls = [
        ToolCall(text(part.get("name")), table(part.get("arguments")), text(part.get("tool_call_id")))
        for kind, part in parts
        if kind == "tool_call"
    ]
    tree.left_out += sum(kind == "attachment" for kind, _ in parts)
    words = _words(database, parts)
    if role == "assistant":
        thought = "\n\n".join(text(part.get("text")) for kind, part in parts if kind == "reasoning")
        return [*reply(words, thought, calls), *results]
    return [*results, *([Message("user", words)] if words else [])]


def _words(database: sqlite3.Connection, parts: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """The text of a message; what is kept as a fragment is looked up."""
    said = ""
    for kind, part in parts:
        if kind != "text":
            continue
        said += text(part.get("text"))
        for piece in map(table, items(part.get("text_ref"))):
            said += text(piece.get("literal"))
            if isinstance(piece.get("fragment"), int):
                rows = database.execute("SELECT content FROM fragments WHERE id = ?", (piece["fragment"],))
                said += "".join(text(row[0]) for row in rows)
    return said


def _conversation(database: sqlite3.Connection, row: Sequence[Any], tables: set[str]) -> Imported:
    name, title, model = row
    tree, head, system = Tree(), None, ""
    columns = {column[1] for column in database.execute("PRAGMA table_info (responses)")}
    query = _RESPONSES.format(reasoning="reasoning" if "reasoning" in columns else "NULL")
    times, last = [], ""
    for response, used, prompt, instructions, said, when, thought in database.execute(query, (name,)).fetchall():
        results = [
            Message("tool", text(output), tool_call_id=text(call), name=text(tool))
            for tool, output, call in _of(database, tables, "tool_results", "name, output, tool_call_id", response)
        ]
        calls = [
            ToolCall(text(tool), _object(arguments), text(call))
            for tool, arguments, call in _of(database, tables, "tool_calls", "name, arguments, tool_call_id", response)
        ]
        tree.left_out += len(_of(database, tables, "prompt_attachments", "attachment_id", response))
        question = "\n".join(part for part in (*_fragments(database, tables, response), text(prompt)) if part)
        asked = [Message("user", question)] if question else []
        messages = [*results, *asked, *reply(text(said), text(thought), calls)]
        head = tree.add_all(messages, head, moment(when))
        times.append(moment(when))
        system, model, last = text(instructions) or system, text(used) or model, response
    return Imported(
        source=f"llm:{name}:{last}",
        title=text(title) or tree.first_words(),
        nodes=tree.nodes,
        head=head,
        created=min(times, default=0),
        updated=max(times, default=0),
        turns=settled(text(model), system),
        left_out=tree.left_out,
    )


def _object(value: Any) -> dict[str, Any]:
    return table(json.loads(value)) if isinstance(value, str) and value else {}


def _fragments(database: sqlite3.Connection, tables: set[str], response: str) -> list[str]:
    """What of a question is kept as fragments; it stands before the rest."""
    if not tables >= {"prompt_fragments", "fragments"}:
        return []
    query = """SELECT content FROM prompt_fragments JOIN fragments ON fragments.id = fragment_id
        WHERE response_id = ? ORDER BY "order" """
    return [text(row[0]) for row in database.execute(query, (response,))]


def _of(database: sqlite3.Connection, tables: set[str], name: str, columns: str, response: str) -> list[Any]:
    """The rows of a table that belong to a response; none where the table is not there, in older versions of llm."""
    if name not in tables:
        return []
    return database.execute(f"SELECT {columns} FROM {name} WHERE response_id = ?", (response,)).fetchall()
