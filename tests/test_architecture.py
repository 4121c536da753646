"""The rules that the tree itself must keep."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from g4local.cli.commands import COMMANDS
from tests.conftest import Tiny

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in ("g4local", "converters", "tui", "tests", "demo", "bench")
    for path in (ROOT / folder).rglob("*.py")
)
HEAVY = (
    *("llama_cpp", "numpy", "textual", "rich.console", "huggingface_hub", "httpx2", "jsonschema"),
    *("llguidance", "mcp", "anyio", "pydantic"),
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def loaded(arguments: list[str], **environment: str) -> set[str]:
    """What the program has imported when it has come to its end, which is a good one."""
    program = (
        "import sys; sys.argv[0] = 'g4local'; from g4local.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code or 0\n"
        "print('\\nLOADED', code, *sys.modules)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    _, code, *modules = child.stdout.splitlines()[-1].split()
    assert code == "0", child.stderr
    return set(modules)


def commands_of(modules: set[str]) -> set[str]:
    """Which of the modules are commands."""
    return {each for each, _, _ in (place.partition(":") for place, _ in COMMANDS.values())} & {
        module.removeprefix("g4local.cli.") for module in modules
    }


@pytest.mark.parametrize(
    ("words", "its"),
    [
        ("--version", set()),
        ("--help", set()),
        ("ls --help", {"models"}),
        ("run --help", {"run"}),
        ("ls --json", {"models"}),
        ("du", {"du"}),
        ("sessions ls", {"sessions"}),
        ("tools ls", {"tools"}),
        ("schema ls", {"schema"}),
    ],
)
def test_a_light_command_loads_no_heavy_package_and_no_other_command(words: str, its: set[str]) -> None:
    modules = loaded(words.split())
    assert not modules & {*HEAVY}
    assert commands_of(modules) == its


@pytest.mark.parametrize("words", ["--help", "ls", "du", "sessions ls", "schema ls"])
def test_a_command_that_asks_no_model_loads_nothing_of_turns(words: str) -> None:
    of_turns = {"g4local.backend.engine", "g4local.core.events", "g4local.opening.request"}
    assert not loaded(words.split()) & of_turns


def test_show_loads_no_heavy_package_and_no_other_command(tiny: Tiny) -> None:
    modules = loaded(["show", str(tiny("dense"))])
    assert not modules & {*HEAVY} and commands_of(modules) == {"show"}


@pytest.mark.parametrize(
    ("typed", "its"), [("", set()), ("show de", {"show"}), ("tools ls --", {"tools"}), ("sessions sh", {"sessions"})]
)
def test_tab_loads_no_heavy_package_and_no_other_command(typed: str, its: set[str]) -> None:
    asked = {"_G4LOCAL_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    modules = loaded([], **asked, _TYPER_COMPLETE_ARGS=f"g4local {typed}")
    assert not modules & {*HEAVY} and commands_of(modules) == its


def test_the_parent_of_the_engine_loads_neither_llama_cpp_nor_numpy() -> None:
    program = (
        "import sys, g4local.backend.client, g4local.chat.conversation, g4local.tools.registry\n"
        "print([name for name in ('llama_cpp', 'numpy', 'textual', 'llguidance', 'mcp') if name in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert child.stdout.strip() == "[]"


def test_the_engine_s_child_loads_no_more_of_llama_cpp_than_it_needs() -> None:
    program = (
        "import sys; from g4local.backend import worker; worker._leave_out_the_package()\n"
        "import g4local.backend.llama\n"
        "print([name for name in ('llama_cpp.llama', 'jinja2', 'numpy', 'llguidance') if name in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert child.stdout.strip() == "[]"


def test_the_constraints_name_a_version_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    names = {requirement.replace("=", "<").replace(">", "<").split("<")[0].lower() for requirement in wanted}
    assert names <= pinned
