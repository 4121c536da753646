"""Conversations of other programs, from small files in their formats."""

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.chat.template import render
from g4local.core.errors import UsageError
from g4local.core.messages import Message, ToolCall
from g4local.store import imports, transcript
from g4local.store.imports import chatgpt, lm_studio, own
from g4local.store.imports.values import Imported
from g4local.store.store import Store
from tests.core.test_messages import JSON
from tests.store.test_tree import begun


def path_of(imported: Imported) -> list[Message]:
    """The conversation as it stands, which a model can be told."""
    messages: list[Message] = []
    place = imported.head
    while place is not None:
        messages.insert(0, imported.nodes[place].message)
        place = imported.nodes[place].parent
    assert render(messages, tools=[], variant="large", enable_thinking=False)
    return messages


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def node(parent: str | None, role: str = "", said: Any = "", **more: Any) -> dict[str, Any]:
    """A node of ChatGPT's tree."""
    content = said if isinstance(said, dict) else {"content_type": "text", "parts": [said]}
    message = {"author": {"role": role}, "content": content, "create_time": 1700000000.5, "recipient": "all", **more}
    return {"parent": parent, "message": message if role else None}


def chatgpt_conversation() -> dict[str, Any]:
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "Names", "content": "Something with P."}]}
    picture = {
        "content_type": "multimodal_text",
        "parts": [{"content_type": "image_asset_pointer"}, "What is on this picture?"],
    }
    mapping = {
        "root": node(None),
        "hidden": node("root", "system", ""),
        "context": node("hidden", "user", {"content_type": "user_editable_context", "user_profile": "secret"}),
        "q1": node("context", "user", "A name for a pelican?"),
        "think": node("q1", "assistant", thoughts),
        "recap": node("think", "assistant", {"content_type": "reasoning_recap", "content": "Thought for 3 s"}),
        "a1": node("recap", "assistant", "Percy."),
        "a1b": node("recap", "assistant", "Paul."),
        "q2": node("a1", "user", picture),
        "call": node("q2", "assistant", {"content_type": "code", "text": "look()"}, recipient="python"),
        "result": node("call", "tool", {"content_type": "execution_output", "text": "a bird"}),
        "a2": node("result", "assistant", "A bird."),
    }
    for name, each in mapping.items():
        each["children"] = [other for other, entry in mapping.items() if entry["parent"] == name]
    return {
        "title": "Pelican names",
        "create_time": 1700000000.0,
        "update_time": 1700000100.0,
        "conversation_id": "6f0c",
        "default_model_slug": "gpt-5",
        "current_node": "a2",
        "mapping": mapping,
    }


def test_an_export_of_chatgpt_keeps_its_branches_and_thoughts_and_tells_what_is_left_out() -> None:
    found = chatgpt.read(chatgpt_conversation())
    assert path_of(found) == [
        Message("user", "A name for a pelican?"),
        Message("assistant", "Percy.", "Something with P."),
        Message("user", "What is on this picture?"),
        Message("assistant", "A bird."),
    ]
    assert [each.message.text for each in found.nodes if each.parent == 0] == ["Percy.", "Paul."]
    assert (found.title, found.created, found.left_out) == ("Pelican names", 1700000000.0, 3)
    assert found.turns[0].settings["model"] == "gpt-5"


@pytest.mark.parametrize(("images", "attached", "left_out"), [(0, 2, 2), (1, 1, 1), (2, 0, 2), (1, 3, 3)])
def test_files_that_were_attached_in_chatgpt_are_told(images: int, attached: int, left_out: int) -> None:
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1"}
    content = {"content_type": "multimodal_text" if images else "text", "parts": [*[image] * images, "Sum it up."]}
    message = {
        "author": {"role": "user"},
        "content": content,
        "metadata": {"attachments": [{"id": "file-1", "name": "report.pdf"}] * attached},
    }
    found = chatgpt.read({"mapping": {"q": {"parent": None, "children": [], "message": message}}})
    assert (path_of(found), found.left_out) == ([Message("user", "Sum it up.")], left_out)


@pytest.mark.parametrize("form", ["list", "one", "zip"])
def test_an_export_of_chatgpt_is_known_in_each_of_its_forms(tmp_path: Path, form: str) -> None:
    path = tmp_path / "export"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("user.json", "{}")
            archive.writestr("conversations-000.json", json.dumps([chatgpt_conversation()]))
            archive.writestr("conversations-001.json", json.dumps([chatgpt_conversation()]))
    else:
        written(path, [chatgpt_conversation()] if form == "list" else chatgpt_conversation())
    assert [each.title for each in imports.read(path)] == ["Pelican names"] * (2 if form == "zip" else 1)


def lm_studio_conversation() -> dict[str, Any]:
    def user(said: str) -> dict[str, Any]:
        content = [{"type": "text", "text": said}, {"type": "file", "fileIdentifier": "1.png"}]
        return {"type": "singleStep", "role": "user", "content": content}

    def model(*steps: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
        blocks = [{"type": "contentBlock", "style": {"type": style}, "content": content} for style, content in steps]
        return {"type": "multiStep", "role": "assistant", "steps": [*blocks, {"type": "debugInfoBlock"}]}

    def said(text: str) -> list[dict[str, Any]]:
        return [{"type": "text", "text": text, "tokensCount": 3}]

    request = {"type": "toolCallRequest", "callId": 7, "name": "add", "parameters": {"left": 2, "right": 3}}
    result = {"type": "toolCallResult", "callId": 7, "content": "5"}
    versions = [
        model(("", said("Four."))),
        model(("thinking", said("Add.")), ("", [request]), ("", [result]), ("", said("Five."))),
    ]
    return {
        "name": "Sums",
        "createdAt": 1758816879741,
        "userLastMessagedAt": 1758816880000,
        "systemPrompt": "",
        "perChatPredictionConfig": {"fields": [{"key": "llm.prediction.systemPrompt", "value": "Be exact."}]},
        "lastUsedModel": {"identifier": "google/gemma-4-e4b"},
        "messages": [
            {"versions": [user("2 + 3?")], "currentlySelected": 0},
            {"versions": versions, "currentlySelected": 1},
            {"versions": [user("Thanks")], "currentlySelected": 0},
        ],
    }


def test_a_conversation_of_lm_studio_keeps_its_versions_thoughts_and_calls() -> None:
    found = lm_studio.read(lm_studio_conversation())
    assert path_of(found) == [
        Message("user", "2 + 3?"),
        Message("assistant", thought="Add.", tool_calls=(ToolCall("add", {"left": 2, "right": 3}, "7"),)),
        Message("tool", "5", tool_call_id="7", name="add"),
        Message("assistant", "Five."),
        Message("user", "Thanks"),
    ]
    assert [each.message.text for each in found.nodes if each.parent == 0] == ["Four.", ""]
    assert (found.title, found.created, found.left_out) == ("Sums", 1758816879.741, 2)
    assert found.turns[0].settings == {"model": "google/gemma-4-e4b", "system": "Be exact."}


LLM_OLD = """
CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT, options_json TEXT,
    response TEXT, response_json TEXT, conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT);
"""
LLM_TOOLS = """
ALTER TABLE responses ADD COLUMN reasoning TEXT;
CREATE TABLE fragments (id INTEGER PRIMARY KEY, hash TEXT, content TEXT, datetime_utc TEXT, source TEXT);
CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER);
CREATE TABLE prompt_attachments (response_id TEXT, attachment_id TEXT, "order" INTEGER);
CREATE TABLE tool_calls (id INTEGER PRIMARY KEY, response_id TEXT, tool_id INTEGER, name TEXT, arguments TEXT,
    tool_call_id TEXT);
CREATE TABLE tool_results (id INTEGER PRIMARY KEY, response_id TEXT, tool_id INTEGER, name TEXT, output TEXT,
    tool_call_id TEXT, instance_id INTEGER, exception TEXT);
"""
LLM_NEW = """
CREATE TABLE messages (hash TEXT PRIMARY KEY, parent_hash TEXT, role TEXT, provider_metadata TEXT);
CREATE TABLE parts (id INTEGER PRIMARY KEY, message_hash TEXT, position INTEGER, type TEXT, tool_name TEXT, text TEXT,
    payload TEXT);
CREATE TABLE threads (id TEXT PRIMARY KEY, name TEXT, tip_message_hash TEXT, forked_from TEXT, datetime_utc TEXT);
CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, parent_message_hash TEXT, tip_message_hash TEXT, model TEXT,
    datetime_utc TEXT);
"""
RESPONSE = "INSERT INTO responses (id, model, prompt, system, response, conversation_id, datetime_utc) VALUES "
OLD_ROWS = f"""
INSERT INTO conversations VALUES ('c1', 'Sums', 'gpt-4o');
{RESPONSE} ('r1', 'gpt-4o', 'What is 2 + 3?', 'Be exact.', 'Five.', 'c1', '2024-05-01T10:00:00+00:00');
{RESPONSE} ('r2', 'gpt-4o-mini', 'And 4?', NULL, 'Nine.', 'c1', '2024-05-01T10:01:00');
"""
TOOL_ROWS = f"""
INSERT INTO conversations VALUES ('c2', 'Tools', 'gpt-5');
{RESPONSE} ('r3', 'gpt-5', 'And now?', NULL, '', 'c2', '2025-07-01T10:00:00+00:00');
{RESPONSE} ('r4', 'gpt-5', '', NULL, 'Five.', 'c2', '2025-07-01T10:00:01+00:00');
UPDATE responses SET reasoning = 'Add.' WHERE id = 'r3';
INSERT INTO fragments (id, content) VALUES (1, 'A long text.');
INSERT INTO prompt_fragments VALUES ('r3', 1, 0);
INSERT INTO prompt_attachments VALUES ('r3', 'a', 0);
INSERT INTO tool_calls VALUES (1, 'r3', 1, 'add', '{{"left": 2}}', 'call_1');
INSERT INTO tool_results VALUES (1, 'r4', 1, 'add', '5', 'call_1', NULL, NULL);
"""
NEW_ROWS = """
INSERT INTO conversations VALUES ('t1', 'seen already', 'x');
INSERT INTO threads VALUES ('t1', 'Pelicans', 'm6', NULL, '2026-08-01T10:00:00+00:00');
INSERT INTO turns VALUES ('u1', 't1', 'm2', 'm6', 'gemma', '2026-08-01T10:00:05+00:00');
INSERT INTO messages VALUES ('m1', NULL, 'system', NULL), ('m2', 'm1', 'user', NULL), ('m3', 'm2', 'assistant', NULL),
    ('m4', 'm3', 'user', NULL), ('m5', 'm4', 'assistant', NULL), ('m6', 'm5', 'user', NULL);
INSERT INTO parts (message_hash, position, type, text, payload) VALUES
    ('m1', 0, 'text', 'Be brief.', NULL),
    ('m2', 0, 'text', NULL, '{"text_ref": [{"fragment": 1}, {"literal": " Add 2."}]}'),
    ('m2', 1, 'attachment', NULL, '{"attachment": {"id": "a"}}'),
    ('m3', 0, 'reasoning', 'Add.', NULL),
    ('m3', 1, 'tool_call', NULL, '{"name": "add", "arguments": {"left": 2}, "tool_call_id": "c"}'),
    ('m4', 0, 'tool_result', NULL, '{"name": "add", "output": "5", "tool_call_id": "c"}'),
    ('m5', 0, 'text', 'Five.', NULL),
    ('m6', 0, 'text', 'Thanks', NULL);
"""


def llm_database(path: Path, *scripts: str) -> Path:
    with sqlite3.connect(path) as database:
        for script in scripts:
            database.executescript(script)
    database.close()
    return path


ADD = ToolCall("add", {"left": 2}, "c")


def test_the_first_logs_of_llm_are_read(tmp_path: Path) -> None:
    (found,) = imports.read(llm_database(tmp_path / "logs.db", LLM_OLD, OLD_ROWS))
    assert path_of(found) == [
        Message("user", "What is 2 + 3?"),
        Message("assistant", "Five."),
        Message("user", "And 4?"),
        Message("assistant", "Nine."),
    ]
    assert (found.title, found.updated - found.created) == ("Sums", 60)
    assert found.turns[0].settings == {"model": "gpt-4o-mini", "system": "Be exact."}


def test_both_generations_of_llms_logs_are_read_with_fragments_tools_and_thoughts(tmp_path: Path) -> None:
    logs = llm_database(tmp_path / "logs.db", LLM_OLD, LLM_TOOLS, LLM_NEW, OLD_ROWS, TOOL_ROWS, NEW_ROWS)
    found = {each.title: each for each in imports.read(logs)}
    assert list(found) == ["Pelicans", "Sums", "Tools"]
    assert path_of(found["Tools"]) == [
        Message("user", "A long text.\nAnd now?"),
        Message("assistant", "", "Add.", (ToolCall("add", {"left": 2}, "call_1"),)),
        Message("tool", "5", tool_call_id="call_1", name="add"),
        Message("assistant", "Five."),
    ]
    assert path_of(found["Pelicans"]) == [
        Message("user", "A long text. Add 2."),
        Message("assistant", "", "Add.", (ADD,)),
        Message("tool", "5", tool_call_id="c", name="add"),
        Message("assistant", "Five."),
        Message("user", "Thanks"),
    ]
    assert found["Pelicans"].turns[0].settings == {"model": "gemma", "system": "Be brief."}
    assert (found["Pelicans"].left_out, found["Tools"].left_out) == (1, 1)


def test_our_own_export_comes_back_with_branches_and_turns_and_only_once(tmp_path: Path) -> None:
    with Store(tmp_path / "one.db") as store:
        name = begun(store, Message("user", "first"), Message("assistant", "One.", "Hm.", (ADD,)))
        with store.writing():
            turn = store.begin_turn({"model": "demo", "sampling": {"seed": 1}})
            store.end_turn(turn, {"reason": "stop"})
            branch = store.append(name, store.path_to(store.find(name).head)[0].id, Message("tool", "5"), turn=turn)
            store.append(name, branch, Message("assistant", "Two.", summary=True), turn=turn)
        exported = transcript.session_object(transcript.read(store, store.find(name)))
        file = written(tmp_path / "session.json", exported)
        assert [imports.add(store, each) for each in imports.read(file)] == [None]
    with Store(tmp_path / "two.db") as store:
        (session,) = [imports.add(store, each) for each in imports.read(file)]
        assert [imports.add(store, each) for each in imports.read(file)] == [None]
        assert session is not None
        again = transcript.session_object(transcript.read(store, store.find(session)))
    assert again.pop("id") != exported.pop("id")
    for turn in (*again["turns"], *exported["turns"]):
        del turn["created"]  # when it came here
    assert again == exported


def test_several_exports_of_ours_can_stand_in_one_file(tmp_path: Path) -> None:
    with Store(tmp_path / "one.db") as store:
        for number in range(3):
            begun(store, Message("user", f"{number}"), title=f"{number}")
        lines = [json.dumps(transcript.session_object(transcript.read(store, each))) for each in store.sessions()]
    file = tmp_path / "sessions.json"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [each.title for each in imports.read(file)] == ["2", "1", "0"]


def test_a_folder_stands_for_the_conversations_of_lm_studio_in_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    first = written(tmp_path / "1.conversation.json", lm_studio_conversation())
    second = written(tmp_path / "folder" / "2.conversation.json", lm_studio_conversation())
    written(tmp_path / "other.json", {})
    assert imports.files([tmp_path]) == [first, second]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1, 2]",
        b'{"a": NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"PK\x05\x06" + bytes(18),
        b"SQLite format 3\0" + bytes(4096),
        b'{"schema": "g4local.session/1", "messages": [{"id": 1, "message": {"role": "wizard"}}]}',
    ],
)
def test_what_is_no_export_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        list(imports.read(file))
    assert caught.value.hint


def test_another_database_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        list(imports.read(llm_database(tmp_path / "x.db", "CREATE TABLE threads (id)")))
    with pytest.raises(UsageError):
        list(imports.read(tmp_path / "nothing"))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([chatgpt_conversation, lm_studio_conversation]))
def test_damaged_conversations_never_crash(data: st.DataObject, make: Any) -> None:
    value = make()
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = value
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = data.draw(JSON)
            break
    reader = chatgpt.read if make is chatgpt_conversation else lm_studio.read
    found = reader(value)
    assert all(each.parent is None or each.parent < index for index, each in enumerate(found.nodes))
    assert found.head is None or 0 <= found.head < len(found.nodes)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "title", "head", "messages", "turns", "draft", "updated"]), JSON))
def test_no_object_crashes_the_reader_of_our_own_export(value: dict[str, Any]) -> None:
    try:
        found = own.read(value)
    except UsageError:
        return
    assert found.head is None or 0 <= found.head < len(found.nodes)
