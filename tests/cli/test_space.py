"""A chat whose context fills up: what is told, what is offered at a terminal, what is typed where there is none."""

import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from threading import Event

import pytest

from g4local.chat.contents import DROPPED
from g4local.chat.conversation import Conversation
from g4local.cli import asking
from g4local.cli.chat import _read
from g4local.cli.output import Bar
from g4local.cli.session import Session
from g4local.core.messages import Message, ToolCall
from g4local.opening.request import Request
from g4local.tools.tool import tool
from tests.fakes import INFO, Reply, ScriptedEngine, approve_all

LONG = "word " * 60
RESULT = (
    Message("user", "Look it up!"),
    Message("assistant", tool_calls=(ToolCall("add", {}, "call_0"),)),
    Message("tool", "r" * 300, tool_call_id="call_0", name="add"),
    Message("assistant", "Done."),
)


def turns(count: int) -> list[Message]:
    each = ([Message("user", f"Q{number}?"), Message("assistant", LONG.strip())] for number in range(count))
    return [message for turn in each for message in turn]


def opened(
    tmp_path: Path, *replies: str | Reply, messages: list[Message]
) -> tuple[Session, Conversation, ScriptedEngine]:
    engine = ScriptedEngine(list(replies), info=replace(INFO, context=1000), has_limits=True)
    talk = Conversation(engine, messages=messages)
    return Session(talk, Request("demo", folder=tmp_path), Bar(), Event()), talk, engine


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal types, and what was asked."""
    typed: list[str] = []
    monkeypatch.setattr(asking, "can_ask", lambda: True)
    monkeypatch.setattr(asking, "reply", lambda question, cancel, fresh=True: typed.pop(0))
    return typed


def test_a_question_that_does_not_fit_is_asked_again_after_a_summary(
    tmp_path: Path, answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    session, talk, engine = opened(tmp_path, *["In short."] * 9, messages=turns(4))
    answers += ["y"]
    engine.replies = ["In short."] * 9
    session.take("And now?")
    out, err = capsys.readouterr()
    assert out == "In short.\n" and "The older turns are a summary now." in err
    assert "hint: /context shows what fills it." in err and "history" not in err
    assert [message.summary for message in talk.messages].count(True) == 1
    assert talk.messages[-2:] == [Message("user", "And now?"), Message("assistant", "In short.")]
    assert "Q3?" in engine.prompts[-1] and not answers


def test_results_are_offered_first_and_a_no_changes_nothing(
    tmp_path: Path, answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    history = [*turns(2), *RESULT]
    session, talk, engine = opened(tmp_path, "Yes.", messages=history)
    answers += ["n", "n"]
    session.take("And now?")
    assert talk.messages == history and not engine.prompts and not answers
    assert "The question was taken back." in capsys.readouterr().err
    answers += ["y"]
    session.take("Hm?")
    assert capsys.readouterr().out == "Yes.\n"
    assert [message.text for message in talk.messages if message.role == "tool"] == [DROPPED]


def test_where_nobody_can_be_asked_it_is_said_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = turns(4)
    session, talk, _ = opened(tmp_path, messages=history)
    session.take("And now?")
    err = capsys.readouterr().err
    assert talk.messages == history
    assert all(word in err for word in ("error:", "taken back", "/drop", "/compact", "/clear", "/context"))


def test_what_is_typed_before_a_question_is_seen_is_no_answer_and_is_not_lost(
    tmp_path: Path, answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    history = [*turns(2), *RESULT]
    session, talk, engine = opened(tmp_path, messages=history)
    answers += ["Yesterday?", "never asked"]
    session.take("And now?")
    assert session.typed == ["Yesterday?"] and answers == ["never asked"]
    assert talk.messages == history and not engine.prompts
    assert "neither yes nor no, so it is what you say next" in capsys.readouterr().err


def test_what_was_typed_already_is_read_first_also_as_the_beginning_of_a_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO('more"""\nlast\n'))
    typed = ["/think on", '"""some']
    assert [_read(typed) for _ in range(4)] == ["/think on", "some\nmore", "last", None]


def test_a_question_that_is_too_long_by_itself_is_not_offered_a_summary(
    tmp_path: Path, answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    history = turns(2)
    session, talk, _ = opened(tmp_path, messages=history)
    session.take("q" * 950)
    err = capsys.readouterr().err
    assert "The question alone takes 9" in err and "hint: Shorten it" in err
    assert talk.messages == history


def test_a_context_that_is_nearly_full_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, _, _ = opened(tmp_path, "Yes.", "No.", "So.", messages=turns(2))
    session.take("x" * 200)
    assert "The context is 88 %" in (err := capsys.readouterr().err) and "/compact" in err
    session.take("y")
    assert "The context is" not in capsys.readouterr().err


def test_an_answer_that_ends_for_lack_of_room_offers_some(
    tmp_path: Path, answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    session, talk, _ = opened(tmp_path, Reply(LONG, reason="context"), "Short.", "Short.", "Better.", messages=turns(2))
    answers += ["y"]
    session.take("z" * 100)
    err = capsys.readouterr().err
    assert "/retry asks the question again" in err and talk.messages[0].text == "Q0?"
    session.take("/retry")
    assert capsys.readouterr().out.endswith("Better.\n")


def test_a_result_that_is_too_long_is_dropped_and_the_turn_goes_on(
    tmp_path: Path, answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    @tool
    def read() -> str:
        """Read."""
        return "long " * 300

    session, talk, engine = opened(tmp_path, "<|tool_call>call:read{}<tool_call|>", "It is too long.", messages=[])
    talk.tools = (read,)
    talk._approve = approve_all
    answers += ["y"]
    session.take("What does it say?")
    assert "/continue goes on." in capsys.readouterr().err
    session.take("/continue")
    assert capsys.readouterr().out == "It is too long.\n"
    assert DROPPED in engine.prompts[-1] and talk.messages[0].text == "What does it say?"


def test_context_drop_and_compact_are_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, talk, _ = opened(tmp_path, "In short.", messages=[*RESULT, *turns(1)])
    session.take("/context")
    err = capsys.readouterr().err
    assert [line.split()[0] for line in err.splitlines()[:7]] == [
        *("system", "tools", "history", "thoughts", "results", "free", "used")
    ]
    assert "/drop would free" in err and "--ctx max" in err
    session.take("/drop")
    assert DROPPED in [message.text for message in talk.messages]
    session.take("/drop")
    assert "would win nothing" in capsys.readouterr().err
    session.take("/compact")
    assert "In short." in capsys.readouterr().err
    assert any(message.summary for message in talk.messages)
    session.take("/clear")
    session.take("/compact")
    assert "error: There is nothing to summarise" in capsys.readouterr().err


def test_a_summary_that_is_stopped_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = turns(2)
    session, talk, _ = opened(tmp_path, Reply("In short.", cancels_after=1), messages=history)
    session.take("/compact")
    assert capsys.readouterr().err == "The summary was stopped; the conversation is as it was.\n"
    assert talk.messages == history
