"""Tab in a real bash, at a terminal of its own: what it makes of the line is what the shell then splits into words."""

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from g4local.store.store import Store
from tests.conftest import ROOT

PROGRAM = f"#!{sys.executable}\nfrom g4local.cli import main\nmain()\n"
PROMPT = "ready$ "
_PATIENCE = 60.0

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")


class Bash:
    """An interactive bash whose completion was installed as `--show-completion` prints it."""

    def __init__(self, folder: Path) -> None:
        places = os.pathsep.join(map(str, (ROOT, ROOT / "converters")))
        mine = {"G4LOCAL_HOME": str(folder / "home"), "HOME": str(folder), "PYTHONPATH": places, "PS1": PROMPT}
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, **mine, "PATH": path, "TERM": "dumb", "HISTFILE": ""}
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=self.environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._until(PROMPT)
        self._type(
            "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; source script.sh; echo so''urced\r"
        )
        self._until("sourced\r\n")

    def completed(self, typed: str) -> list[str]:
        """The words behind g4local after Tab, and a plus typed behind it, which shows whether a space came."""
        self._type(f"{typed}\t")
        self._type("+\x01printf '<%s>' \x05 ; echo en''d\r")
        said = self._until("end\r\n")
        words = said.rpartition("<g4local>")[2].partition("end")[0].strip()
        return words.removeprefix("<").removesuffix(">").split("><")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def _until(self, words: str) -> str:
        said, end = "", monotonic() + _PATIENCE
        while words not in said:
            assert select.select([self._ours], [], [], max(0.0, end - monotonic()))[0], said
            said += os.read(self._ours, 1 << 16).decode("utf-8", "replace")
        return said


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bash]:
    folder = tmp_path_factory.mktemp("shell")
    for name in ("my models/a b.gguf", "my models/notes.txt", "home/models/mine.gguf", "single/deeper/x.gguf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    program = folder / "bin" / "g4local"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    with Store(folder / "home" / "sessions.db") as store, store.writing():
        store.start("[/red] x\ny [b]")
    script = subprocess.run(
        [str(program), "--show-completion", "bash"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "converters"))),
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    (folder / "script.sh").write_text(script.stdout)
    shell = Bash(folder)
    yield shell
    shell.close()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("g4local doc", ["doctor", "+"]),
        ("g4local run mi", ["run", "mine", "+"]),
        ("g4local pull e2b:qat-q", ["pull", "e2b:qat-q4_0", "+"]),
        ("g4local show my", ["show", "my models/+"]),
        ("g4local show my\\ models/", ["show", "my models/a b.gguf", "+"]),
        ("g4local show single/", ["show", "single/deeper/+"]),
        ("g4local show ~/single/deeper/", ["show", "{home}/single/deeper/x.gguf", "+"]),
        ("g4local convert x --quant=q4_k_m", ["convert", "x", "--quant=q4_k_m", "+"]),
        ("g4local convert x -q mxf", ["convert", "x", "-q", "mxfp4_moe", "+"]),
        ("g4local run demo --tool cal", ["run", "demo", "--tool", "calculate", "+"]),
        ("g4local schema run.b", ["schema", "run.batch", "+"]),
        ("g4local sessions show ", ["sessions", "show", "{session}", "+"]),
    ],
)
def test_tab_makes_words_of_it(bash: Bash, typed: str, words: list[str]) -> None:
    home = Path(bash.environment["HOME"])
    with Store(home / "home" / "sessions.db") as store:
        session = store.sessions()[0].id
    wanted = [word.format(home=home, session=session) for word in words]
    assert bash.completed(typed) == wanted


def test_a_title_is_no_markup_and_one_line(bash: Bash) -> None:
    shell = {"_G4LOCAL_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        ["g4local"],
        env={**bash.environment, **shell, "_TYPER_COMPLETE_ARGS": "g4local sessions show "},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    [line] = done.stdout.splitlines()
    assert line.partition("\t")[2] == "[/red] x y [b]"
