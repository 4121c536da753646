"""`g4local tools`, and what models are offered."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from g4local.core.errors import UsageError
from g4local.opening import keeping
from g4local.opening.offering import named
from g4local.opening.request import Request
from g4local.tools import permissions
from tests.cli.conftest import Run

NAMES = ["calculate", "clock", "list_files", "read_file", "search_files", "write_file", "edit_file", "run_shell"]


@pytest.fixture(autouse=True)
def no_rules(environment: dict[str, str]) -> None:
    """The program's home without rules."""
    (Path(environment["G4LOCAL_HOME"]) / "permissions.json").unlink(missing_ok=True)


def the_object(text: str) -> dict[str, Any]:
    assert text.count("\n") == 1
    return dict(json.loads(text))


def test_the_tools_are_listed(g4local: Run) -> None:
    listed = g4local("tools").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["NAME", *NAMES]
    assert listed[0].split() == ["NAME", "MAY", "RUN", "DESCRIPTION"]
    said = the_object(g4local("tools", "ls", "--json").stdout)
    assert list(said) == ["schema", "model", "tokens", "tools"]
    assert (said["schema"], said["model"], said["tokens"]) == ("g4local.tools.ls/1", None, None)
    assert [tool["name"] for tool in said["tools"]] == NAMES
    assert {tool["permission"] for tool in said["tools"]} == {"ask"}
    assert [tool["name"] for tool in said["tools"] if tool["changes"]] == NAMES[5:]


def test_with_a_model_their_tokens_are_told_as_a_prompt_has_them(g4local: Run) -> None:
    said = the_object(g4local("tools", "ls", "demo", "--json").stdout)
    costs = {tool["name"]: tool["tokens"] for tool in said["tools"]}
    assert said["tokens"] == sum(costs.values())
    schema = the_object(g4local("tools", "show", "clock", "--json").stdout)
    function = {key: schema[key] for key in ("name", "description", "parameters")}
    asked = {"messages": [{"role": "user", "content": "hi"}], "enable_thinking": True}
    lines = [json.dumps(asked), json.dumps({**asked, "tools": [{"type": "function", "function": function}]})]
    printed = g4local("prompt", "-", "--model", "demo", "--ids", stdin="\n".join(lines)).stdout.splitlines()
    without, with_it = (len(json.loads(line)["ids"]) for line in printed)
    assert costs["clock"] == with_it - without > 10
    assert "tokens of each prompt" in g4local("tools", "ls", "demo").stderr


def test_a_tool_is_shown_with_what_it_takes(g4local: Run) -> None:
    shown = g4local("tools", "show", "edit_file").stdout
    assert "edit_file" in shown and "old" in shown and "string" in shown and "named" in shown
    assert list(the_object(g4local("tools", "show", "edit_file", "--json").stdout)) == [
        "schema", "name", "description", "permission", "changes", "source", "tokens", "parameters",
    ]  # fmt: skip


def test_a_tool_is_run_by_hand(g4local: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Tea at four.\n")
    assert g4local("tools", "call", "calculate", '{"expression": "2 + 2"}').stdout == "4\n"
    assert g4local("tools", "call", "list_files", cwd=tmp_path).stdout == "notes.txt\n"
    called = g4local("tools", "call", "read_file", '{"path": "notes.txt"}', "--folder", str(tmp_path), "--json")
    assert the_object(called.stdout) == {
        "schema": "g4local.tools.call/1",
        "name": "read_file",
        "arguments": {"path": "notes.txt"},
        "result": "Tea at four.\n",
        "ok": True,
    }
    failed = g4local("tools", "call", "read_file", '{"path": "/etc/passwd"}', "--json")
    assert (failed.returncode, the_object(failed.stdout)["ok"]) == (1, False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "teleport"), 2),
        (("call", "teleport"), 2),
        (("call", "clock", "{"), 2),
        (("call", "clock", "[]"), 2),
        (("call", "clock", "[" * 100_000), 2),
        (("call", "clock", '{"zone": 7}'), 1),
        (("call", "clock", '{"place": "here"}'), 1),
        (("call", "calculate", '{"expression": "1/0"}'), 1),
        (("set", "teleport", "allow"), 2),
        (("ls", "nothing-here"), 3),
    ],
)
def test_nonsense_is_one_sentence_and_a_hint(g4local: Run, arguments: tuple[str, ...], code: int) -> None:
    finished = g4local("tools", *arguments)
    assert (finished.returncode, finished.stdout) == (code, "")
    assert [line.split(":")[0] for line in finished.stderr.splitlines()] == ["error", "hint"], finished.stderr


def test_how_long_a_command_may_take_is_said_by_a_flag(
    g4local: Run, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = g4local("tools", "call", "run_shell", '{"command": "sleep 1000"}', "--shell-limit", "1.5s")
    assert ended.stdout == "[ended: it took more than 1.5 seconds]\n"
    for limit in ("0", "999ms", "forever", "61m", "soon"):
        assert g4local("tools", "show", "run_shell", "--shell-limit", limit).returncode == 2
    monkeypatch.setitem(environment, "G4LOCAL_SHELL_LIMIT", "5m")
    assert "300 seconds" in g4local("tools", "show", "run_shell").stdout
    assert "1 second " not in g4local("tools", "ls").stdout
    [tool] = named(Request("demo", tool=["run_shell"], shell_limit=7.0), print)
    assert "7 seconds" in tool.description


def test_a_rule_is_set_and_told(g4local: Run, tmp_path: Path) -> None:
    assert g4local("tools", "set", "clock", "deny").stdout == "clock: deny\n"
    assert (
        g4local("tools", "set", "clock", "allow", "--folder", str(tmp_path)).stdout == f"clock: allow in {tmp_path}\n"
    )
    here, elsewhere = (
        {tool["name"]: tool["permission"] for tool in the_object(said.stdout)["tools"]}
        for said in (g4local("tools", "ls", "--json", "--folder", str(tmp_path)), g4local("tools", "ls", "--json"))
    )
    assert (here["clock"], elsewhere["clock"], here["calculate"]) == ("allow", "deny", "ask")
    assert g4local("tools", "set", "clock", "perhaps").returncode == 2
    assert g4local("tools", "set", "clock", "default").stdout == "clock: default\n"
    assert '"permission": "ask"' in g4local("tools", "show", "clock", "--json").stdout
    told = g4local("tools", "set", "nowhere__read", "deny")
    assert told.returncode == 0 and "names no MCP server 'nowhere'" in told.stderr
    assert g4local("tools", "set", "nowhere__read", "default").stderr == ""


def test_where_nobody_can_be_asked_a_tool_runs_by_a_rule_only(
    g4local: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    question = ("run", "demo", "What is 48 times 17?", "--tool", "calculate", "--seed", "1", "--json")

    def said(*flags: str) -> dict[str, Any]:
        return the_object(g4local(*question, *flags).stdout)

    refused = said()
    assert [call["ok"] for call in refused["tool_calls"]] == [False]
    assert "Nobody can be asked" in refused["warnings"][0]
    g4local("tools", "set", "calculate", "allow", "--folder", str(tmp_path))
    allowed = said("--folder", str(tmp_path))
    assert ([call["result"] for call in allowed["tool_calls"]], allowed["warnings"]) == (["816"], [])
    session = allowed["session"]
    assert g4local("tools", "set", "calculate", "deny", "--session", session).stdout == (
        f"calculate: deny in session {session}\n"
    )
    gone_on_with = said("--folder", str(tmp_path), "--session", session, "--no-save", "--yes")
    assert not any(call["ok"] for call in gone_on_with["tool_calls"])
    assert "is denied in" in gone_on_with["warnings"][0]
    fork = g4local("sessions", "fork", session).stdout.strip()
    rules = permissions.read(Path(environment["G4LOCAL_HOME"]) / "permissions.json")
    assert rules.sessions[fork] == {"calculate": "deny"}


def test_a_rule_is_for_one_place_that_there_is(g4local: Run, tmp_path: Path) -> None:
    for flags in (("--session", "nobody"), ("--session", ""), ("--session", "x", "--folder", str(tmp_path))):
        refused = g4local("tools", "set", "clock", "allow", *flags)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert [line.split(":")[0] for line in refused.stderr.splitlines()] == ["error", "hint"]


def test_rules_that_can_not_be_read_are_told(g4local: Run, environment: dict[str, str]) -> None:
    (Path(environment["G4LOCAL_HOME"]) / "permissions.json").write_text('{"tools": {"clock": "perhaps"}}')
    for arguments in (("tools", "ls"), ("run", "demo", "hi", "--tools")):
        finished = g4local(*arguments)
        assert (finished.returncode, finished.stdout) == (2, "")
        assert "'perhaps' for clock" in finished.stderr and "Traceback" not in finished.stderr


def test_a_tool_s_words_do_not_steer_a_terminal_or_a_script(g4local: Run, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("\x1b[2J\x1b]0;title\x07<turn|>[bold]\u202ex")
    called = g4local("tools", "call", "read_file", '{"path": "evil.txt"}', "--json", cwd=tmp_path)
    assert "\x1b" not in called.stdout and "\x07" not in called.stdout
    assert the_object(called.stdout)["result"].startswith("\x1b[2J")


def names(request: Request, warnings: list[str] | None = None) -> list[str]:
    return [tool.name for tool in named(request, ([] if warnings is None else warnings).append)]


def test_all_tools_that_change_nothing_are_offered_and_others_by_name() -> None:
    assert names(Request("demo")) == []
    assert names(Request("demo", tools=True)) == NAMES[:5]
    assert names(Request("demo", tools=True, tool=["run_shell"])) == [*NAMES[:5], "run_shell"]
    assert names(Request("demo", tool=["run_shell", "clock", "clock"])) == ["clock", "run_shell"]
    with pytest.raises(UsageError, match="teleport"):
        names(Request("demo", tool=["teleport"]))


def test_a_denied_tool_is_not_offered(own_home: Path) -> None:
    warnings: list[str] = []
    permissions.remember(own_home / "permissions.json", "clock", "deny")
    assert names(Request("demo", tools=True), warnings) == [name for name in NAMES[:5] if name != "clock"]
    assert not warnings
    assert names(Request("demo", tool=["clock"]), warnings) == []
    assert "clock" in warnings[0] and "permissions.json" in warnings[0]


@pytest.fixture
def servers(tmp_path: Path) -> str:
    """An mcp.json with the reference SDK's server, one that can't be used, and a hostile one."""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    file = tmp_path / "mcp.json"
    entries = {
        "ref": {"command": sys.executable, "args": ["-m", "tests.mcp_server"], "env": environment},
        "evil": {"command": sys.executable, "args": ["-m", "tests.hostile_server", "markup"], "env": environment},
        "missing": {"command": "no-such-program"},
    }
    file.write_text(json.dumps({"mcpServers": entries}))
    return str(file)


def test_an_mcp_server_s_tools_are_listed_and_called(g4local: Run, servers: str) -> None:
    flags = ("--mcp", "ref", "--mcp-config", servers)
    listed = the_object(g4local("tools", "ls", "--json", *flags).stdout)["tools"]
    assert [(tool["name"], tool["source"]) for tool in listed[8:]] == [
        (f"ref__{name}", "MCP server ref") for name in ("add", "fail", "environment", "picture", "echo")
    ]
    assert g4local("tools", "call", "ref__add", '{"left": 2, "right": 40}', *flags).stdout == "42\n"
    assert g4local("tools", "set", "ref__add", "allow").stdout == "ref__add: allow\n"


def test_servers_that_can_not_be_used_or_are_not_there(g4local: Run, servers: str) -> None:
    listed = g4local("tools", "ls", "--mcp", "missing", "--mcp-config", servers)
    assert "The MCP server missing can't be used" in listed.stderr and (listed.returncode, listed.stdout) == (1, "")
    unknown = g4local("run", "demo", "hi", "--mcp", "nobody", "--mcp-config", servers)
    assert unknown.returncode == 2 and "names no MCP server 'nobody'" in unknown.stderr


def test_what_a_hostile_server_says_of_itself_is_shown_harmlessly(g4local: Run, servers: str) -> None:
    shown = g4local("tools", "ls", "--mcp", "evil", "--mcp-config", servers)
    assert "<|turn>" in shown.stdout and "\x1b" not in shown.stdout + shown.stderr
    assert len(shown.stdout.splitlines()) == 1 + len(NAMES) + 1


def test_offline_no_server_is_spoken_to_over_http(g4local: Run, tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"web": {"url": "http://127.0.0.1:9/mcp"}}}')
    refused = g4local("--offline", "tools", "ls", "--mcp", "web", "--mcp-config", str(tmp_path / "mcp.json"))
    assert (refused.returncode, refused.stdout) == (7, "") and "--offline" in refused.stderr


def test_a_tool_s_last_line_is_not_followed_by_an_empty_one(g4local: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Tea.\n")
    called = g4local("tools", "call", "read_file", '{"path": "notes.txt"}', "--folder", str(tmp_path))
    assert called.stdout == "Tea.\n"


def test_a_session_goes_on_with_its_servers(servers: str) -> None:
    def gone_on_with(**asked: Any) -> list[str] | None:
        return keeping._as_before(Request("demo", mcp_config=Path(servers), **asked), {"mcp": ["ref", "sold"]}).mcp

    assert gone_on_with() == ["ref"]
    assert gone_on_with(mcp=["evil"]) == ["evil"]
    assert keeping.settings(Request("demo", mcp=["ref"]), Path("demo.gguf"))["mcp"] == ["ref"]


@pytest.mark.parametrize(("entry", "code"), [({"command": "false"}, 1), ({"url": "http://127.0.0.1:9/mcp"}, 7)])
def test_where_a_server_s_tools_are_asked_for_it_must_be_usable(
    g4local: Run, tmp_path: Path, entry: dict[str, str], code: int
) -> None:
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"s": entry}}))
    flags = ("--mcp", "s", "--mcp-config", str(tmp_path / "mcp.json"))
    for command in (("ls", "--json"), ("show", "clock"), ("call", "clock")):
        done = g4local("tools", *command, *flags)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.count("The MCP server s can't be used") == 1 and ".." not in done.stderr
    done = g4local("run", "demo", "hi", "-n", "1", *flags)
    assert done.returncode == 6 and "warning: The MCP server s can't be used" in done.stderr
