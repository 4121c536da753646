"""What a person sees at a real terminal: lines that end between words, nothing of what is typed too soon."""

import os
import pty
import re
from collections.abc import Callable, Iterator
from io import FileIO, TextIOWrapper

import pytest

from g4local.cli import keyboard
from tests.cli.conftest import PROGRAM, Run
from tests.cli.terminals import Terminal

ASK = ("run", "demo", "How do I convert a checkpoint?", "--temp", "0", "--no-save")
ENDLESS = ("--temp", "9", "--top-k", "1000", "--top-p", "1", "--seed", "3", "-n", "300", "--no-save")
"""Hot enough that even the demo model talks on."""

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What moves the cursor and changes modes."""

Open = Callable[..., Terminal]


@pytest.fixture
def opened(environment: dict[str, str]) -> Iterator[Open]:
    """Opens terminals in which the command line runs."""
    terminals = []

    def start(*arguments: str, columns: int = 0, **more: str) -> Terminal:
        terminals.append(Terminal([*PROGRAM, *arguments], {**environment, "TERM": "xterm", **more}, columns))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


@pytest.mark.parametrize("columns", [24, 60])
def test_an_answer_is_broken_between_words_and_has_no_more_spaces(g4local: Run, opened: Open, columns: int) -> None:
    whole = g4local(*ASK).stdout
    terminal = opened(*ASK, columns=columns, TERM="dumb")
    assert terminal.ended() == 0
    lines = terminal.screen.replace("\r\n", "\n").removesuffix("\n").split("\n")
    assert " ".join(lines) == whole.rstrip("\n") and len(lines) > 1
    assert all(len(line) <= columns or line.startswith("`") for line in lines)


def test_an_answer_of_a_given_form_is_left_as_it_is(opened: Open) -> None:
    terminal = opened(*ASK, "--regex", "(one two three ){9}end", columns=20, TERM="dumb")
    assert terminal.ended() == 0
    assert terminal.screen == "one two three " * 9 + "end\r\n"


def test_what_is_typed_while_the_model_talks_is_seen_at_the_next_prompt(opened: Open) -> None:
    terminal = opened("chat", "demo", *ENDLESS, columns=80)
    terminal.wait_for(">>> ")
    terminal.type("tell me a story\r")
    terminal.wait_for("story\r\n")
    while not CODES.sub("", terminal.screen).partition("story")[2].strip():
        terminal.wait_more()
    terminal.type("/bye", clear=False)
    terminal.wait_for(">>> /bye")
    assert terminal.screen.count("/bye") == 1
    terminal.type("\r")
    assert terminal.ended() == 0
    assert terminal.echoes()


def test_keys_are_kept_out_of_sight_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    side, other = pty.openpty()
    with TextIOWrapper(FileIO(other)) as stream:
        monkeypatch.setattr("sys.stdin", stream)

        def echoes() -> bool:
            return bool(keyboard.termios.tcgetattr(side)[3] & keyboard.termios.ECHO)

        with keyboard.echo(shown=False):
            assert not echoes()
            with keyboard.echo(shown=True):
                assert echoes()
            assert not echoes()
        assert echoes()
        monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp() + 1)
        with keyboard.echo(shown=False):
            assert echoes(), "a program in the background leaves the terminal alone"
    with keyboard.echo(shown=False):
        pass  # a stream that is closed is no terminal
    os.close(side)
