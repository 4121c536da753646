"""A model runs where no socket can be made, and on a disk that takes nothing more."""

import json
import os
import resource
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.backend.processes import wait_until, within
from tests.cli.conftest import PROGRAM, Run, last_session
from tests.cli.test_commands import told
from tests.hubs import Hub
from tests.outputs import checked

NO_SOCKETS = """
import sys

def forbid(event, arguments):
    if event.startswith("socket."):
        raise OSError(f"{event} is forbidden")

sys.addaudithook(forbid)
"""
UNSAVED = "This conversation is not saved from here on: "
CUT = "The answer was cut off at 8 tokens, the most that were allowed."
QUESTION = ("run", "demo", "What is g4local?", "--temp", "0", "-n", "8")


@pytest.fixture(scope="module")
def answer(g4local: Run) -> str:
    """What is answered where everything is allowed; the model is converted and the machine known after it."""
    return g4local(*QUESTION).stdout


def test_a_model_is_converted_loaded_and_run_without_a_socket(
    environment: dict[str, str], tmp_path: Path, answer: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_SOCKETS)
    places = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    without = {**environment, "PYTHONPATH": places, "G4LOCAL_HOME": str(tmp_path / "home")}
    check = subprocess.run(
        [PROGRAM[0], "-c", "import socket; socket.socket()"], env=without, capture_output=True, text=True, check=False
    )
    assert "socket.__new__ is forbidden" in check.stderr
    done = subprocess.run([*PROGRAM, *QUESTION], env=without, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == answer and done.returncode in (0, 6), done.stderr


def test_doctor_counts_sockets_and_fits_into_100_columns_beside_its_longest_path(
    g4local: Run, environment: dict[str, str]
) -> None:
    home, told = environment["G4LOCAL_HOME"], g4local("doctor").stdout
    assert "none opened by llama.cpp's process" in told
    assert all(len(line) <= 100 or home in line for line in told.splitlines())


@pytest.mark.parametrize("way", ["before", "behind", "variable"])
def test_offline_the_same_is_answered_and_nothing_is_pulled(
    way: str, hub: Hub, environment: dict[str, str], tmp_path: Path, answer: str
) -> None:
    """The hub would give the file; nothing reaches it."""
    hub.put("owner/gemma-tiny-GGUF", "gemma-tiny-Q8_0.gguf", b"GGUF")

    def g4local(*arguments: str, home: str) -> subprocess.CompletedProcess[str]:
        places = {**hub.environment(tmp_path), "G4LOCAL_HOME": home}
        command = {
            "before": ["--offline", *arguments],
            "behind": [*arguments, "--offline"],
            "variable": list(arguments),
        }[way]
        switch = {"G4LOCAL_OFFLINE": "1"} if way == "variable" else {}
        return subprocess.run(
            [*PROGRAM, *command], env={**places, **switch}, capture_output=True, text=True, timeout=120, check=False
        )

    pulled = g4local("pull", "owner/gemma-tiny-GGUF", home=str(tmp_path))
    assert (pulled.returncode, pulled.stdout) == (7, "")
    error, hint = pulled.stderr.splitlines()
    assert error.endswith("--offline forbids every connection.") and "G4LOCAL_OFFLINE" in hint
    assert hub.log() == []
    told = json.loads(g4local("doctor", "--json", home=environment["G4LOCAL_HOME"]).stdout)
    assert (told["offline"], told["sockets_refused"], told["error"]) == (True, True, None)
    assert g4local(*QUESTION, home=environment["G4LOCAL_HOME"]).stdout == answer


def test_a_server_that_is_spoken_to_over_http_is_refused_offline(g4local: Run, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"web": {"url": "http://127.0.0.1:9/mcp"}}}')
    done = g4local("--offline", "tools", "ls", "--mcp", "web", "--mcp-config", str(file))
    assert (done.returncode, done.stdout) == (7, "") and "MCP server web" in done.stderr


def test_without_it_only_the_engine_is_kept_from_the_network(g4local: Run) -> None:
    told = json.loads(g4local("doctor", "--json").stdout)
    assert (told["offline"], told["sockets_refused"]) == (False, True)


def test_what_is_here_is_found_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    hub.put("owner/gemma-tiny-GGUF", "gemma-tiny-Q8_0.gguf", b"GGUF")
    ask = [*PROGRAM, "pull", "owner/gemma-tiny-GGUF:gemma-tiny-Q8_0.gguf"]
    first, second = (
        subprocess.run([*ask, *more], env=hub.environment(tmp_path), capture_output=True, text=True, check=True)
        for more in ([], ["--offline"])
    )
    assert first.stdout == second.stdout


def fill() -> None:
    """Let no file take another byte, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def on_a_full_disk(
    arguments: Sequence[str], environment: dict[str, str], typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        input=typed,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=fill,
        check=False,
    )


@pytest.mark.parametrize("command", ["run", "chat"])
def test_an_answer_is_given_although_no_file_takes_another_byte(
    command: str, environment: dict[str, str], answer: str
) -> None:
    """Logs, caches, snapshots and sessions can't be written; only the last is told, for only they are missed."""
    arguments = QUESTION if command == "run" else ("chat", "demo", *QUESTION[3:])
    done = on_a_full_disk(arguments, environment, "What is g4local?\n/bye\n" if command == "chat" else None)
    assert done.stdout == answer, done.stderr
    assert done.returncode == 6, "that of the answer, which is cut off"
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert [line for line in warnings if UNSAVED not in line] == ["warning: " + CUT]
    assert len(warnings) == 2 and "Traceback" not in done.stderr


def test_a_script_is_told_on_a_full_disk_that_nothing_is_kept(environment: dict[str, str], answer: str) -> None:
    done = on_a_full_disk((*QUESTION, "--json"), environment)
    result = checked(done.stdout)
    assert (done.returncode, result["error"], result["text"]) == (6, None, answer.removesuffix("\n"))
    assert [UNSAVED in warning for warning in result["warnings"]] == [True, False]


def test_a_session_that_can_not_be_gone_on_with_on_a_full_disk_is_a_sentence(
    environment: dict[str, str], answer: str
) -> None:
    done = on_a_full_disk(("run", "demo", "-c", "And?"), environment)
    assert "can't be used" in told(done, 1) and "The disk is full, or failing" in done.stderr


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no process's limits can be changed here")
def test_a_disk_that_fills_up_within_a_chat_costs_what_is_said_from_then_on_and_nothing_before(
    environment: dict[str, str], started: Callable[[Sequence[str]], subprocess.Popen[str]]
) -> None:
    process = started(["chat", "demo", *QUESTION[3:]])
    assert process.stdin and process.stdout
    answers = []
    for question in ("First?", "Second?", "Third?"):
        process.stdin.write(f"{question}\n")
        process.stdin.flush()
        answers.append(within(process.stdout.readline))
        if question == "First?":
            assert wait_until(lambda: len(last_session(environment)) == 2)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))  # type: ignore[attr-defined]
    _, errors = process.communicate("/bye\n", timeout=60)
    assert all(answers) and process.returncode == 6
    assert errors.count(UNSAVED) == 1 and "Traceback" not in errors
    assert [message.text for message in last_session(environment)] == ["First?", answers[0].removesuffix("\n")]


def test_the_first_run_of_all_answers_on_a_full_disk_too(
    environment: dict[str, str], tmp_path: Path, answer: str
) -> None:
    """The start probe has no file to try with then, so it does without repacked weights."""
    [model] = Path(environment["G4LOCAL_HOME"]).glob("cache/converted/demo-*.gguf")
    fresh = {**environment, "G4LOCAL_HOME": str(tmp_path / "home")}
    done = on_a_full_disk(("run", str(model), *QUESTION[2:]), fresh)
    assert done.stdout and done.returncode in (0, 6), done.stderr
    assert not list(tmp_path.rglob("start-probe*"))
