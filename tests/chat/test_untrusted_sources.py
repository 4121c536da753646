"""What MCP servers say of themselves and answer, and what imported conversations hold, is text by token ids, too."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from g4local.chat.calls import answer, outcome
from g4local.core.messages import Json, Message, ToolCall
from g4local.store import imports, transcript
from g4local.store.store import Store
from g4local.tools.mcp.connection import connected
from g4local.tools.tool import declaration
from tests.chat.test_untrusted import SPELLED, demo, markup
from tests.store.test_imports import (
    LLM_NEW,
    LLM_OLD,
    LLM_TOOLS,
    NEW_ROWS,
    OLD_ROWS,
    TOOL_ROWS,
    chatgpt_conversation,
    llm_database,
    lm_studio_conversation,
)
from tests.store.test_tree import begun
from tests.tools.mcp.test_connection import hostile, impatience

__all__ = ["demo", "impatience", "markup"]

Markup = Callable[..., list[int]]

WORDS = {
    "A name for a pelican?", "Something with P.", "Percy.", "What is on this picture?", "A bird.", "Pelican names",
    "2 + 3?", "Four.", "Add.", "Five.", "5", "Thanks", "Be exact.", "Sums", "add", "left",
    "What is 2 + 3?", "And 4?", "Nine.", "And now?", "A long text.", " Add 2.", "Be brief.", "Pelicans", "Tools",
    "first", "One.", "Hm.", "Two.",
}  # fmt: skip
"""What is said in the conversations, and no part of their form."""


def spoilt(value: Any, said: str) -> Any:
    """The same file, in which everybody says something else, too."""
    if isinstance(value, dict):
        return {spoilt(key, said): spoilt(each, said) for key, each in value.items()}
    if isinstance(value, list):
        return [spoilt(each, said) for each in value]
    return f"{value}{said}" if value in WORDS else value


def of_chatgpt(folder: Path, said: str) -> Path:
    return _written(folder, spoilt(chatgpt_conversation(), said))


def of_lm_studio(folder: Path, said: str) -> Path:
    return _written(folder, spoilt(lm_studio_conversation(), said))


def of_llm(folder: Path, said: str) -> Path:
    path = llm_database(folder / "logs.db", LLM_OLD, LLM_TOOLS, LLM_NEW, OLD_ROWS, TOOL_ROWS, NEW_ROWS)
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for _, column, *_ in database.execute(f"PRAGMA table_info ({table})").fetchall():
                for row, value in database.execute(f'SELECT rowid, "{column}" FROM {table}').fetchall():
                    is_json = isinstance(value, str) and value.startswith("{")
                    new = json.dumps(spoilt(json.loads(value), said)) if is_json else spoilt(value, said)
                    database.execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', (new, row))
    database.close()
    return path


def of_ours(folder: Path, said: str) -> Path:
    call = ToolCall("add", {"left": "5"}, "c")
    with Store(folder / "one.db") as store:
        begun(
            store,
            Message("system", "Be exact."),
            Message("user", "first"),
            Message("assistant", "One.", summary=True),
            Message("user", "And 4?"),
            Message("assistant", "", "Hm.", (call,)),
            Message("tool", "5", tool_call_id="c", name="add"),
        )
        exported = transcript.session_object(transcript.read(store, store.last()))
    return _written(folder, spoilt(exported, said))


def _written(folder: Path, content: Any) -> Path:
    path = folder / "conversation.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("of", [of_chatgpt, of_lm_studio, of_llm, of_ours])
def test_an_imported_conversation_is_only_text(markup: Markup, of: Callable[[Path, str], Path], tmp_path: Path) -> None:
    """Through the importer and the store, as `chat --session` goes on with it."""
    found: list[list[list[int]]] = []
    for number, said in enumerate(("harmless", " ".join(SPELLED))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Store(folder / "sessions.db") as store:
            for each in imports.read(of(folder, said)):
                imports.add(store, each)
            prompts = []
            for session in store.sessions():
                messages = [each.message for each in store.path_to(session.head)]
                assert any(said in message.text for message in messages)
                system = [Message("system", str(session.setting("system")))] if session.setting("system") else []
                prompts.append(markup([*system, *messages, Message("user", "Go on.")], [], "large"))
        found.append(prompts)
    assert found[0] == found[1] and all(found[0])


def test_what_an_mcp_server_says_of_its_tools_and_answers_is_only_text(markup: Markup) -> None:
    def special(mode: str) -> list[int]:
        """A server's tools, and what it answers to a call, or why it does not, in a prompt."""
        with connected([hostile(mode)], Event(), print) as tools:
            arguments: dict[str, Json] = {"text": "x"}
            call = ToolCall("evil__echo", arguments, "call_0")
            wrong = ToolCall("evil__echo", {"text": "x", "and": "more"}, "call_1")
            results = [answer(each, outcome(each, tools, lambda call: True, Event())) for each in (call, wrong)]
        messages = [Message("user", "Go."), Message("assistant", tool_calls=(call, wrong)), *results]
        return markup(messages, [declaration(tool) for tool in tools], "large")

    assert special("markup") == special("unmarked")


def test_an_mcp_server_s_error_is_only_text(markup: Markup) -> None:
    def special(said: str) -> list[int]:
        with connected([hostile("error", said)], Event(), print) as tools:
            call = ToolCall("evil__echo", {}, "call_0")
            result = outcome(call, tools, lambda call: True, Event())
        assert not result.ok and said.split("\n")[0] in str(result.value)
        messages = [Message("user", "Go."), Message("assistant", tool_calls=(call,)), answer(call, result)]
        return markup(messages, [], "large")

    assert special("".join(SPELLED[:6])) == special("harmless")
