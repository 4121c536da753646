"""Tab in real shells, each at a terminal of its own: what is made of the line is what they split into words."""

import fcntl
import os
import pty
import select
import shutil
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from g4local.store.store import Store
from tests.conftest import ROOT

PROGRAM = f"#!{sys.executable}\nfrom g4local.cli import main\nmain()\n"
_PATIENCE = 60.0
_BEGIN = {
    "bash": "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; source .bash_completions/g4local.sh",
    "zsh": "unsetopt prompt_sp; fpath+=~/.zfunc; autoload -Uz compinit; compinit -u -D",
    "fish": "set -g fish_greeting; set -g fish_autosuggestion_enabled 0",
}
"""What makes a shell use what was installed, as its own file of settings would."""
_START = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "-i"),
}


class Shell:
    """An interactive shell whose completion was installed by `--install-completion`."""

    def __init__(self, name: str, folder: Path) -> None:
        places = os.pathsep.join(map(str, (ROOT, ROOT / "converters")))
        mine = {
            "G4LOCAL_HOME": str(folder / "home"),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "XDG_DATA_HOME": str(folder / ".local"),
            "PYTHONPATH": places,
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "TERM": "dumb" if name == "bash" else "xterm",
            "HISTFILE": "",
            "fish_features": "no-query-term",
        }
        self.environment = {**os.environ, **mine}
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            _START[name],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=self.environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)
        self._type(f"{_BEGIN[name]}; echo be''gun\r")
        self._until("begun\r\n")

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


@pytest.fixture(scope="module", params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param}")
    folder = tmp_path_factory.mktemp("shell")
    named = ("my models/a b.gguf", "my models/notes.txt", "home/models/mine.gguf", "home/models/it's $5.gguf")
    for name in (*named, "single/deeper/x.gguf", "notes/mine.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    program = folder / "bin" / "g4local"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    with Store(folder / "home" / "sessions.db") as store, store.writing():
        store.start("[/red] it's x:\ny [b] `$HOME`")
    subprocess.run(
        [str(program), "--install-completion", request.param],
        env={
            **os.environ,
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "converters"))),
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    opened = Shell(request.param, folder)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("g4local run mi", ["run", "mine", "+"]),
        ("g4local run it", ["run", "it's $5", "+"]),
        ("g4local pull e2b:qat-q", ["pull", "e2b:qat-q4_0", "+"]),
        ("g4local show my", ["show", "my models/+"]),
        ("g4local show my\\ models/", ["show", "my models/a b.gguf", "+"]),
        ("g4local show ~/single/deeper/", ["show", "{home}/single/deeper/x.gguf", "+"]),
        ("g4local convert x --quant=mxf", ["convert", "x", "--quant=mxfp4_moe", "+"]),
        ("g4local sessions show ", ["sessions", "show", "{session}", "+"]),
        ("g4local sessions import notes/mi", ["sessions", "import", "notes/mine.txt", "+"]),
    ],
)
def test_tab_makes_words_of_it(shell: Shell, typed: str, words: list[str]) -> None:
    home = Path(shell.environment["HOME"])
    with Store(home / "home" / "sessions.db") as store:
        session = store.sessions()[0].id
    wanted = [word.format(home=home, session=session) for word in words]
    assert shell.completed(typed) == wanted
