"""What is g4local's own is written by no file tool, wherever the working folder lies."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from g4local.settings import paths
from g4local.tools import jail
from g4local.tools.registry import builtin
from g4local.tools.tool import ToolError

OWN = (
    ".config/g4local/permissions.json", ".config/g4local/mcp.json", ".config/g4local/more/x",
    ".local/share/g4local/sessions.db", ".local/share/g4local/sessions.db-wal", ".local/share/g4local/models/x.gguf",
    ".local/share/g4local/media/x", ".cache/g4local/tuning.json", ".cache/g4local/snapshots/a/b",
    ".local/state/g4local/log/x", ".config/g4local", ".config/./g4local/../g4local/permissions.json",
    ".CONFIG/g4local/permissions.json", ".config/G4Local/Permissions.JSON", ".config/g4loca\u02e1/mcp.json",
    "settings/permissions.json", "notes/../.config/g4local/mcp.json",
)  # fmt: skip
OTHERS = ("notes/mcp.json", ".config/other/permissions.json", ".config/g4local-notes.txt", "g4local/x", "g4local.txt")

Write = Callable[[str], str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home in which g4local has not run yet."""
    home = tmp_path / "home"
    (home / "notes").mkdir(parents=True)
    (home / "settings").symlink_to(".config/g4local")
    for name in ("G4LOCAL_HOME", *(name for name in os.environ if name.startswith("XDG_"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def used(home: Path) -> Path:
    """One in which it has."""
    for file in OWN[:2] + OWN[3:10]:
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text("own")
    return home


def write(root: Path, path: str) -> str:
    tool = {each.name: each for each in builtin(root)}["write_file"]
    return str(tool.run({"path": path, "text": "{}"}, Event()))


def edit(root: Path, path: str) -> str:
    tool = {each.name: each for each in builtin(root)}["edit_file"]
    return str(tool.run({"path": path, "old": "own", "new": "{}"}, Event()))


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else "" for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("state", ["home", "used"])
@pytest.mark.parametrize("path", OWN)
@pytest.mark.parametrize("tool", [write, edit])
def test_with_the_home_as_working_folder_what_is_g4local_s_own_stays(
    request: pytest.FixtureRequest, state: str, path: str, tool: Callable[[Path, str], str]
) -> None:
    home: Path = request.getfixturevalue(state)
    before = content(home)
    with pytest.raises(ToolError, match="g4local's own"):
        tool(home, path)
    assert content(home) == before


@pytest.mark.parametrize("path", OTHERS)
def test_what_is_beside_it_is_written(used: Path, path: str) -> None:
    write(used, path)
    assert (used / path).read_text() == "{}"


def test_files_and_folders_that_lie_elsewhere_by_a_link_stay_too(home: Path) -> None:
    (home / "dotfiles" / "local").mkdir(parents=True)
    (home / ".config" / "g4local").mkdir(parents=True)
    (home / ".local").mkdir()
    (home / ".local" / "share").symlink_to(home / "dotfiles" / "local")
    (home / ".config" / "g4local" / "mcp.json").symlink_to(home / "dotfiles" / "mcp.json")
    for path in ("dotfiles/mcp.json", "dotfiles/local/g4local/sessions.db", "dotfiles/local/g4local/x"):
        with pytest.raises(ToolError, match="g4local's own"):
            write(home, path)
    write(home, "dotfiles/local/x")
    write(home, "dotfiles/mcp.json.txt")


def test_a_home_that_the_variable_names_is_kept_and_so_is_a_working_folder_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("G4LOCAL_HOME", str(tmp_path / "own"))
    (tmp_path / "own" / "models").mkdir(parents=True)
    for root, path in ((tmp_path, "own/permissions.json"), (tmp_path, "own/x"), (tmp_path / "own" / "models", "x")):
        with pytest.raises(ToolError, match="g4local's own"):
            write(root, path)
    write(tmp_path, "owned")


def test_a_folder_that_goes_by_another_name_is_known_by_what_it_is(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is mounted twice."""
    monkeypatch.setattr(jail, "_is_named", lambda target, kept: False)
    for path in (*OWN[:2], *OWN[3:10]):
        with pytest.raises(ToolError, match="g4local's own"):
            write(used, path)
    write(used, OTHERS[0])


def test_the_places_are_all_known() -> None:
    for environment in ({"G4LOCAL_HOME": "/own"}, {}):
        places = paths(environment)
        for name in places.__slots__:
            path: Path = getattr(places, name)
            assert any(path.is_relative_to(each) for each in places.own), name


def test_an_mcp_json_that_is_named_is_kept_as_well(home: Path) -> None:
    (home / "notes" / "mcp.json").write_text('{"mcpServers": {}}')
    arguments = ["write_file", '{"path": "notes/mcp.json", "text": "{}"}', "--folder", str(home)]
    command = [sys.executable, "-m", "g4local", "tools", "call", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    kept, free = (
        subprocess.run([*command, *flags], env=environment, capture_output=True, text=True, check=False)
        for flags in (["--mcp-config", str(home / "notes" / "mcp.json")], [])
    )
    assert (kept.returncode, free.returncode) == (1, 0)
    assert "'notes/mcp.json' is g4local's own" in kept.stderr
