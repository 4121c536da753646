"""`g4local sessions rm`: what is asked before sessions go that nobody has named."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from g4local.settings import paths
from g4local.store.store import Store
from tests.cli.conftest import PROGRAM
from tests.cli.terminals import Terminal
from tests.cli.test_sessions import HOSTILE, Command, said, the_json
from tests.cli.test_sessions import command as command


@pytest.mark.parametrize("which", [("--all",), ("--older-than", "0s")])
def test_sessions_that_nobody_named_are_not_removed_without_a_yes(
    command: Command, own_home: Path, which: tuple[str, ...]
) -> None:
    names = [said(own_home, text) for text in ("first", "second")]
    finished = command("sessions", "rm", *which)
    assert (finished.returncode, finished.stdout) == (2, "") and "Nobody can be asked" in finished.stderr
    shown = command("sessions", "rm", *which, "--dry-run")
    assert shown.stdout.splitlines() == [f"would remove {names[1]}  second", f"would remove {names[0]}  first"]
    told = the_json(command("sessions", "rm", *which, "--dry-run", "--json"))
    assert (told["removed"], told["dry_run"]) == (names[::-1], True)
    assert the_json(command("sessions", "ls", "--json"))["total"] == 2
    assert the_json(command("sessions", "rm", *which, "--yes", "--json"))["dry_run"] is False
    assert the_json(command("sessions", "ls", "--json"))["total"] == 0


@pytest.mark.parametrize(("typed", "left", "code"), [("yes\n", 0, 0), ("\n", 23, 1), ("you?\n", 23, 1)])
def test_a_person_is_asked_for_all_and_sees_which(
    environment: dict[str, str], own_home: Path, typed: str, left: int, code: int
) -> None:
    for number in range(23):
        said(own_home, f"question {number}", title=f"{HOSTILE} {number}")
    home = {**environment, "G4LOCAL_HOME": str(own_home)}
    with closing(Terminal([*PROGRAM, "sessions", "rm", "--all"], home)) as terminal:
        terminal.wait_for("and 3 more\r\nRemove these 23 sessions for good? [y]es, [n]o: ")
        assert not set("\x1b\x07\x9b\u202e") & set(terminal.screen)
        terminal.type(typed)
        assert terminal.ended() == code
        assert ("Nothing was removed." in terminal.screen) == bool(left)
    with Store(own_home / "sessions.db") as store:
        assert store.count() == left


def test_rules_that_can_not_be_understood_leave_the_sessions_where_they_are(command: Command, own_home: Path) -> None:
    session = said(own_home, "first")
    paths(os.environ).permissions.write_text("{")
    finished = command("sessions", "rm", session)
    assert (finished.returncode, finished.stdout) == (2, "") and "permissions.json" in finished.stderr
    assert the_json(command("sessions", "ls", "--json"))["total"] == 1
