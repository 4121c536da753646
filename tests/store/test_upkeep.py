"""What is done with sessions that are there: removals beside replies that are being said, and backups."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from g4local.core.errors import StoreError, UsageError
from g4local.core.messages import Message
from g4local.store import upkeep
from g4local.store.store import Store
from tests.store.test_tree import begun, said


def test_a_removal_leaves_the_turn_of_a_reply_that_is_being_said(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        asked_again, other = (begun(store, Message("user", "hi")) for _ in "ab")
        with store.writing():
            head, turn = store.find(asked_again).head, store.begin_turn({"seed": 7})
            assert head
            store.keep_draft(None, asked_again, head, turn, [Message("assistant", "half")])
        upkeep.remove(store, [store.find(other)])
        assert [each.text for each in store.draft(store.find(asked_again))] == ["half"]
        store.resume(asked_again)
        assert [each.settings for each in store.turns(store.tree(store.find(asked_again)))] == [{"seed": 7}]


def test_a_backup_is_a_store_and_is_never_written_over(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        session = begun(store, Message("user", "hi"))
        before = os.umask(0)
        upkeep.backup(store, tmp_path / "copy.db")
        os.umask(before)
        assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
        with pytest.raises(UsageError):
            upkeep.backup(store, tmp_path / "copy.db")
        with pytest.raises(UsageError, match="There is no folder"):
            upkeep.backup(store, tmp_path / "nowhere" / "copy.db")
        (tmp_path / "half.db.part").mkdir()
        with pytest.raises(StoreError, match="can't be written") as caught:
            upkeep.backup(store, tmp_path / "half.db")
        assert "disk" in caught.value.hint and not (tmp_path / "half.db").exists()
        (tmp_path / "half.db.part").rmdir()
    with Store(tmp_path / "copy.db") as copy:
        assert copy.rows("PRAGMA journal_mode") == [("wal",)]
        assert [message.text for message in said(copy, session)] == ["hi"]
    assert not list(tmp_path.glob("*.part"))


def test_a_store_that_lacks_a_table_is_not_backed_up(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        begun(store, Message("user", "hi"))
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as database:
        database.executescript("PRAGMA foreign_keys = OFF; DROP TABLE messages")
    with Store(tmp_path / "sessions.db") as store, pytest.raises(StoreError, match="no messages"):
        upkeep.backup(store, tmp_path / "copy.db")
    assert [path.name for path in tmp_path.glob("copy*")] == []
