"""The app in a real terminal: tmux types and looks, the demo model answers."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")

_PATIENCE = 90.0
_LEFT = "the program has ended with"


class Tmux:
    """A tmux server of its own, with one window."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder = folder
        self._starts = 0
        self._home = home

    def start(self, *arguments: str, size: tuple[int, int] = (80, 24), **variables: str) -> None:
        """Run g4local there, with more variables in its environment; a server that ends may still have its socket."""
        self._starts += 1
        environment = {
            "G4LOCAL_HOME": str(self._home),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HF_HUB_OFFLINE": "1",
            **variables,
        }
        command = shlex.join([sys.executable, "-c", "from g4local.cli import main; main()", *arguments])
        shell = f"{command}; echo {_LEFT} $?; exec cat"
        width, height = map(str, size)
        self._tmux("new-session", "-d", "-x", width, "-y", height, shell, environment=environment)

    def type(self, *keys: str) -> None:
        """Press keys by tmux's names; a text is typed."""
        self._tmux("send-keys", *keys)

    def wait_for(self, text: str) -> str:
        """The screen as soon as a text is on it."""
        end = time.monotonic() + _PATIENCE
        while text not in (screen := self.screen()):
            assert time.monotonic() < end, f"{text!r} is not in\n{screen}"
            time.sleep(0.1)
        return screen

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def process(self) -> int:
        """The program's process, a child of the shell in the window."""
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return int(children[0])

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def close(self) -> None:
        self._tmux("kill-server", check=False)

    def _tmux(self, *arguments: str, environment: dict[str, str] | None = None, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._folder / f"{self._starts}"), "-f", "/dev/null", *arguments],
            env={
                **{name: value for name, value in os.environ.items() if name != "G4LOCAL_PLAIN"},
                **(environment or {}),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )
        return done.stdout


@pytest.fixture
def tmux(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[Tmux]:
    opened = Tmux(tmp_path_factory.mktemp("t"), own_home)
    yield opened
    opened.close()


def test_a_tool_is_asked_for_and_its_result_is_in_the_answer(tmux: Tmux) -> None:
    tmux.start("chat", "demo", "--tools", "--seed", "1")
    tmux.wait_for("context")
    tmux.type("What is 48 times 17?", "Enter")
    tmux.wait_for("may it run?")
    time.sleep(0.6)  # a key that comes sooner was meant for the prompt
    tmux.type("y")
    tmux.wait_for("816")
    tmux.wait_for("tokens,")
    tmux.type("C-q")
    tmux.wait_for(f"{_LEFT} 0")


def test_a_chat_goes_on_after_the_app_was_killed(tmux: Tmux) -> None:
    tmux.start("chat", "demo", "--seed", "1")
    tmux.wait_for("context")
    tmux.type("Hello", "Enter")
    tmux.wait_for("demo model")
    tmux.wait_for("tokens,")
    os.kill(tmux.process(), signal.SIGKILL)
    tmux.wait_for(_LEFT)
    tmux.close()
    tmux.start("chat", "-c")
    screen = tmux.wait_for("demo model")
    assert "Hello" in screen


def test_esc_stops_an_endless_answer_and_the_window_may_change_its_size(tmux: Tmux) -> None:
    tmux.start("chat", "demo", "--ctx", "0", "--regex", "([a-z]{3,9} ){4000}", "--no-loop-guard", "--seed", "1")
    tmux.wait_for("context")
    tmux.type("Hello", "Enter")
    tmux.wait_for("tokens/s")
    for width, height in ((120, 40), (40, 10), (80, 24)):
        tmux.resize(width, height)
        time.sleep(0.2)
    tmux.type("Escape")
    tmux.wait_for("tokens, ")
    tmux.type("C-q")
    tmux.wait_for(f"{_LEFT} 0")


def test_ctrl_z_stops_the_program_and_fg_brings_it_back(tmux: Tmux) -> None:
    tmux.start("chat", "demo")
    tmux.wait_for("context")
    process = tmux.process()
    tmux.type("C-z")
    end = time.monotonic() + _PATIENCE
    while not Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].startswith(" T"):
        assert time.monotonic() < end, "it was never stopped"
        time.sleep(0.05)
    assert "context" not in tmux.screen()
    os.kill(process, signal.SIGCONT)
    tmux.wait_for("context")
    tmux.type("C-q")
    tmux.wait_for(f"{_LEFT} 0")
