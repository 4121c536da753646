"""Whether a tool may run, asked at a real terminal."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from g4local.cli import asking
from g4local.cli.approval import asker
from g4local.core.errors import G4Error
from g4local.core.messages import ToolCall
from g4local.opening.approval import Approval, Scope
from g4local.tools import permissions
from g4local.tools.tool import ToolError
from tests.cli.terminals import Terminal

QUESTION = "[y]es, [a]lways in this chat, in this [f]older, [n]o: "
PROGRAM = """
import sys
from pathlib import Path
from threading import Event
from g4local.cli.approval import asker
from g4local.core.messages import ToolCall
from g4local.opening.approval import Approval, Scope
cancel = Event()
home = Path(sys.argv[1])
scope = Scope(home / "permissions.json", home / "folder", lambda: sys.argv[2] or None)
approval = Approval(scope, everything=False, ask=asker(cancel, announced=False), warn=print)
call = ToolCall("calculate", {"expression": "1\\x1b[2J\\u202e2\\u2028"})
print("ANSWERS", [approval.ask(call), approval.ask(call)], cancel.is_set())
"""


CALL = ToolCall("calculate", {"expression": "1"})


def approval(
    home: Path, *, folder: str = "folder", everything: bool = False, warnings: list[str] | None = None
) -> Approval:
    """An Approval by the rules of this home, with nobody there to be asked."""
    scope = Scope(home / "permissions.json", home / folder, lambda: None)
    told = [] if warnings is None else warnings
    return Approval(scope, everything=everything, ask=asker(Event()), warn=told.append)


@pytest.fixture
def session() -> str:
    """The session that is kept; none."""
    return ""


@pytest.fixture
def typed() -> str:
    """What is typed before anything is asked; nothing."""
    return ""


@pytest.fixture
def terminal(own_home: Path, session: str, typed: str) -> Iterator[Terminal]:
    """A terminal in which a program asks twice whether a call may run."""
    opened = Terminal(
        [sys.executable, "-c", PROGRAM, str(own_home), session],
        {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        typed=typed,
    )
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [("y\n", "n\n", "[True, False]"), ("yes\n", "\n", "[True, False]"), ("no\n", "YES\n", "[False, True]")],
)
def test_each_call_is_asked_for(terminal: Terminal, first: str, second: str, answers: str) -> None:
    terminal.wait_for(QUESTION)
    terminal.type(first)
    terminal.wait_for(QUESTION)
    terminal.type(second)
    terminal.wait_for(f"ANSWERS {answers} False")


@pytest.mark.parametrize("words", ["forget it", "always no", "yesterday", "file?"])
def test_what_only_begins_like_an_answer_is_asked_again(terminal: Terminal, own_home: Path, words: str) -> None:
    terminal.wait_for(QUESTION)
    terminal.type(f"{words}\n")
    terminal.wait_for("That is none of these. y, a, f or n: ")
    terminal.type("y\n")
    terminal.wait_for(QUESTION)
    terminal.type(f"{words}\n")
    terminal.wait_for("That is none of these.")
    terminal.type(f"{words}\n")
    terminal.wait_for("ANSWERS [True, False] False")
    assert not (own_home / "permissions.json").exists()


def test_always_is_asked_once(terminal: Terminal, own_home: Path) -> None:
    terminal.wait_for(QUESTION)
    terminal.type("a\n")
    terminal.wait_for("ANSWERS [True, True] False")
    assert not (own_home / "permissions.json").exists()


@pytest.mark.parametrize("session", ["3f2a9c1d"])
def test_always_is_kept_with_a_session_that_is_kept(terminal: Terminal, own_home: Path) -> None:
    terminal.wait_for(QUESTION)
    terminal.type("a\n")
    terminal.wait_for("ANSWERS [True, True] False")
    assert permissions.read(own_home / "permissions.json").sessions == {"3f2a9c1d": {"calculate": "allow"}}


def test_a_folder_s_rule_is_kept_and_holds_in_the_next_chat(terminal: Terminal, own_home: Path) -> None:
    terminal.wait_for(QUESTION)
    terminal.type("f\n")
    terminal.wait_for("ANSWERS [True, True] False")
    assert approval(own_home, folder="folder").ask(CALL)
    assert approval(own_home, folder="folder/below").ask(CALL)
    with pytest.raises(ToolError):
        approval(own_home, folder="elsewhere").ask(CALL)


def test_a_rule_that_can_not_be_kept_holds_for_now(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "can_ask", lambda: True)
    monkeypatch.setattr(asking, "reply", lambda question, cancel: "folder")
    warnings: list[str] = []
    (own_home / "file").touch()
    scope = Scope(own_home / "file" / "permissions.json", own_home, lambda: None)
    asked = Approval(scope, everything=False, ask=asker(Event()), warn=warnings.append)
    with pytest.raises(G4Error):
        asked.ask(CALL)
    scope = Scope(own_home / "permissions.json", own_home, lambda: None)
    monkeypatch.setattr("g4local.tools.permissions.write_whole", full_disk)
    asked = Approval(scope, everything=False, ask=asker(Event()), warn=warnings.append)
    assert asked.ask(CALL)
    assert "allowed for now only" in warnings[-1]
    monkeypatch.setattr(asking, "reply", lambda question, cancel: "n")
    assert asked.ask(CALL)


def full_disk(path: Path, text: str) -> None:
    raise OSError(28, "No space left on device")


def test_what_the_rules_deny_may_not_run_whatever_else_is_said(own_home: Path) -> None:
    permissions.remember(own_home / "permissions.json", "calculate", "deny")
    with pytest.raises(ToolError, match="rules deny"):
        approval(own_home, everything=True).ask(CALL)


def test_what_the_rules_allow_runs_where_nobody_can_be_asked(own_home: Path) -> None:
    permissions.remember(own_home / "permissions.json", "calculate", "allow")
    assert approval(own_home).ask(CALL)


@pytest.mark.parametrize("typed", ["yes, and then tell me more\n"])
def test_what_was_typed_before_the_question_is_no_answer(terminal: Terminal) -> None:
    for _ in range(2):
        terminal.wait_for(QUESTION)
        terminal.type("n\n")
    terminal.wait_for("ANSWERS [False, False] False")


def test_ctrl_d_is_no(terminal: Terminal) -> None:
    for _ in range(2):
        terminal.wait_for(QUESTION)
        terminal.type("\x04")
    terminal.wait_for("ANSWERS [False, False] False")


def test_what_a_call_says_can_not_steer_the_terminal(terminal: Terminal) -> None:
    terminal.wait_for(QUESTION)
    assert not {"\x1b", "\u202e", "\u2028"} & set(terminal.screen)
    assert "\\u202e2\\u2028" in terminal.screen


def test_where_nobody_can_be_asked_the_tool_may_not_run_and_that_is_told(own_home: Path) -> None:
    warnings: list[str] = []
    with pytest.raises(ToolError, match="nobody"):
        approval(own_home, warnings=warnings).ask(CALL)
    assert "--yes" in warnings[0]


def test_yes_asks_nobody(own_home: Path) -> None:
    warnings: list[str] = []
    assert approval(own_home, everything=True, warnings=warnings).ask(CALL)
    assert not warnings


def test_rules_that_can_not_be_read_let_nothing_run(own_home: Path) -> None:
    (own_home / "permissions.json").write_text("{")
    with pytest.raises(G4Error, match="can't be read"):
        approval(own_home, everything=True).ask(CALL)
