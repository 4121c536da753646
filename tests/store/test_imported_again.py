"""What g4local itself wrote comes back: backups, chat messages; and what is imported only once."""

import json
from pathlib import Path
from typing import Any

import pytest

from g4local.core.errors import UsageError
from g4local.core.messages import Message, ToolCall
from g4local.store import imports, transcript, upkeep
from g4local.store.imports import chat, chatgpt, lm_studio
from g4local.store.store import Store
from tests.store.test_imports import node, path_of, written
from tests.store.test_tree import begun, said

CALL = ToolCall("add", {"left": 2, "why": "ü"}, "call_0")
TALK = [
    Message("user", "2?"),
    Message("assistant", tool_calls=(CALL,)),
    Message("tool", "2", tool_call_id="call_0", name="add"),
    Message("assistant", "Two."),
]


def exported(store: Store) -> list[dict[str, Any]]:
    """All sessions without what is another one's in each store."""
    told = [transcript.session_object(transcript.read(store, each)) for each in store.sessions()]
    return [{key: each[key] for key in ("title", "updated", "message_count")} for each in told]


def test_a_backup_is_taken_in_once_and_left_as_it_is(tmp_path: Path) -> None:
    with Store(tmp_path / "one.db") as store:
        for number in range(3):
            begun(store, *TALK, title=f"{number}")
        upkeep.backup(store, tmp_path / "copy.db")
        before = exported(store)
        assert [imports.add(store, each) for each in imports.read(tmp_path / "copy.db")] == [None] * 3
    content = (tmp_path / "copy.db").read_bytes()
    with Store(tmp_path / "two.db") as store:
        names = [imports.add(store, each) for each in imports.read(tmp_path / "copy.db")]
        assert [imports.add(store, each) for each in imports.read(tmp_path / "copy.db")] == [None] * 3
        assert exported(store) == before and said(store, names[0] or "") == TALK
    assert (tmp_path / "copy.db").read_bytes() == content
    assert not (tmp_path / "copy.db-wal").exists()


def test_a_store_that_is_being_written_is_taken_in_up_to_now(tmp_path: Path) -> None:
    with Store(tmp_path / "one.db") as store:
        begun(store, *TALK)
        assert [path_of(each) for each in imports.read(tmp_path / "one.db")] == [TALK]


def test_a_backup_in_a_folder_that_can_not_be_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    with Store(tmp_path / "one.db") as store:
        begun(store, *TALK)
        upkeep.backup(store, folder / "copy.db")
    folder.chmod(0o500)
    try:
        assert len(list(imports.read(folder / "copy.db"))) == 1
    finally:
        folder.chmod(0o700)


def test_a_newer_backup_and_a_damaged_one_are_told(tmp_path: Path) -> None:
    with Store(tmp_path / "one.db") as store:
        begun(store, *TALK)
        upkeep.backup(store, tmp_path / "copy.db")
        store.rows("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="newer g4local"):
        list(imports.read(tmp_path / "one.db"))
    content = bytearray((tmp_path / "copy.db").read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    (tmp_path / "copy.db").write_bytes(content)
    with pytest.raises(UsageError, match=r"copy\.db"):
        list(imports.read(tmp_path / "copy.db"))


def test_chat_messages_are_openais_and_come_back(tmp_path: Path) -> None:
    with Store(tmp_path / "one.db") as store:
        session = begun(store, *TALK)
        told = transcript.chat_object(transcript.read(store, store.find(session)))
    arguments = told["messages"][1]["tool_calls"][0]["function"]["arguments"]  # type: ignore[index,call-overload]
    assert isinstance(arguments, str) and json.loads(arguments) == CALL.arguments
    as_object = json.loads(json.dumps(told))
    as_object["messages"][1]["tool_calls"][0]["function"]["arguments"] = CALL.arguments
    as_object["messages"].insert(0, {"role": "system", "content": "Be brief."})
    file = tmp_path / "chats.jsonl"
    file.write_text(f"{json.dumps(told)}\n{json.dumps(as_object)}\n")
    found = list(imports.read(file))
    assert [path_of(each) for each in found] == [TALK, TALK]
    assert [each.turns[0].settings["system"] for each in found] == ["", "Be brief."]
    with Store(tmp_path / "two.db") as store:
        assert all(imports.add(store, each) for each in found)
        assert [imports.add(store, each) for each in imports.read(file)] == [None, None]
    assert not chat.is_one({"messages": [{"versions": []}]})


def test_conversations_without_id_and_time_are_told_apart_by_what_they_say() -> None:
    def of_lm_studio(text: str) -> dict[str, Any]:
        content = [{"type": "text", "text": text}]
        return {"messages": [{"versions": [{"role": "user", "type": "singleStep", "content": content}]}]}

    def of_chatgpt(text: str) -> dict[str, Any]:
        return {"mapping": {"a": {**node(None, "user", text), "children": []}}}

    for read, make in ((lm_studio.read, of_lm_studio), (chatgpt.read, of_chatgpt)):
        assert read(make("one")).source != read(make("two")).source
        assert read(make("one")).source == read(make("one")).source


def test_a_model_that_only_the_messages_tell_is_known() -> None:
    mapping = {
        "a": {**node(None, "user", "Hi"), "children": ["b"]},
        "b": {**node("a", "assistant", "Hello", metadata={"model_slug": "gpt-4"}), "children": []},
    }
    assert chatgpt.read({"mapping": mapping}).turns[0].settings["model"] == "gpt-4"


def test_folders_and_files_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "export" / "more").mkdir(parents=True)
    with pytest.raises(UsageError, match="Nothing that is known was found"):
        imports.files([tmp_path / "export"])
    unpacked = written(tmp_path / "export" / "more" / "conversations.json", [{"mapping": {}}])
    assert imports.files([tmp_path / "export"]) == [unpacked]
    (tmp_path / "notes.txt").write_text("These are notes.\nOf mine.\n")
    with pytest.raises(UsageError, match=r"notes\.txt is no JSON"):
        list(imports.read(tmp_path / "notes.txt"))
