"""MCP servers: the reference SDK's over stdio and HTTP, and hostile ones, which harm nothing."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer
from time import monotonic, sleep

import anyio
import httpx2
import pytest

from g4local.chat.callgrammar import call_grammar
from g4local.chat.toolcosts import told
from g4local.core.errors import Cancelled
from g4local.core.messages import Json
from g4local.tools.mcp import connection, results, transport
from g4local.tools.mcp.config import Address, Program, Server
from g4local.tools.mcp.connection import connected
from g4local.tools.tool import Tool, ToolError, validate
from tests.fakes import SPECIAL_TOKENS
from tests.hostile_server import MARKUP

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(sys.path)}


PICTURE = """Here:
[An image (image/png, 3 B) is left out: only text is passed on]
[A sound (audio/wav of tea, 3.0 kB) is left out: only text is passed on]
[The resource file:///tea.txt]
Tea.
[The resource file:///tea.bin (bytes, 3 B) is left out: only text is passed on]
[The resource tea is not read here: file:///tea.bin]"""


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that don't leave are made to sooner."""
    monkeypatch.setattr(transport, "LEAVE_SECONDS", 0.2)


def reference() -> Program:
    return Program("ref", (sys.executable, "-m", "tests.mcp_server"), {**ENVIRONMENT, "GIVEN": "yes"})


def hostile(mode: str, *more: str) -> Program:
    return Program("evil", (sys.executable, "-m", "tests.hostile_server", mode, *more), ENVIRONMENT)


def harmless() -> Program:
    """Another one, which is quicker at hand than the reference SDK's."""
    return Program("good", (sys.executable, "-m", "tests.hostile_server", "harmless"), ENVIRONMENT)


@contextmanager
def tools(*servers: Server) -> Iterator[tuple[dict[str, Tool], list[str]]]:
    warnings: list[str] = []
    with connected(servers, Event(), warnings.append) as found:
        yield {tool.name: tool for tool in found}, warnings


def complaint(tool: Tool, cancel: Event | None = None, **arguments: Json) -> str:
    with pytest.raises(ToolError) as caught:
        tool.run(arguments, cancel or Event())
    return caught.value.message


@contextmanager
def serving(*arguments: str) -> Iterator[int]:
    """The reference SDK's server over HTTP, and its port."""
    command = [sys.executable, "-m", "tests.mcp_server", "http", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ENVIRONMENT}) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture
def web() -> Iterator[Address]:
    with serving() as port:
        yield Address("ref", f"http://127.0.0.1:{port}/mcp")


@pytest.mark.parametrize("kind", ["stdio", "http"])
def test_the_reference_sdk_s_server_is_used(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    server: Server = request.getfixturevalue("web") if kind == "http" else reference()
    with tools(server) as (found, warnings):
        assert warnings == []
        assert list(found) == ["ref__add", "ref__fail", "ref__environment", "ref__picture", "ref__echo"]
        add = found["ref__add"]
        assert (add.description, add.source, add.changes, add.served) == (
            "Add two numbers.", "MCP server ref", True, True,
        )  # fmt: skip
        assert validate(add, {"left": 2, "right": 3}) is None
        assert validate(add, {"left": "two"}) is not None
        assert add.run({"left": 2, "right": 3}, Event()) == "5"
        assert found["ref__picture"].run({}, Event()) == PICTURE
        assert found["ref__echo"].run({"text": MARKUP}, Event()) == MARKUP
        assert "fail" in complaint(found["ref__fail"], why="no reason")
        assert complaint(add, left="two")
        assert add.run({"left": 1}, Event()) == "1"
        names = str(found["ref__environment"].run({}, Event())).splitlines()
        assert kind == "http" or ("GIVEN" in names and "PATH" in names and "HF_TOKEN" not in names)


def test_servers_that_can_not_be_used_are_told_and_the_others_are_used() -> None:
    nobody = Address("gone", "http://127.0.0.1:9/mcp")
    missing = Program("missing", ("no-such-program",))
    broken = Program("broken", ("sh", "-c", "echo no message; echo 'the reason\x1b[2J' >&2; exit 3"))
    with tools(nobody, missing, broken, harmless()) as (found, warnings):
        assert found["good__echo"].run({}, Event()) == "harmless"
    assert [warning.split(" can't")[0] for warning in warnings] == [
        f"The MCP server {name}" for name in ("gone", "missing", "broken")
    ]
    assert "No such file" in warnings[1] and "the reason" in warnings[2]


def test_a_server_that_is_never_ready_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "START_SECONDS", 0.5)
    with tools(hostile("never ready")) as (found, warnings):
        assert not found and "not ready after 0.5 seconds" in warnings[0]


def test_waiting_for_a_server_can_be_stopped() -> None:
    cancel = Event()
    timer = Timer(0.3, cancel.set)
    timer.start()
    with pytest.raises(Cancelled), connected([hostile("never ready")], cancel, print):
        raise AssertionError
    timer.join()


def test_a_call_that_hangs_ends_at_its_limit_and_the_next_is_answered_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CALL_SECONDS", 0.5)
    with tools(hostile("hang")) as (found, _):
        assert "did not answer in 0.5 seconds" in complaint(found["evil__echo"])
        assert "did not answer in 0.5 seconds" in complaint(found["evil__echo"])


def test_a_call_that_hangs_can_be_stopped() -> None:
    cancel = Event()
    timer = Timer(0.3, cancel.set)
    timer.start()
    with tools(hostile("hang")) as (found, _):
        assert complaint(found["evil__echo"], cancel) == "stopped by the user"
    timer.join()


def test_a_server_that_dies_in_a_call_is_gone() -> None:
    with tools(hostile("die"), harmless()) as (found, _):
        assert "the MCP server evil failed" in complaint(found["evil__echo"])
        assert "evil" in complaint(found["evil__echo"])
        assert found["good__echo"].run({}, Event()) == "harmless"


def test_a_server_that_wants_a_sign_in_is_told_with_what_to_do_and_a_token_lets_in() -> None:
    with serving("0", "s3cret") as port:
        stranger = Address("ref", f"http://127.0.0.1:{port}/mcp")
        known = replace(stranger, name="known", headers={"Authorization": "Bearer s3cret"})
        wrong = replace(stranger, name="wrong", headers={"Authorization": "Bearer guessed"})
        with tools(stranger, known, wrong) as (found, warnings):
            assert found["known__add"].run({"left": 1}, Event()) == "1"
            assert {name.partition("__")[0] for name in found} == {"known"}
    for name, warning in zip(("ref", "wrong"), warnings, strict=True):
        assert f"The MCP server {name} can't be used: it wants a sign-in (HTTP status 401)" in warning
        assert 'its headers in mcp.json: {"Authorization": "Bearer ${env:TOKEN}"}' in warning
        assert "guessed" not in warning


def test_an_address_that_is_none_is_told(web: Address) -> None:
    with tools(replace(web, url=web.url.replace("/mcp", "/sse"))) as (found, warnings):
        assert not found and "(HTTP status 404); servers of the older type sse can't be used" in warnings[0]


@pytest.mark.parametrize("mode", ["long line", "junk", "notifications"])
def test_a_flood_ends_the_talk_and_not_the_program(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MOST_BYTES", 1 << 20)
    with tools(hostile(mode), harmless()) as (found, _):
        assert "far more than it was asked for" in complaint(found["evil__echo"])
        assert found["good__echo"].run({}, Event()) == "harmless"


@pytest.mark.parametrize("mode", ["nested", "stderr", "wrong answers", "plain"])
def test_noise_around_an_answer_does_not_matter(mode: str, capfd: pytest.CaptureFixture[str]) -> None:
    with tools(hostile(mode)) as (found, warnings):
        assert warnings == []
        assert found["evil__echo"].run({}, Event()) == MARKUP
    assert capfd.readouterr() == ("", "")


def test_an_error_is_a_sentence_and_a_long_answer_is_cut(capfd: pytest.CaptureFixture[str]) -> None:
    with tools(hostile("error")) as (found, _):
        assert "the MCP server evil failed" in complaint(found["evil__echo"])
    with tools(hostile("large")) as (found, _):
        text = str(found["evil__echo"].run({}, Event()))
    assert len(text) < results.MOST_TOLD + 100 and text.endswith("characters]")
    assert capfd.readouterr() == ("", "")


def test_half_of_a_surrogate_pair_is_mended() -> None:
    with tools(hostile("half a pair")) as (found, _):
        assert found["evil__echo"].run({}, Event()) == "tea \ufffd"


def test_half_of_a_surrogate_pair_is_mended_in_a_body_too() -> None:
    class Body(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in (b'"tea \\ud8', b'3d"', b', "\\ud83d', b'\\ude00"'):
                yield piece

    async def read() -> bytes:
        response = httpx2.Response(200, stream=Body())
        await transport._bounded(response)
        return await response.aread()

    assert anyio.run(read) == rb'"tea \ufffd", "\ud83d\ude00"'


@pytest.mark.parametrize("mode", ["unreadable", "no object"])
def test_an_answer_that_can_not_be_read_is_told_at_once(mode: str) -> None:
    """One names the request and one does not; without this, the call waits for as long as it may."""
    with tools(hostile(mode)) as (found, _):
        assert complaint(found["evil__echo"]) == "the MCP server evil failed: its answer can't be read"


def test_a_tool_named_like_ours_does_not_pass_for_it() -> None:
    with tools(hostile("clash")) as (found, warnings):
        assert list(found) == ["evil__calculate", "evil__run_shell"]
    assert len(warnings) == 4 and all("no name" in warning and len(warning) < 300 for warning in warnings)


def test_of_two_tools_of_one_name_the_first_is_used_and_that_is_told() -> None:
    with tools(hostile("twice")) as (found, warnings):
        assert {name: tool.description for name, tool in found.items()} == {"evil__echo": "first"}
    assert [*warnings] == ["The MCP server evil has more than one tool evil__echo; the first is used."]


def test_what_it_says_of_its_tools_is_only_text() -> None:
    with tools(hostile("markup")) as (found, warnings):
        [tool] = found.values()
        assert len(warnings) == 1
        special = [segment.text for segment in told(tool) if segment.special]
        assert set(special) == {"<|tool>", "<tool|>", '<|"|>'}
        assert "<|turn>" in tool.description


def test_no_schema_hangs_or_breaks_anything() -> None:
    with tools(hostile("schemas")) as (found, warnings):
        assert list(found) == [f"evil__{name}" for name in ("dangling", "endless", "explosive", "slow")]
        assert len(warnings) == 4
        for tool in found.values():
            assert told(tool)
            assert call_grammar([tool], SPECIAL_TOKENS)
            nested: Json = {}
            for _ in range(50):
                nested = {"a": nested}
            for arguments in ({"a": 1}, {"a": nested}, {"text": "a" * 100 + "!"}):
                validate(tool, arguments)
        for depth in (14, 50):  # the shallow one would come to its end without bounds as well
            choices: Json = 1
            for _ in range(depth):
                choices = {"c": choices}
            assert isinstance(choices, dict)
            assert validate(found["evil__explosive"], choices) == "its schema makes too much of them to be checked"
        assert validate(found["evil__slow"], {"text": "a" * 100 + "!"}) is None


@pytest.mark.parametrize("mode", ["many", "endless pages"])
def test_too_many_tools_are_cut_off(mode: str) -> None:
    with tools(hostile(mode)) as (found, warnings):
        assert 0 < len(found) <= connection.MOST_TOOLS
        assert len(warnings) == 1


def test_a_server_that_does_not_want_to_end_is_ended_with_what_it_started(tmp_path: Path) -> None:
    with tools(hostile("stays", str(tmp_path / "pids"))) as (found, _):
        assert found["evil__echo"].run({}, Event()) == MARKUP
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2 and all(gone(pid) for pid in pids)


KILLED = """
import os, signal, sys
from threading import Event
from g4local.tools.mcp.connection import connected
from g4local.tools.mcp.config import Program
with connected([Program("evil", tuple(sys.argv[1:]), {"PYTHONPATH": os.environ["PYTHONPATH"]})], Event(), print):
    print("connected", flush=True)
    signal.pause()
"""


def test_a_server_ends_with_a_program_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.hostile_server", "stays", str(tmp_path / "pids")]
    environment = {**os.environ, **ENVIRONMENT}
    with subprocess.Popen([sys.executable, "-c", KILLED, *command], env=environment, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None and program.stdout.readline() == b"connected\n"
        program.kill()
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2 and all(gone(pid) for pid in pids)


def gone(pid: int) -> bool:
    """Whether a process is over, after as long as that takes a busy machine."""
    end = monotonic() + 60
    while monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        sleep(0.01)
    return False
