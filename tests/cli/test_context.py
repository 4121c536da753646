"""A context that fills up under `run` and, at a real terminal, under `chat`."""

import json
from collections.abc import Iterator

import pytest

from tests.backend.prompts import words
from tests.cli.conftest import PROGRAM, Run
from tests.cli.terminals import Terminal

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


def test_a_chat_of_a_script_ends_with_the_code_of_what_went_wrong_first(g4local: Run) -> None:
    chat = ("chat", "demo", "--ctx", "256", "--no-save", "--seed", "1")
    done = g4local(*chat, stdin=f"{words(1, 400)}\nWho are you?\n")
    assert done.returncode == 5 and "The question alone takes" in done.stderr and done.stdout
    assert g4local(*chat, stdin="/nonsense\n/compact\n").returncode == 2
    assert g4local(*chat, "-n", "1", stdin="Who are you?\n/nonsense\n").returncode == 6
    assert g4local(*chat, stdin="Who are you?\n/set\n").returncode == 0


@pytest.fixture
def chat(environment: dict[str, str], g4local: Run) -> Iterator[Terminal]:
    """A chat with a context of 256 tokens, ready for a question."""
    flags = ("--ctx", "256", "--temp", "0", "-n", "30", "--no-save")
    terminal = Terminal([*PROGRAM, "chat", "demo", *flags], {**environment, "TERM": "dumb"})
    terminal.wait_for(">>> ")
    yield terminal
    terminal.close()


def test_a_person_at_a_terminal_is_asked_and_the_chat_goes_on(chat: Terminal) -> None:
    summarise = "Let the model summarise the older turns? [y]es, [n]o: "
    for _ in range(12):
        chat.type("How do I convert a checkpoint to a GGUF?\n")
        if chat.wait_for(summarise, "\n>>> ") == summarise:
            break
    assert "The context is " in chat.screen and "history" in chat.screen
    chat.type("y\n")
    chat.wait_for("The older turns are a summary now.")
    chat.wait_for("\n>>> ")
    chat.type("What is g4local?\n")
    chat.wait_for("\n>>> ")
    assert "error" not in chat.screen and "\x1b" not in chat.screen
    chat.type("/context\n")
    chat.wait_for("of 256 tokens")
