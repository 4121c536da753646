"""A context that fills up under `run` and, at a real terminal, under `chat`."""

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.cli.conftest import PROGRAM, Run

QUESTION = "many words " * 60
"""So long that six tokens of the context are left."""
ENDLESS = ("--ctx", "256", "--temp", "9", "--top-k", "1000", "--top-p", "1", "--seed", "3")
"""Hot enough that even the demo model talks on."""


def test_an_answer_for_which_there_is_no_more_room_is_exit_code_5(g4local: Run) -> None:
    done = g4local("run", "demo", QUESTION, *ENDLESS)
    assert done.returncode == 5 and done.stdout.strip()
    assert "warning: The context of 256 tokens is full; the answer ends here." in done.stderr
    raw = g4local("run", "demo", "--raw", QUESTION, *ENDLESS)
    assert raw.returncode == 5 and "is full" in raw.stderr


def test_json_tells_a_full_context_in_finish_reason_warnings_and_exit_code(g4local: Run) -> None:
    done = g4local("run", "demo", QUESTION, "--json", *ENDLESS)
    result = json.loads(done.stdout)
    assert (done.returncode, result["finish_reason"], result["error"]) == (5, "length", None)
    assert "The context of 256 tokens is full; the answer ends here." in result["warnings"]
    assert result["text"] and result["usage"]["prompt"] + result["usage"]["completion"] == 256


def test_a_question_without_room_is_an_error_with_a_way_out_and_no_usage(g4local: Run) -> None:
    done = g4local("run", "demo", "--ctx", "256", "--stream-json", stdin="many words " * 200)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events] == ["turn_started", "result"]
    result = events[-1]
    assert (done.returncode, result["finish_reason"], result["usage"]) == (5, "error", None)
    assert "256" in result["error"]["message"] and "--ctx" in result["error"]["hint"]


class Terminal:
    """A chat in a pseudo-terminal."""

    def __init__(self, environment: dict[str, str], *flags: str) -> None:
        self._side, other = pty.openpty()
        self._process = subprocess.Popen(
            [*PROGRAM, "chat", "demo", "--no-save", *flags],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**environment, "TERM": "dumb"},
            start_new_session=True,
        )
        os.close(other)
        self.screen = ""

    def wait_for(self, *texts: str, seconds: float = 60) -> str:
        """The first of the texts that appears."""
        end = time.monotonic() + seconds
        while not any(text in self.screen for text in texts):
            assert time.monotonic() < end, f"none of {texts} is in {self.screen!r}"
            if select.select([self._side], [], [], 0.1)[0]:
                self.screen += os.read(self._side, 65536).decode("utf-8", "replace")
        return next(text for text in texts if text in self.screen)

    def type(self, text: str) -> None:
        self.screen = ""
        os.write(self._side, text.encode())

    def close(self) -> int:
        self._process.kill()
        code = self._process.wait()
        os.close(self._side)
        return code


@pytest.fixture
def chat(environment: dict[str, str], g4local: Run) -> Iterator[Terminal]:
    """A chat with a context of 256 tokens, ready for a question."""
    terminal = Terminal(environment, "--ctx", "256", "--temp", "0", "-n", "30")
    terminal.wait_for(">>> ")
    yield terminal
    terminal.close()


def test_a_person_at_a_terminal_is_asked_and_the_chat_goes_on(chat: Terminal) -> None:
    summarise = "Let the model summarise the older turns? [y]es, [n]o: "
    for _ in range(12):
        chat.type("How do I convert a checkpoint to a GGUF?\n")
        if chat.wait_for(summarise, "h>>> ") == summarise:
            break
    assert "The context is " in chat.screen and "history" in chat.screen
    chat.type("y\n")
    chat.wait_for("The older turns are a summary now.")
    chat.wait_for(">>> ")
    chat.type("What is g4local?\n")
    chat.wait_for("h>>> ")
    assert "error" not in chat.screen
    chat.type("/context\n")
    chat.wait_for("of 256 tokens")
