import json
from pathlib import Path

import pytest

from g4local.core.errors import UsageError
from g4local.tools.mcp.config import Address, Program, named, names


def written(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "mcp.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_servers_are_read_as_other_programs_write_them(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        {
            "mcpServers": {
                "files": {"command": "npx", "args": ["-y", "server"], "env": {"KEY": "s3cret"}, "type": "stdio"},
                "plain": {"command": "server", "cwd": "/tmp", "disabled": False},
                "web": {"url": "http://127.0.0.1:1/mcp", "headers": {"Authorization": "Bearer s3cret"}},
            },
            "other": 7,
        },
    )
    assert names(file) == ("files", "plain", "web")
    assert named(file, ["web", "files", "plain", "web"], {}) == (
        Address("web", "http://127.0.0.1:1/mcp", {"Authorization": "Bearer s3cret"}),
        Program("files", ("npx", "-y", "server"), {"KEY": "s3cret"}),
        Program("plain", ("server",), {}, "/tmp"),
    )
    assert "s3cret" not in repr(named(file, ["web", "files"], {}))


@pytest.mark.parametrize("kind", ["http", "streamable-http", "streamableHttp", "streamable_http", None])
@pytest.mark.parametrize("key", ["servers", "mcpServers"])
def test_the_files_of_other_programs_are_understood(tmp_path: Path, key: str, kind: str | None) -> None:
    """As VS Code, Cursor, Claude Code and Cline write them."""
    web = {"url": "https://example.org/mcp", "autoApprove": ["x"], **({"type": kind} if kind else {})}
    content = {"inputs": [], key: {"web": web, "here": {"type": "stdio", "command": "x", "dev": {"watch": "y"}}}}
    file = written(tmp_path, content)
    assert named(file, ["web", "here"], {}) == (Address("web", "https://example.org/mcp"), Program("here", ("x",)))


def test_comments_and_last_commas_are_passed_over_and_strings_stay_as_they_are(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """{ // VS Code lets people write
        "servers": { /* what
                        they like */
            "web": {"url": "https://example.org//mcp", "headers": {"A": "/* ,} */, ]", "B": "\\"//"},}, // here
            "here": {"command": "x", "args": ["a,]", "b", /**/ ], },
        },
        }""",
    )
    assert named(file, ["web", "here"], {}) == (
        Address("web", "https://example.org//mcp", {"A": "/* ,} */, ]", "B": '"//'}),
        Program("here", ("x", "a,]", "b")),
    )
    for content in (
        '{"a": "' + '\\"' * 100_000,
        "/* " * 100_000,
        '{"servers": {} /*',
        '{"servers": {"x": ,}}',
        '{"servers": {"x": "//}',
    ):
        with pytest.raises(UsageError, match="can't be read"):
            names(written(tmp_path, content))


def test_both_keys_may_be_there_and_what_is_disabled_is_not(tmp_path: Path) -> None:
    servers = {"a": {"command": "a"}, "off": {"command": "x", "disabled": True}}
    file = written(tmp_path, {"servers": servers, "mcpServers": {"b": {"command": "b"}}})
    assert names(file) == ("a", "b")
    assert named(file, ["a", "b"], {}) == (Program("a", ("a",)), Program("b", ("b",)))
    with pytest.raises(UsageError, match="disabled"):
        named(file, ["off"], {})


def test_placeholders_are_filled_in_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    environ = {"TOKEN": "s3cret", "PROGRAM": "npx", "EMPTY": "", "HOST": "example.org", "TWICE": "${TOKEN}"}
    program = {
        "command": "${PROGRAM}",
        "args": ["--key=${env:TOKEN}${TOKEN}", "${NONE:-a b}", "${EMPTY}", "${EMPTY:-x}", "${TWICE}", "${userHome}/x"],
        "env": {"KEY": "${TOKEN:-none}", "SHELL_SAYS": "$TOKEN ${#a} ${a%b} $${} ${a.b}"},
        "cwd": "${workspaceFolder}/${workspaceFolderBasename}",
    }
    web = {"url": "https://${HOST}/mcp", "headers": {"Authorization": "Bearer ${env:TOKEN}"}}
    file = written(tmp_path, {"mcpServers": {"program": program, "web": web}})
    here = str(tmp_path)
    assert named(file, ["program", "web"], environ) == (
        Program(
            "program",
            ("npx", "--key=s3crets3cret", "a b", "", "x", "${TOKEN}", "/home/ada/x"),
            {"KEY": "s3cret", "SHELL_SAYS": "$TOKEN ${#a} ${a%b} $${} ${a.b}"},
            f"{here}/{tmp_path.name}",
        ),
        Address("web", "https://example.org/mcp", {"Authorization": "Bearer s3cret"}),
    )


def test_a_placeholder_that_stands_for_nothing_matters_only_where_its_server_is_asked_for(tmp_path: Path) -> None:
    servers = {"other": {"command": "${NOT_SET}"}, "asks": {"url": "http://x/${input:key}"}, "good": {"command": "x"}}
    file = written(tmp_path, {"servers": servers})
    assert named(file, ["good"], {}) == (Program("good", ("x",)),)
    with pytest.raises(UsageError, match="NOT_SET, which is not set"):
        named(file, ["other"], {})
    with pytest.raises(UsageError, match=r"wants to ask for \$\{input:key\}"):
        named(file, ["asks"], {})


@pytest.mark.parametrize("name", ["a__b", "a_", "_", "", "x" * 33, "a b", "a.b", "ü"])
def test_a_server_s_name_is_parted_from_its_tools_in_one_way_only(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, {"mcpServers": {name: {"command": "x"}, "a_b-1": {"command": "x"}}})
    assert named(file, ["a_b-1"], {}) == (Program("a_b-1", ("x",)),)
    with pytest.raises(UsageError, match="no name for an MCP server") as caught:
        named(file, [name], {})
    assert "__" in caught.value.hint


def test_one_bad_entry_does_not_keep_the_others_from_being_used(tmp_path: Path) -> None:
    file = written(tmp_path, {"mcpServers": {"bad": {}, "good": {"command": "x"}}})
    assert named(file, ["good"], {}) == (Program("good", ("x",)),)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "7",
        "[" * 100_000,
        {},
        {"mcpServers": []},
        {"mcpServers": {}},
        *(
            {"mcpServers": {"x": entry}}
            for entry in (
                None,
                {},
                {"command": ""},
                {"command": 7},
                {"command": "a\0b"},
                {"command": "x", "args": "y"},
                {"command": "x", "args": [1]},
                {"command": "x", "env": {"A": 1}},
                {"url": "file:///etc/passwd"},
                {"url": "x"},
                {"url": "http://"},
                {"url": "http://a b/x"},
                {"url": "http://[::1/x"},
                {"url": "http://h:99999/x"},
                {"command": "x", "env": {"A=B": "c"}},
                {"url": "http://x", "headers": ["a"]},
                {"url": "http://x", "headers": {"A": "b\nC: d"}},
                {"url": "http://x", "headers": {"A b": "c"}},
                {"url": "http://x", "headers": {"A": "ü"}},
                {"type": "sse", "url": "http://x"},
                {"type": "carrier pigeon", "url": "http://x"},
                {"type": ["stdio"], "command": "x"},
                {"type": "stdio", "url": "http://x"},
                {"type": "http", "command": "x"},
                {"command": "x", "disabled": True},
                {"command": "x", "envFile": ".env"},
                {"command": "x", "args": ["${NOT_SET}"]},
                {"command": "x", "env": {"A": "${env:NOT_SET}"}},
                {"url": "http://x/${input:token}"},
            )
        ),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, content: object) -> None:
    file = written(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        named(file, ["x"], {})
    assert str(file) in caught.value.message and caught.value.hint


@pytest.mark.parametrize("name", ["a b", "", "x" * 50, "a/b", "<|turn>", "ü", "a\n"])
def test_a_name_that_could_pass_for_something_else_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no name"):
        named(written(tmp_path, {"mcpServers": {name: {"command": "x"}}}), [name], {})


def test_no_file_names_no_server(tmp_path: Path) -> None:
    assert names(tmp_path / "mcp.json") == ()
    with pytest.raises(UsageError, match="no MCP server 'x'"):
        named(tmp_path / "mcp.json", ["x"], {})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"url": "htp://x/mcp"}, "has the url 'htp://x/mcp', which is no address"),
        ({"url": "http://h:99999/x"}, "which is no address"),
        ({"command": "x", "env": {"A=B": "c"}}, "has 'A=B' in its env, which is no name of a variable"),
    ],
)
def test_what_is_wrong_with_an_entry_is_named(tmp_path: Path, entry: object, words: str) -> None:
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"x": entry}}))
    with pytest.raises(UsageError, match=words):
        named(tmp_path / "mcp.json", ["x"], {})
