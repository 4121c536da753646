"""The rules that the tree itself must keep."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in ("g4local", "converters", "tui", "tests", "demo", "bench")
    for path in (ROOT / folder).rglob("*.py")
)
HEAVY = ("llama_cpp", "numpy", "textual", "huggingface_hub", "jsonschema", "llguidance", "mcp", "anyio")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"], ["ls", "--json"]])
def test_a_light_command_loads_no_heavy_package(arguments: list[str]) -> None:
    program = (
        "import sys; from g4local.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        f"print('LOADED', [name for name in {HEAVY} if name in sys.modules], code or 0)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert child.stdout.splitlines()[-1] == "LOADED [] 0", child.stderr


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
