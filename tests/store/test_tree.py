"""The tree of messages: whatever is said, taken back, forked and removed, it is what a plain model of it says."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.core.errors import StoreError, UsageError
from g4local.core.messages import Message, ToolCall
from g4local.store import transcript, upkeep
from g4local.store.database import MIGRATIONS
from g4local.store.store import Store
from g4local.store.values import UNTITLED, title_of
from tests.core.test_messages import MESSAGES


@contextmanager
def new_store() -> Iterator[Store]:
    with TemporaryDirectory() as folder, Store(Path(folder) / "sessions.db") as store:
        store.rows("PRAGMA synchronous = OFF")
        yield store


def begun(store: Store, *messages: Message, title: str = "title") -> str:
    with store.writing():
        session = store.start(title)
        head = None
        for message in messages:
            head = store.append(session, head, message)
        store.move_head(session, head)
    return session


def said(store: Store, session: str) -> list[Message]:
    return [each.message for each in store.path_to(store.find(session).head)]


def is_sound(store: Store) -> bool:
    """Whether SQLite finds the file, its references and its index of words as they should be."""
    with store.writing():
        store.database.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 0)")
    return store.rows("PRAGMA integrity_check") == [("ok",)] and store.rows("PRAGMA foreign_key_check") == []


@dataclass
class Plain:
    """A store as a plain model of it: each session is a path, and all that was ever said in its tree."""

    paths: dict[str, list[str]] = field(default_factory=dict)
    ever: dict[str, set[str]] = field(default_factory=dict)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_random_edits_forks_and_removals_are_those_of_a_plain_model(data: st.DataObject) -> None:
    plain, words = Plain(), iter(f"w{number}" for number in range(1000))
    with new_store() as store:
        for _ in range(data.draw(st.integers(1, 25))):
            step(store, plain, words, data)
            assert {each.id: each.messages for each in store.sessions()} == {
                name: len(path) for name, path in plain.paths.items()
            }
        for name, path in plain.paths.items():
            assert [message.text for message in said(store, name)] == path
            tree = store.tree(store.find(name))
            assert plain.ever[name] >= {each.message.text for each in tree} >= set(path)
            assert {each.parent for each in tree} <= {None, *(each.id for each in tree)}
            for word in path[-1:]:
                assert [hit.snippet for hit in upkeep.search(store, f'"{word}"', 5)] == [word]
        kept = {row[0] for row in store.rows("SELECT text FROM messages")}
        assert kept >= {word for path in plain.paths.values() for word in path}
        assert kept <= {word for words_of_one in plain.ever.values() for word in words_of_one}
        assert is_sound(store)


def step(store: Store, plain: Plain, words: Iterator[str], data: st.DataObject) -> None:
    """One thing that happens to a store, and to the model of it."""
    what = data.draw(st.sampled_from(["begin", "say", "say", "ask again", "take back", "fork", "fork", "remove"]))
    if what == "begin" or not plain.paths:
        word = next(words)
        name = begun(store, Message("user", word))
        plain.paths[name], plain.ever[name] = [word], {word}
        return
    name = data.draw(st.sampled_from(list(plain.paths)))
    path = plain.paths[name]
    match what:
        case "say":
            word = next(words)
            with store.writing():
                turn = store.begin_turn({"model": "demo"})
                store.move_head(name, store.append(name, store.find(name).head, Message("assistant", word), turn=turn))
            path.append(word)
            plain.ever[name].add(word)
        case "ask again":
            with store.writing():
                if head := store.find(name).head:
                    store.keep_draft(None, name, head, store.begin_turn({}), [Message("assistant", "half")])
        case "take back":
            keep = data.draw(st.integers(0, len(path)))
            numbers = [each.id for each in store.path_to(store.find(name).head)]
            with store.writing():
                store.move_head(name, numbers[keep - 1] if keep else None)
            del path[keep:]
        case "fork":
            tree = store.tree(store.find(name))
            at = data.draw(st.sampled_from([None, *(each.id for each in tree)]))
            new = upkeep.fork(store, store.find(name), at)
            plain.paths[new] = [message.text for message in said(store, new)]
            assert at is not None or plain.paths[new] == path
            plain.ever[new] = set(plain.ever[name])
        case "remove":
            upkeep.remove(store, [store.find(name)])
            del plain.paths[name]
            gone = plain.ever.pop(name)
            assert gone >= set(path)


@settings(max_examples=25, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=4))
def test_messages_come_back_as_they_were(messages: list[Message]) -> None:
    with new_store() as store:
        assert said(store, begun(store, *messages)) == messages
        assert is_sound(store)


def test_forks_share_what_both_have_said(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        first = begun(store, *(Message("user", f"{number}") for number in range(50)))
        fork = upkeep.fork(store, store.find(first), store.path_to(store.find(first).head)[29].id)
        assert [message.text for message in said(store, fork)] == [f"{number}" for number in range(30)]
        assert store.rows("SELECT count(*) FROM messages") == [(50,)]
        assert store.find(fork).forked_from == first


def test_what_is_removed_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with Store(path) as store:
        first = begun(store, Message("user", "a pelican"), Message("assistant", "unforgettable"), title="a pelican")
        fork = upkeep.fork(store, store.find(first), store.path_to(store.find(first).head)[0].id)
        upkeep.remove(store, [store.find(first)])
        assert [message.text for message in said(store, fork)] == ["a pelican"]
        assert upkeep.search(store, "unforgettable", 5) == []
        assert is_sound(store)
    files = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"pelican" in files
    assert b"unforgettable" not in files


def test_a_message_never_changes(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        begun(store, Message("user", "hello"))
        with pytest.raises(StoreError), store.writing():
            store.database.execute("UPDATE messages SET text = 'bye'")
        assert store.rows("SELECT text FROM messages") == [("hello",)]


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        with pytest.raises(RuntimeError), store.writing():
            store.append(store.start("title"), None, Message("user", "hello"))
            raise RuntimeError
        assert store.sessions() == []
        assert store.rows("SELECT count(*) FROM messages") == [(0,)]


def test_a_session_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        names = [begun(store, Message("user", "hi")) for _ in range(20)]
        assert all(store.find(name).id == name for name in names)
        assert store.find(names[3][:7]).id == names[3]
        for unknown in ("", "nothing", "%", "x" * 5000, "\x1b[31m"):
            with pytest.raises(UsageError):
                store.find(unknown)
        with pytest.raises(UsageError):
            for digit in "0123456789abcdef":
                store.find(digit)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("  How do I\n\n convert\ta model? ", "How do I convert a model?"),
        ("", UNTITLED),
        ("word " * 50, "word " * 14 + "w…"),
        ("x" * 1000, "x" * 71 + "…"),
    ],
)
def test_a_title_is_the_first_words_on_one_line(text: str, title: str) -> None:
    assert title_of(text) == title


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("pelican", ["one", "two"]),
        ("PELI", ["one", "two"]),
        ("pelican name", ["one"]),
        ('"pet pelican"', ["one"]),
        ('"pelican pet"', []),
        ("uber", ["three"]),
        ("世界", ["three"]),
        ("100%", ["four"]),
        ("_x", ["four"]),
        ('AND OR ( * " NEAR', []),
        ("'; DROP TABLE messages; --", []),
    ],
)
def test_messages_are_found_by_words_and_by_what_is_inside_of_them(
    tmp_path: Path, query: str, found: list[str]
) -> None:
    texts = {
        "one": "a name for my pet pelican",
        "two": "Pelicans fly",
        "three": "Über 你好世界!",
        "four": "100%_x \\ \x00 \x1b[31m",
    }
    with Store(tmp_path / "sessions.db") as store:
        for name, text in texts.items():
            begun(store, Message("user", text), Message("tool", "pelican uber 世界"), title=name)
        assert sorted(hit.title for hit in upkeep.search(store, query, 10)) == sorted(found)


def test_a_search_for_nothing_is_a_usage_error(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store, pytest.raises(UsageError):
        upkeep.search(store, "  ", 5)


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_no_query_is_an_error_of_sqlite(query: str) -> None:
    with new_store() as store:
        begun(store, Message("user", query), Message("assistant", "x"))
        try:
            upkeep.search(store, query, 3)
        except UsageError:
            assert not query.replace("\0", " ").strip()


def test_halves_of_surrogate_pairs_are_replaced(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        session = begun(store, Message("tool", "name\udce4.txt"), title="\ud800")
        assert [message.text for message in said(store, session)] == ["name?.txt"]
        assert store.find(session).title == "?"


def test_a_fork_at_a_message_of_another_session_is_a_usage_error(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        one, two = (begun(store, Message("user", "hi")) for _ in "ab")
        with pytest.raises(UsageError):
            upkeep.fork(store, store.find(one), store.find(two).head)


def damaged(path: Path, how: str) -> None:
    match how:
        case "no database":
            path.write_bytes(b"These are no sessions. " * 1000)
        case "cut off":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "zeros":
            path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096))
        case "a folder":
            path.unlink()
            path.mkdir()


@pytest.mark.parametrize("how", ["no database", "cut off", "zeros", "a folder"])
def test_a_damaged_store_is_told_by_its_name(tmp_path: Path, how: str) -> None:
    path = tmp_path / "sessions.db"
    with Store(path) as store:
        session = begun(store, *(Message("user", "word " * 100) for _ in range(200)))
    damaged(path, how)
    with pytest.raises(StoreError) as caught, Store(path) as store:
        said(store, session)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_store_with_bytes_that_were_changed_is_read_or_told_to_be_damaged(tmp_path: Path) -> None:
    path, pick, told = tmp_path / "sessions.db", random.Random(1), 0
    with Store(path) as store:
        for number in range(3):
            messages = (Message("user", f"hello {number}"), Message("assistant", "Hi.", "Hm.", (ToolCall("f", {}),)))
            name = begun(store, *messages * 10)
        with store.writing():
            head = store.find(name).head
            assert head is not None
            store.keep_draft(None, name, head, store.begin_turn({"model": "demo"}), [Message("assistant", "half")])
    whole = path.read_bytes()
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(pick.randint(1, 60)):
            changed[pick.randrange(len(changed))] = pick.randrange(256)
        for file in tmp_path.iterdir():
            file.unlink()
        path.write_bytes(changed)
        try:
            use(path)
        except (StoreError, UsageError) as error:
            told += isinstance(error, StoreError)
    assert told > 50


def use(path: Path) -> None:
    """Do with a store what the commands do."""
    with Store(path) as store:
        store.rows("PRAGMA synchronous = OFF")
        for session in store.sessions():
            found = transcript.read(store, session)
            assert transcript.markdown(found)
            assert transcript.session_object(found)
        upkeep.search(store, "hello", 5)
        session = store.resume(None)
        with store.writing():
            store.move_head(session.id, store.append(session.id, session.head, Message("user", "new")))
        upkeep.remove(store, [session])


def test_a_newer_store_is_refused_in_one_sentence_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with Store(path) as store:
        store.rows("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert "schema 99" in caught.value.message
    assert path.read_bytes() == before


def test_a_schema_that_stores_have_is_never_changed_only_added_to() -> None:
    hashes = [sha256("\n".join(statements).encode()).hexdigest()[:16] for statements in MIGRATIONS]
    assert hashes == ["9b378d84cd0bbf8b"]


def test_a_session_of_which_all_was_taken_back_still_knows_its_model(tmp_path: Path) -> None:
    with Store(tmp_path / "sessions.db") as store:
        with store.writing():
            session = store.start("title")
            store.append(session, None, Message("user", "hi"), turn=store.begin_turn({"model": "demo"}))
        assert store.find(session).setting("model") == "demo"
        assert store.path_to(store.find(session).head) == []


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "sessions.db"
    with Store(path) as store:
        begun(store, Message("user", "hi"))
        assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}


def test_another_program_sees_a_plain_database(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with Store(path) as store:
        begun(store, Message("user", "hi"))
    rows: list[Any] = sqlite3.connect(path).execute("SELECT role, text FROM messages").fetchall()
    assert rows == [("user", "hi")]


def test_the_index_bears_any_number_of_removals() -> None:
    """FTS5 calls an index malformed that was optimized two thousand times."""
    with new_store() as store:
        kept = begun(store, Message("user", "a pelican " + " ".join(f"w{number}" for number in range(3000))))
        for number in range(2100):
            session = begun(store, Message("user", f"walrus {number}"))
            upkeep.remove(store, [store.find(session)])
        assert [hit.session for hit in upkeep.search(store, "pelican", 9)] == [kept]
        assert upkeep.search(store, "walrus", 9) == []
        store.database.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
