"""Whether a tool may run, asked at a real terminal."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Event

import pytest

from g4local.cli.approval import Approval
from g4local.core.messages import ToolCall
from g4local.tools.tool import ToolError

QUESTION = "[y]es, [a]lways calculate, [n]o: "
PROGRAM = """
from threading import Event
from g4local.cli.approval import Approval
from g4local.core.messages import ToolCall
cancel = Event()
approval = Approval(everything=False, announced=False, warn=print, cancel=cancel)
call = ToolCall("calculate", {"expression": "1\\x1b[2J\\u202e2\\u2028"})
print("ANSWERS", [approval.ask(call), approval.ask(call)], cancel.is_set())
"""


class Terminal:
    """A pseudo-terminal in which a program asks twice whether a call may run."""

    def __init__(self) -> None:
        self._side, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        os.close(other)
        self.screen = ""

    def wait_for(self, text: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while text not in self.screen:
            assert time.monotonic() < end, f"{text!r} is not in {self.screen!r}"
            if select.select([self._side], [], [], 0.1)[0]:
                self.screen += os.read(self._side, 65536).decode("utf-8", "replace")

    def type(self, text: str) -> None:
        self.screen = ""
        os.write(self._side, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._side)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
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


def test_always_is_asked_once(terminal: Terminal) -> None:
    terminal.wait_for(QUESTION)
    terminal.type("a\n")
    terminal.wait_for("ANSWERS [True, True] False")


def test_ctrl_d_is_no(terminal: Terminal) -> None:
    for _ in range(2):
        terminal.wait_for(QUESTION)
        terminal.type("\x04")
    terminal.wait_for("ANSWERS [False, False] False")


def test_what_a_call_says_can_not_steer_the_terminal(terminal: Terminal) -> None:
    terminal.wait_for(QUESTION)
    assert not {"\x1b", "\u202e", "\u2028"} & set(terminal.screen)
    assert "\\u202e2\\u2028" in terminal.screen


def test_where_nobody_can_be_asked_the_tool_may_not_run_and_that_is_told() -> None:
    warnings: list[str] = []
    approval = Approval(everything=False, announced=True, warn=warnings.append, cancel=Event())
    with pytest.raises(ToolError, match="nobody"):
        approval.ask(ToolCall("clock", {}))
    assert "--yes" in warnings[0]


def test_yes_asks_nobody() -> None:
    warnings: list[str] = []
    assert Approval(everything=True, announced=True, warn=warnings.append, cancel=Event()).ask(ToolCall("clock", {}))
    assert not warnings
