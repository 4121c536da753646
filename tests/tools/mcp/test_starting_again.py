"""MCP servers that end in a chat: the next call starts them again, and that is told."""

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from g4local.tools.mcp import connection
from g4local.tools.mcp.config import Address, Program
from g4local.tools.mcp.connection import connected
from g4local.tools.tool import Tool, ToolError
from tests.tools.mcp.test_connection import (
    ENVIRONMENT,
    complaint,
    gone,
    harmless,
    hostile,
    impatience,
    serving,
    tools,
)

__all__ = ["impatience"]


def test_a_server_that_died_is_started_again_by_the_next_call(tmp_path: Path) -> None:
    with tools(hostile("dies once", str(tmp_path / "died"))) as (found, warnings):
        assert "the MCP server evil failed" in complaint(found["evil__echo"])
        assert warnings == []
        assert found["evil__echo"].run({}, Event()) == "[the server had ended and was started again]\nharmless"
        assert warnings == ["The MCP server evil had ended and was started again."]
        assert found["evil__echo"].run({}, Event()) == "harmless"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_is_killed_between_two_calls_is_too(number: int) -> None:
    with tools(hostile("pid")) as (found, warnings):
        before = int(str(found["evil__echo"].run({}, Event())))
        for _ in range(1 + connection.MOST_STARTS):
            os.kill(before, number)
            assert gone(before)
            after = int(answered_in_the_end(found["evil__echo"]).splitlines()[-1])
            assert after != before
            before = after
        assert warnings == ["The MCP server evil had ended and was started again."] * (1 + connection.MOST_STARTS)


def answered_in_the_end(tool: Tool) -> str:
    """What it says; the first call may come before it is seen that the server is gone."""
    try:
        return str(tool.run({}, Event()))
    except ToolError:
        return str(tool.run({}, Event()))


def test_one_that_never_answers_is_not_started_for_ever() -> None:
    with tools(hostile("die"), harmless()) as (found, warnings):
        for _ in range(1 + connection.MOST_STARTS):
            assert "the MCP server evil failed" in complaint(found["evil__echo"])
        for _ in range(2):
            assert complaint(found["evil__echo"]) == "the MCP server evil is gone"
        assert len(warnings) == connection.MOST_STARTS
        assert found["good__echo"].run({}, Event()) == "harmless"


def test_other_tools_after_a_start_are_told(tmp_path: Path) -> None:
    with tools(hostile("changes", str(tmp_path / "died"))) as (found, warnings):
        complaint(found["evil__echo"])
        assert str(found["evil__echo"].run({}, Event())).endswith("harmless")
        assert list(found) == ["evil__echo"] and "its tools have changed" in warnings[0]
    with tools(hostile("loses its tool", str(tmp_path / "died again"))) as (found, warnings):
        complaint(found["evil__echo"])
        assert "has no tool echo any more" in complaint(found["evil__echo"])
        assert "its tools have changed" in warnings[0]


def test_one_that_can_not_be_started_again_is_told(tmp_path: Path) -> None:
    script = tmp_path / "server.sh"
    script.write_text(f"exec {sys.executable} -m tests.hostile_server die\n")
    with tools(Program("evil", ("sh", str(script)), ENVIRONMENT)) as (found, warnings):
        complaint(found["evil__echo"])
        script.write_text("echo 'no more tea' >&2; exit 1\n")
        assert "can't be started again" in (why := complaint(found["evil__echo"])) and "no more tea" in why
        script.write_text("exec sleep 1000\n")
        stopped = Event()
        stopped.set()
        assert complaint(found["evil__echo"], stopped) == "stopped by the user"
        assert warnings == []


def test_one_that_floods_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("g4local.tools.mcp.transport.MOST_BYTES", 1 << 20)
    with tools(hostile("long line")) as (found, warnings):
        assert "far more than it was asked for" in complaint(found["evil__echo"])
        assert complaint(found["evil__echo"]) == "the MCP server evil is gone"
        assert warnings == []


def test_a_server_over_http_that_was_started_anew_is_connected_again() -> None:
    warnings: list[str] = []
    with ExitStack() as stack, ExitStack() as first:
        port = first.enter_context(serving())
        server = Address("ref", f"http://127.0.0.1:{port}/mcp")
        found = stack.enter_context(connected([server], Event(), warnings.append))
        [add] = [tool for tool in found if tool.name == "ref__add"]
        assert add.run({"left": 1, "right": 2}, Event()) == "3"
        first.close()
        assert "the MCP server ref" in complaint(add, left=1)
        assert "can't be connected again" in complaint(add, left=1)
        stack.enter_context(serving(str(port)))
        assert add.run({"left": 1}, Event()) == "[the server had ended and was connected again]\n1"
        assert warnings == ["The MCP server ref had ended and was connected again."]
