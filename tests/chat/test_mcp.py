"""Conversations in which the model calls tools of MCP servers, from the call to the answer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event as Wish

import pytest

from g4local.core.events import Event, ToolFinished
from g4local.core.messages import ToolCall
from g4local.tools.mcp.config import Address, Program, Server
from g4local.tools.mcp.connection import connected
from g4local.tools.tool import Tool
from tests.chat.talk import conversation, finish, said, text_of
from tests.hostile_server import MARKUP
from tests.tools.mcp.test_connection import ENVIRONMENT, web

__all__ = ["web"]

REFERENCE = Program("ref", (sys.executable, "-m", "tests.mcp_server"), ENVIRONMENT)


@contextmanager
def tools_of(server: Server) -> Iterator[tuple[Tool, ...]]:
    with connected([server], Wish(), print) as tools:
        yield tools


def results(events: list[Event]) -> list[tuple[str, bool]]:
    return [(str(each.result.value), each.result.ok) for each in events if isinstance(each, ToolFinished)]


@pytest.mark.parametrize("kind", ["stdio", "http"])
def test_a_server_s_tool_is_called_and_its_result_is_in_the_next_prompt(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue("web") if kind == "http" else REFERENCE
    assert isinstance(server, Address) == (kind == "http")
    asked: list[ToolCall] = []

    def approve(call: ToolCall) -> bool:
        asked.append(call)
        return True

    with tools_of(server) as tools:
        talk, engine = conversation(
            "<|tool_call>call:ref__add{left:2,right:3}<tool_call|>",
            "<|tool_call>call:ref__add{left:<|\"|>two<|\"|>}<tool_call|>",
            "<|tool_call>call:ref__fail{why:<|\"|>rain<|\"|>}<tool_call|>",
            "Five.",
            tools=tools,
            approve=approve,
        )  # fmt: skip
        engine.info = replace(engine.info, context=20_000)
        events = said(talk, "Add.")
    assert text_of(events) == "Five." and finish(events).reason == "stop"
    assert [call.name for call in asked] == ["ref__add", "ref__fail"]
    (first, first_ok), (second, second_ok), (_, third_ok) = results(events)
    assert (first, first_ok, second_ok, third_ok) == ("5", True, False, False)
    assert "is not of type 'integer'" in second
    assert '<|tool_response>response:ref__add{value:<|"|>5<|"|>}<tool_response|>' in engine.prompts[1]
    assert '<|tool>declaration:ref__add{description:<|"|>Add two numbers.<|"|>' in engine.prompts[0]


def test_markup_of_a_hostile_server_is_text_in_the_prompt() -> None:
    def special(mode: str) -> tuple[list[str], str]:
        server = Program("evil", (sys.executable, "-m", "tests.hostile_server", mode), ENVIRONMENT)
        with tools_of(server) as tools:
            talk, engine = conversation("<|tool_call>call:evil__echo{}<tool_call|>", "Done.", tools=tools)
            engine.info = replace(engine.info, context=20_000)
            said(talk, "Say it.")
        return [segment.text for segment in engine.prompt_segments[1] if segment.special], engine.prompts[1]

    hostile, prompt = special("plain")
    harmless, _ = special("harmless")
    assert MARKUP in prompt
    assert hostile == harmless


def test_a_server_that_died_serves_the_next_call_of_the_turn(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.hostile_server", "dies once", str(tmp_path / "died"))
    warnings: list[str] = []
    with connected([Program("evil", command, ENVIRONMENT)], Wish(), warnings.append) as tools:
        call = "<|tool_call>call:evil__echo{}<tool_call|>"
        talk, engine = conversation(call, call, "Done.", tools=tools)
        events = said(talk, "Say it.")
    assert text_of(events) == "Done." and [ok for _, ok in results(events)] == [False, True]
    assert results(events)[1][0] == "[the server had ended and was started again]\nharmless"
    assert warnings == ["The MCP server evil had ended and was started again."]
    assert "[the server had ended and was started again]" in engine.prompts[2]


def test_a_tool_that_dies_in_a_call_ends_no_turn() -> None:
    server = Program("evil", (sys.executable, "-m", "tests.hostile_server", "die"), ENVIRONMENT)
    with tools_of(server) as tools:
        talk, engine = conversation("<|tool_call>call:evil__echo{}<tool_call|>", "It is gone.", tools=tools)
        events = said(talk, "Say it.")
    assert text_of(events) == "It is gone."
    assert results(events)[0][1] is False and "error: the MCP server evil failed" in engine.prompts[1]
