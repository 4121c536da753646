"""Every command line in the code blocks of README.md and docs/.

All are understood, and those that need nothing but the demo model run.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from g4local.core.messages import Message
from g4local.store.store import Store
from tests.commands import commands
from tests.outputs import checked

ROOT = Path(__file__).parents[2]
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))))
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
LINES = list(
    dict.fromkeys(
        re.sub(r"\s+#.*", "", line.removeprefix("$ "))
        for block in BLOCKS
        for line in block.splitlines()
        if re.match(r"\$ .*\bg4local |g4local ", line)
    )
)
ELSEWHERE = re.compile(r"\bpull\b|26b|e4b|~|E[24]B|/media/|\breplay\b")
"""What needs the network, or files or answers that are not here."""
HERE = [line for line in LINES if not ELSEWHERE.search(line)]
SESSION = "3f2a"
"""The beginning of an id that they make up."""


def words(line: str) -> list[str]:
    """What the program is called with, without a comment, a pipe and a redirection."""
    split = shlex.split(line, comments=True)
    split = split[split.index("g4local") + 1 :]
    return split[: split.index(">")] if ">" in split else split


def test_there_are_some() -> None:
    assert len(LINES) > 25 and len(HERE) > 10


@pytest.mark.parametrize("line", LINES)
def test_each_names_a_command_and_flags_that_there_are(line: str) -> None:
    said = words(line)
    name = next(name for name in (" ".join(said[:2]), said[0]) if name in commands())
    command, rest = commands()[name], said[len(name.split()) :]
    context = command.make_context(name, [], resilient_parsing=True)
    values, left, _ = command.make_parser(context).parse_args(list(rest))
    assert left == []
    needed = {each.name for each in command.params if each.required}
    assert needed <= {name for name, value in values.items() if value is not None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """Where the files lie that are spoken of; a session has the id that is made up."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "questions.jsonl").write_text('{"prompt": "What can you do?"}\n')
    with Store(Path(environment["G4LOCAL_HOME"]) / "sessions.db") as store, store.writing():
        turn = store.begin_turn({"model": "demo"})
        session, head = store.start("A pet pelican"), None
        for number in range(17):
            message = Message("assistant" if number % 2 else "user", f"pet pelican name {number}")
            head = store.append(session, head, message, turn=turn)
        store.move_head(session, head)
    (folder / "session").write_text(session)
    return folder


@pytest.mark.parametrize("line", HERE)
def test_those_that_need_nothing_else_run(line: str, folder: Path, environment: dict[str, str]) -> None:
    line = line.replace(SESSION, (folder / "session").read_text())
    program = shlex.join([sys.executable, "-c", "from g4local.cli import main; main()"])
    script = f'g4local() {{ {program} "$@"; }}\n{line}'
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    if "--json" in line:
        checked(done.stdout)
    if wanted := shown(line):
        assert done.stdout.split() == wanted


def shown(line: str) -> list[str]:
    """The words that README shows as the answer of the demo model, where it shows any that a seed repeats."""
    if "--seed" not in line or "--json" in line:
        return []
    block = next(each for each in BLOCKS if f"$ {line}\n" in each)
    said = block.partition(f"$ {line}\n")[2].partition("\n$ ")[0]
    return said.split()


def test_the_object_that_is_shown_is_one() -> None:
    [block] = [each for each in BLOCKS if '"g4local.run/1"' in each]
    assert checked(" ".join(block.splitlines()[1:]))["text"] == "48 * 17 = 816"
