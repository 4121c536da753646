"""Conversations as they are kept: all that is said is there, and a store that fails costs no answer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Wish
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.backend.engine import Sampling
from g4local.chat import recording as recording_module
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.chat.recording import Recording
from g4local.core.errors import ContextFull, EngineDied, StoreError, UsageError
from g4local.core.events import TextDelta, TurnStarted, Warned
from g4local.core.messages import Message
from g4local.core.progress import silent
from g4local.store import database, upkeep
from g4local.store.store import Store
from tests.chat.talk import ADD, TOOLS, finish, said, text_of, warnings
from tests.fakes import Reply, ScriptedEngine, approve_all


@contextmanager
def kept(path: Path, *replies: Reply | str, name: str | None = None, **options: object) -> Iterator[Conversation]:
    """A conversation that is kept in this store: a new one, or the session of this name."""
    with closing(Recording(path)) as recording:
        recording.settings["model"] = "scripted"
        messages = recording.resume(name)[1] if name else []
        yield Conversation(
            ScriptedEngine(list(replies)),
            tools=TOOLS,
            approve=approve_all,
            options=ConversationOptions(**options),  # type: ignore[arg-type]
            messages=messages,
            recording=recording,
        )


def stored(path: Path, session: str | None) -> list[Message]:
    with Store(path) as store:
        assert session is not None
        return [each.message for each in store.path_to(store.find(session).head)]


def ever_said(path: Path, session: str | None) -> list[str]:
    with Store(path) as store:
        assert session is not None
        return [each.message.text for each in store.tree(store.find(session))]


def test_all_that_is_said_is_kept_with_thoughts_calls_and_results(tmp_path: Path) -> None:
    with kept(tmp_path / "s.db", f"<|channel>thought\nAdd.<channel|>{ADD}", "It is 5.") as talk:
        said(talk, "What is 2 + 3?")
        assert [message.role for message in talk.messages] == ["user", "assistant", "tool", "assistant"]
        assert stored(tmp_path / "s.db", talk.session) == talk.messages
        assert talk.messages[1].thought == "Add."


def test_a_question_is_kept_when_the_loaded_model_is_asked_and_not_before(tmp_path: Path) -> None:
    with kept(tmp_path / "s.db", Reply("Hello.", dies_after=0)) as talk:
        turn = talk.say("hi", report=silent, cancel=Wish())
        assert next(turn) == TurnStarted()
        assert talk.session is None
        with pytest.raises(EngineDied):
            next(turn)
        assert stored(tmp_path / "s.db", talk.session)[:1] == [Message("user", "hi")]


def test_a_question_to_a_model_that_is_not_loaded_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise UsageError("It has no assistant.")

    path = tmp_path / "s.db"
    with kept(path, "Hello.") as talk:
        said(talk, "hi")
        first, before = talk.session, list(talk.messages)
    with kept(path, "Hello.") as new, kept(path, "Hello.", name=first) as old:
        monkeypatch.setattr(ScriptedEngine, "start", refuse)
        for talk in (new, old):
            with pytest.raises(UsageError):
                said(talk, "lost")
    with Store(path) as store:
        assert [each.id for each in store.sessions()] == [first]
    assert stored(path, first) == before


def test_a_refused_first_question_leaves_no_session_and_an_empty_one_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with kept(path, "Hello.") as talk:
        said(talk, "hi")
        first = talk.session
    with kept(path, Reply("", no_room=True), "Hi.") as talk:
        with pytest.raises(ContextFull):
            said(talk, "too long")
        assert talk.session is None
        with Store(path) as store:
            assert [each.id for each in store.sessions()] == [first]
        said(talk, "short")
        talk.rewind(0)
    with Store(path) as store:
        assert len(store.sessions()) == 2
        assert store.last().id == first


def test_a_turn_is_kept_with_all_that_is_needed_to_ask_it_again(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    sampling = Sampling(temperature=0.5, top_k=7)
    with kept(path, "One.", "Two.", system="Be brief.", thinking=True, sampling=sampling, max_tokens=9) as talk:
        said(talk, "first")
        said(talk, "second")
        asked = talk.engine.prompts[-1]  # type: ignore[attr-defined]
    with Store(path) as store:
        session = store.last()
        tree = store.tree(session)
        turn = store.turns(tree)[-1]
    assert turn.result is not None
    assert (turn.settings["model"], turn.result["seed"], turn.result["reason"]) == ("scripted", 42, "stop")
    told = turn.settings["sampling"]
    assert isinstance(told, dict)
    assert told == asdict(sampling)
    before = [each.message for each in tree if each.turn != turn.id] + [Message("user", "second")]
    again = ScriptedEngine(["Two."])
    options = ConversationOptions(
        system=str(turn.settings["system"]), thinking=bool(turn.settings["thinking"]), sampling=Sampling(**told)
    )
    list(Conversation(again, tools=TOOLS, options=options, messages=before).resume(report=silent, cancel=Wish()))
    assert again.prompts == [asked]
    assert again.requests[0][0] == sampling


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["say", "say", "undo", "retry", "clear", "compact", "die", "full"]), max_size=12))
def test_nothing_that_was_said_is_lost_and_the_head_is_where_the_conversation_is(steps: list[str]) -> None:
    with TemporaryDirectory() as folder, kept(Path(folder) / "s.db") as talk:
        path, ever = Path(folder) / "s.db", {}
        for number, what in enumerate(steps):
            step(talk, what, number)
            if talk.session:
                ever.setdefault(talk.session, set()).update(message.text for message in talk.messages)
                assert stored(path, talk.session) == talk.messages
        for session, texts in ever.items():
            assert set(ever_said(path, session)) >= texts


def step(talk: Conversation, what: str, number: int) -> None:
    """One thing that happens in a conversation."""
    replies: dict[str, Reply | str] = {
        "die": Reply(f"reply {number}.", dies_after=2),
        "full": Reply("", no_room=True),
    }
    talk.engine.replies = [replies.get(what, f"reply {number}.")]  # type: ignore[attr-defined]
    questions = [index for index, message in enumerate(talk.messages) if message.role == "user"]
    match what:
        case "say" | "die" | "full":
            with suppress(EngineDied, ContextFull):
                said(talk, f"question {number}")
        case "undo" if questions:
            with suppress(UsageError):
                talk.rewind(questions[-1])
        case "retry" if questions:
            with suppress(UsageError):
                list(talk.retry(report=silent, cancel=Wish()))
        case "clear":
            talk.clear()
        case "compact" if talk.messages:
            talk.replace([talk.messages[0], Message("assistant", f"summary {number}", summary=True)])


def test_a_question_that_is_taken_back_and_an_answer_that_is_asked_again_are_branches(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with kept(path, "One.", "Two.", "Better.", "Three.") as talk:
        said(talk, "first")
        said(talk, "second")
        list(talk.retry(report=silent, cancel=Wish()))
        talk.rewind(2)
        assert [message.text for message in stored(path, talk.session)] == ["first", "One."]
        said(talk, "third")
        assert [message.text for message in stored(path, talk.session)] == ["first", "One.", "third", "Three."]
        assert ever_said(path, talk.session) == ["first", "One.", "second", "Two.", "Better.", "third", "Three."]


def test_a_conversation_that_is_forgotten_stays_and_the_next_is_another_session(tmp_path: Path) -> None:
    with kept(tmp_path / "s.db", "One.", "Two.") as talk:
        said(talk, "first")
        talk.clear()
        assert talk.session is None
        said(talk, "second")
    with Store(tmp_path / "s.db") as store:
        assert [session.title for session in store.sessions()] == ["second", "first"]


def test_a_session_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with kept(path, "One.") as talk:
        said(talk, "first")
        name = talk.session
    with kept(path, "Two.", name=name) as talk:
        assert talk.session == name
        said(talk, "second")
        assert [message.text for message in stored(path, name)] == ["first", "One.", "second", "Two."]
    with pytest.raises(UsageError), kept(path, name="another"):
        pass


def test_a_history_that_is_replaced_right_after_a_resume_keeps_what_the_session_was_asked_with(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with kept(path, "One.", system="Be brief.") as talk:
        said(talk, "first")
        name = talk.session
    with kept(path, name=name) as talk:
        talk.replace([talk.messages[0], Message("assistant", "a summary", summary=True)])
    with Store(path) as store:
        session = store.resume(name)
        assert (session.setting("model"), session.setting("system")) == ("scripted", "Be brief.")
        assert session.messages == 2


def test_a_reply_is_kept_while_it_is_said_and_a_crash_leaves_it_as_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "_DRAFT_SECONDS", 0.0)
    path = tmp_path / "s.db"
    with kept(path, "<|channel>thought\nHm.<channel|>One two three four.") as talk:
        turn = talk.say("count", report=silent, cancel=Wish())
        next(event for event in turn if event == TextDelta(" three"))
        name = talk.session
        with Store(path) as store:
            session = store.find(str(name))
            assert store.draft(session) == [Message("assistant", "One two three", "Hm.")]
            assert session.messages == 1
            session = store.resume(name)
            assert [each.message for each in store.path_to(session.head)] == [
                Message("user", "count"),
                Message("assistant", "One two three", "Hm."),
            ]
            assert store.draft(session) == []
            assert store.turns(store.tree(session))[0].result is None
        list(turn)
    assert sorted(ever_said(path, name)) == ["One two three", "One two three four.", "count"]


def test_what_is_said_is_on_the_disk_a_second_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(0.0, 0.1)
    monkeypatch.setattr(recording_module, "monotonic", lambda: next(clock))
    path = tmp_path / "s.db"
    with kept(path, " ".join(f"word{number}" for number in range(60))) as talk, Store(path) as store:
        pieces: list[str] = []
        for event in talk.say("talk", report=silent, cancel=Wish()):
            if isinstance(event, TextDelta):
                pieces.append(event.text)
                drafted = "".join(message.text for message in store.draft(store.last()))
                assert "".join(pieces).startswith(drafted)
                assert drafted.startswith("".join(pieces[:-10])), "the clock goes on by at least 0.1 with each piece"


def test_a_whole_reply_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_module, "_DRAFT_SECONDS", 0.0)
    with kept(tmp_path / "s.db", "One two three.") as talk:
        said(talk, "count")
    with Store(tmp_path / "s.db") as store:
        assert store.rows("SELECT count(*) FROM drafts") == [(0,)]
        assert store.rows("SELECT count(*) FROM messages") == [(2,)]


def test_replies_are_written_twice_a_second_at_most(tmp_path: Path) -> None:
    with kept(tmp_path / "s.db", "word " * 500) as talk:
        said(talk, "talk")
    with Store(tmp_path / "s.db") as store:
        written = store.rows("SELECT seq FROM sqlite_sequence WHERE name = 'drafts'")
    assert written in ([], [(1,)])


def fault(path: Path, how: str) -> None:
    match how:
        case "damaged":
            path.write_bytes(b"These are no sessions. " * 1000)
        case "newer":
            with Store(path) as store:
                store.rows("PRAGMA user_version = 99")
        case "a folder":
            path.mkdir()
        case "no folder":
            path.parent.write_text("a file")


@pytest.mark.parametrize("how", ["damaged", "newer", "a folder", "no folder"])
def test_a_store_that_cannot_be_used_costs_no_answer_and_is_told_once(tmp_path: Path, how: str) -> None:
    path = tmp_path / "folder" / "s.db" if how == "no folder" else tmp_path / "s.db"
    fault(path, how)
    with kept(path, "One.", "Two.") as talk:
        events = said(talk, "first")
        assert text_of(events) == "One."
        assert finish(events).reason == "stop"
        assert [warning.split(":")[0] for warning in warnings(events)] == [
            "This conversation is not saved from here on"
        ]
        assert talk.session is None
        assert warnings(said(talk, "second")) == []
        assert [message.text for message in talk.messages] == ["first", "One.", "second", "Two."]


@pytest.mark.parametrize(
    ("how", "told"), [("PRAGMA max_page_count = 1", "full"), ("PRAGMA query_only = 1", "readonly")]
)
def test_a_full_disk_or_one_that_is_read_only_costs_no_answer_and_what_was_kept_stays(
    tmp_path: Path, how: str, told: str
) -> None:
    path = tmp_path / "s.db"
    with kept(path, "One.", "word " * 20_000, "Three.") as talk:
        said(talk, "first")
        name = talk.session
        store = talk._recording._store if talk._recording else None
        assert store is not None
        store.rows(how)
        events = said(talk, "second")
        assert len(text_of(events)) > 90_000
        assert told in warnings(events)[0]
        assert text_of(said(talk, "third")) == "Three."
    assert [message.text for message in stored(path, name)][:2] == ["first", "One."]


def test_a_store_that_another_program_keeps_to_itself_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_WAIT_SECONDS", 0.05)
    with Store(tmp_path / "s.db") as other, other.writing(), kept(tmp_path / "s.db", "One.") as talk:
        events = said(talk, "first")
        assert text_of(events) == "One."
        assert "locked" in warnings(events)[0]


def test_a_session_that_is_removed_meanwhile_costs_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with kept(path, "One.", "Two.", "Three.") as talk:
        said(talk, "first")
        with Store(path) as store:
            upkeep.remove(store, store.sessions())
        events = said(talk, "second")
        assert text_of(events) == "Two."
        assert isinstance(events[1], Warned)
        assert "removed" in events[1].message
        talk.clear()
        assert warnings(said(talk, "third")) == []
        assert [message.text for message in stored(path, talk.session)] == ["third", "Three."]


def test_a_session_cannot_be_gone_on_with_when_its_store_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"These are no sessions. " * 1000)
    with closing(Recording(path)) as recording, pytest.raises(StoreError):
        recording.resume(None)


def test_nothing_is_made_for_a_conversation_in_which_nothing_was_said(tmp_path: Path) -> None:
    with kept(tmp_path / "s.db") as talk:
        talk.clear()
    assert not (tmp_path / "s.db").exists()
