"""The command line as a process, in a home that keeps the converted demo model from test to test."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import pytest

from g4local import importing
from g4local.core.messages import Message
from g4local.core.progress import silent
from g4local.importing import Wish
from g4local.settings import paths
from g4local.store.store import Store
from tests.families import Family
from tests.outputs import all_checked

PROGRAM = (sys.executable, "-c", "from g4local.cli import main; main()")

_FOR_SCRIPTS = {"--json", "--stream-json"}

Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of the program: a home of its own, no colour asked for, no network for the hub's library."""
    home = tmp_path_factory.mktemp("home")
    return {
        **os.environ,
        "G4LOCAL_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "G4LOCAL_PLAIN": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


@pytest.fixture(scope="session")
def g4local(environment: dict[str, str]) -> Run:
    """Runs the command line to its end; what it prints for scripts is held to its schema."""

    def run(*arguments: str, stdin: str = "", cwd: Path | None = None) -> Finished:
        finished = subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            cwd=cwd,
            timeout=120,
            check=False,
        )
        return _held(finished, arguments)

    return run


@pytest.fixture
def own(environment: dict[str, str], own_home: Path) -> Run:
    """Runs the command line in a home of the test's own; what it prints for scripts is held to its schema."""

    def run(*arguments: str) -> Finished:
        finished = subprocess.run(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**environment, "G4LOCAL_HOME": str(own_home / "home")},
            timeout=120,
            check=False,
        )
        return _held(finished, arguments)

    return run


def _held(finished: Finished, arguments: Sequence[str]) -> Finished:
    if _FOR_SCRIPTS.intersection(arguments):
        all_checked(finished.stdout)
    return finished


@pytest.fixture
def stocked(own_home: Path, family: Family) -> Path:
    """The models folder of that home, with copies of a model and of what belongs to it."""
    places = paths({"G4LOCAL_HOME": str(own_home / "home")})
    importing.bring([family.model], Wish("copy"), places, silent, Event())
    return places.models


@pytest.fixture
def started(environment: dict[str, str]) -> Callable[[Sequence[str]], subprocess.Popen[str]]:
    """Starts the command line with pipes and leaves it running; ended by the test or after it."""
    running: list[subprocess.Popen[str]] = []

    def start(arguments: Sequence[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment,
        )
        running.append(process)
        return process

    yield start  # type: ignore[misc]
    for process in running:
        process.kill()
        process.communicate()


def last_session(environment: dict[str, str]) -> list[Message]:
    """The messages of the session in which something was said last; none where there is no store yet."""
    path = Path(environment["G4LOCAL_HOME"]) / "sessions.db"
    if not path.exists():
        return []
    with Store(path) as store:
        return [each.message for each in store.path_to(store.last().head)]
