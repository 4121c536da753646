"""`g4local bench` as people and scripts use it, and what --tune leaves behind."""

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.backend.processes import wait_until
from tests.cli.conftest import Run
from tests.cli.test_commands import told

QUICK = ("bench", "demo", "-p", "32", "-n", "8", "-r")


@pytest.fixture
def file(environment: dict[str, str]) -> Path:
    """Where --tune keeps what it found; gone after the test."""
    path = Path(environment["G4LOCAL_HOME"]) / "cache" / "tuning.json"
    path.unlink(missing_ok=True)
    yield path  # type: ignore[misc]
    path.unlink(missing_ok=True)


def measured(g4local: Run, *arguments: str) -> dict[str, Any]:
    finished = g4local(*QUICK, "1", *arguments, "--json")
    assert (finished.returncode, finished.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(finished.stdout)
    assert answer["schema"] == "g4local.bench/1"
    return answer


def test_a_person_gets_a_table_with_the_medians(g4local: Run, file: Path) -> None:
    finished = g4local(*QUICK, "2")
    assert (finished.returncode, finished.stderr) == (0, "")
    head, setting, names, *rows = finished.stdout.splitlines()
    assert head == "demo: 32 tokens of prompt, 8 of answer" and "--tune" not in setting
    assert [row.split()[0] for row in (names, *rows)] == ["RUN", "1", "2", "median"]
    assert max(map(len, finished.stdout.splitlines())) <= 80
    assert not file.exists()


def test_a_program_gets_each_run(g4local: Run, file: Path) -> None:
    answer = measured(g4local, "-r", "2", "--threads", "1")
    [setting] = answer["settings"]
    assert (answer["threads"], setting["threads"], answer["tuned"]) == (1, 1, False)
    assert len(setting["runs"]) == 2 and answer["median"] == setting["median"]
    rates = [run["decode_tokens_per_second"] for run in setting["runs"]]
    assert setting["median"]["decode_tokens_per_second"] == pytest.approx(sum(rates) / 2)


def test_what_was_tuned_is_used_and_told_until_it_is_tuned_again(g4local: Run, file: Path) -> None:
    finished = g4local(*QUICK, "1", "--tune")
    assert (finished.returncode, finished.stderr) == (0, "")
    _, head, names, *rows, why = finished.stdout.splitlines()
    assert why.startswith(("Kept: ", "The usual setting is as fast"))
    assert head.endswith(" (kept by --tune)") and names.split()[:3] == ["THREADS", "PROMPTS", "REPACKED"]
    assert max(map(len, finished.stdout.splitlines())) <= 80
    [kept] = json.loads(file.read_text())["tuning"].values()
    other = {**kept, "batch_threads": 3 - min(kept["batch_threads"], 2)}
    file.write_text(file.read_text().replace(json.dumps(kept), json.dumps(other)))
    used = measured(g4local)
    assert used["tuned"] and {name: used[name] for name in other} == other
    assert json.loads(g4local("doctor", "--json").stdout)["tuned_models"] == 1
    file.write_text(file.read_text()[:-3])
    again = measured(g4local, "--tune")
    [kept] = json.loads(file.read_text())["tuning"].values()
    assert again["tuned"] and again["threads"] == kept["threads"]
    assert abs(len(again["settings"]) - len(rows)) <= 1


def test_a_folder_that_takes_nothing_is_a_warning(g4local: Run, file: Path) -> None:
    file.mkdir()
    try:
        finished = g4local(*QUICK, "1", "--tune")
        assert finished.returncode == 0 and "REPACKED" in finished.stdout
        assert "warning: What was found can't be kept in " in finished.stderr and finished.stderr.count("\n") == 1
        assert "--tune" not in finished.stdout
    finally:
        file.rmdir()


def test_nonsense_is_told(g4local: Run) -> None:
    assert "Leave out --threads" in g4local("bench", "demo", "--tune", "-t", "2").stderr
    assert "do not fit into a context" in told(g4local("bench", "demo", "-p", "5000"), 2)
    told(g4local("bench", "nothing"), 3)
    assert g4local("bench", "demo", "-n", "1").returncode == 2


def test_ctrl_c_ends_it_in_order(
    g4local: Run, started: Callable[[Sequence[str]], "Popen[str]"], environment: dict[str, str], file: Path
) -> None:
    assert g4local("ls").returncode == 0
    process = started(["bench", "demo", "--tune", "-r", "50"])
    log = Path(environment["G4LOCAL_HOME"]) / "logs" / "engine.log"
    before = log.stat().st_size if log.exists() else 0
    assert wait_until(lambda: log.exists() and log.stat().st_size > before)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130 and not stdout and "Traceback" not in stderr
    assert not file.exists()
