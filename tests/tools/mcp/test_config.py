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
    assert named(file, ["web", "files", "plain", "web"]) == (
        Address("web", "http://127.0.0.1:1/mcp", {"Authorization": "Bearer s3cret"}),
        Program("files", ("npx", "-y", "server"), {"KEY": "s3cret"}),
        Program("plain", ("server",), {}, "/tmp"),
    )
    assert "s3cret" not in repr(named(file, ["web", "files"]))


def test_one_bad_entry_does_not_keep_the_others_from_being_used(tmp_path: Path) -> None:
    file = written(tmp_path, {"mcpServers": {"bad": {}, "good": {"command": "x"}}})
    assert named(file, ["good"]) == (Program("good", ("x",)),)


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
                {"url": "http://x", "headers": ["a"]},
            )
        ),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, content: object) -> None:
    file = written(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        named(file, ["x"])
    assert str(file) in caught.value.message and caught.value.hint


@pytest.mark.parametrize("name", ["a b", "", "x" * 50, "a/b", "<|turn>", "ü", "a\n"])
def test_a_name_that_could_pass_for_something_else_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no name"):
        named(written(tmp_path, {"mcpServers": {name: {"command": "x"}}}), [name])


def test_no_file_names_no_server(tmp_path: Path) -> None:
    assert names(tmp_path / "mcp.json") == ()
    with pytest.raises(UsageError, match="no MCP server 'x'"):
        named(tmp_path / "mcp.json", ["x"])
