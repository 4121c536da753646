"""Real signals: the engine's process is killed in mid-answer, Ctrl-C is pressed, the terminal goes away."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from g4local.core.messages import Message
from tests.backend.processes import wait_until, within
from tests.cli.conftest import Run, last_session
from tests.outputs import checked

Start = Callable[[Sequence[str]], subprocess.Popen[str]]

ENDLESS = ("--ctx", "0", "--regex", "([a-z]{3,9} ){4000}", "--no-loop-guard", "--seed", "1")
"""An answer that can't end before its context is full."""


@pytest.fixture(scope="module", autouse=True)
def _converted(g4local: Run) -> None:
    """The conversion is done before anything is killed."""
    g4local("run", "demo", "hi", "-n", "1")


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def running(started: Start, *flags: str) -> subprocess.Popen[str]:
    """`run` with a question whose answer does not end."""
    process = started(["run", "demo", "tell me a story", *flags, *ENDLESS])
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    return process


def chatting(started: Start) -> subprocess.Popen[str]:
    """`chat` with the same question asked."""
    process = started(["chat", "demo", *ENDLESS])
    assert process.stdin is not None
    process.stdin.write("tell me a story\n")
    process.stdin.flush()
    return process


def first_word(process: subprocess.Popen[str]) -> str:
    """How the answer begins, once it does; read past the buffer of the pipe, which `communicate` does not know."""
    assert process.stdout is not None
    word = os.read(process.stdout.fileno(), 1 << 16).decode()
    assert word, "the answer never began"
    return word


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
@pytest.mark.parametrize("doing", ["loads", "reads", "answers"])
def test_run_tells_that_the_engine_died_and_what_was_said_is_kept(
    started: Start, environment: dict[str, str], doing: str, number: signal.Signals
) -> None:
    question = f"{doing} {number.name} " + "and then? " * (900 if doing == "reads" else 1)
    process = started(["run", "demo", question.strip(), *(ENDLESS if doing == "answers" else ("--ctx", "0"))])
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    begin = ""
    match doing:
        case "loads":
            assert wait_until(lambda: bool(children(process)))
        case "reads":
            assert wait_until(lambda: last_session(environment)[:1] == [Message("user", question.strip())])
        case "answers":
            begin = first_word(process)
    [engine] = children(process)
    os.kill(engine, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert number.name in lines[0] and f"while it {'loaded' if doing == 'loads' else 'answered'}" in lines[0]
    said = (begin + out).removesuffix("\n")
    assert bool(said) == (doing == "answers")
    assert [message.text for message in last_session(environment)] == [question.strip(), *filter(None, [said])]


def test_run_json_is_json_also_when_the_engine_died(started: Start) -> None:
    process = running(started, "--stream-json")
    assert process.stdout is not None
    while checked(within(process.stdout.readline))["type"] != "text":
        pass
    [engine] = children(process)
    os.kill(engine, signal.SIGKILL)
    out, _ = process.communicate(timeout=30)
    result = checked(out.splitlines()[-1])
    assert process.returncode == 1
    assert (result["finish_reason"], result["error"]["exit_code"]) == ("error", 1)
    assert "SIGKILL" in result["error"]["message"]
    assert result["text"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_chat_goes_on_with_a_new_engine(started: Start, number: signal.Signals) -> None:
    process = chatting(started)
    first_word(process)
    [first] = children(process)
    os.kill(first, number)
    assert process.stderr is not None
    while f"ended by {number.name}" not in (line := within(process.stderr.readline)):
        assert line, "nothing was told"
    assert children(process) == [], "neither a process nor a zombie"
    out, _ = process.communicate("/set max_tokens 3\n/set temperature 0\nWho are you?\n/bye\n", timeout=60)
    assert process.returncode == 1, "an answer was lost"
    assert out.rstrip("\n").count("\n") >= 1, "the second answer is on a line of its own"


def test_ctrl_c_stops_the_answer_of_run_with_130(started: Start) -> None:
    process = running(started)
    first_word(process)
    [engine] = children(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert gone(engine)


def test_ctrl_c_stops_the_answer_of_a_chat_and_not_the_chat(started: Start) -> None:
    process = chatting(started)
    first_word(process)
    [before] = children(process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Stopped" not in (line := within(process.stderr.readline)):
        assert line, "the answer was not stopped"
    assert children(process) == [before], "the engine lives on"
    process.communicate("/bye\n", timeout=60)
    assert process.returncode == 0
    assert gone(before)


def test_the_engine_does_not_outlive_a_front_end_that_is_killed(started: Start) -> None:
    process = running(started)
    first_word(process)
    [engine] = children(process)
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=30)
    assert gone(engine)
