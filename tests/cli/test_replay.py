"""`g4local sessions replay` with the demo model: a turn is said again, token for token, and no tool is run for it."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_commands import told
from tests.cli.test_sessions import said
from tests.outputs import checked

WILD = ("--temp", "1.8", "--top-k", "0", "--top-p", "1", "-n", "30")
"""Tokens that hang on the seed."""


@pytest.fixture(scope="module")
def session(g4local: Run) -> str:
    """A session of three turns, whose seeds were drawn: a wild one, one with a tool, and one that was asked again."""
    asked = ("run", "demo", "--json")
    first = checked(g4local(*asked, *WILD, "Who are you?").stdout)
    found = str(first["session"])
    on = ("--session", found)
    tools = checked(g4local(*asked, *on, "--tools", "--yes", "What is 48 times 17?").stdout)
    assert [each["name"] for each in tools["tool_calls"]] == ["calculate"]
    g4local("chat", "demo", *on, *WILD, "--think", "--tool", "clock", stdin="hello\n/retry\n/set min_p 0.1\nso?\n")
    return found


def entry(g4local: Run, session: str) -> dict:
    return checked(g4local("sessions", "show", session, "--json").stdout)


def test_turns_are_said_again(g4local: Run, session: str) -> None:
    before = entry(g4local, session)
    last = {each["turn"]: each for each in before["messages"] if each["message"]["role"] == "assistant"}
    wild, with_tool, _, _, after_a_retry = last.values()
    assert len({turn["result"]["seed"] for turn in before["turns"]}) == 5
    for answer in (with_tool, after_a_retry):
        done = g4local("sessions", "replay", session, "--at", str(answer["number"]))
        assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "The same as then.")
        assert done.stdout.split() == answer["message"]["content"].split()
    result = checked(g4local("sessions", "replay", session, "--at", str(wild["number"]), "--json").stdout)
    assert (result["schema"], result["session"], result["same"]) == ("g4local.sessions.replay/1", session, True)
    assert (result["seed"], result["text"]) == (before["turns"][0]["result"]["seed"], wild["message"]["content"])
    assert entry(g4local, session) == before, "nothing is kept of it"


def test_another_answer_is_told_and_no_tool_is_run(
    g4local: Run, own: Run, session: str, environment: dict[str, str], own_home: Path
) -> None:
    home = own_home / "home"
    shutil.copytree(Path(environment["G4LOCAL_HOME"]) / "cache" / "converted", home / "cache" / "converted")
    assert g4local("sessions", "backup", str(home / "sessions.db")).returncode == 0
    with closing(sqlite3.connect(home / "sessions.db")) as store, store:
        store.execute("DROP TRIGGER messages_are_final")
        store.execute("UPDATE messages SET text = '4711' WHERE role = 'tool' AND text = '816'")
        first = entry(g4local, session)["turns"][0]
        other = json.dumps({**first["result"], "seed": (first["result"]["seed"] + 1) % 2**32})
        file = json.dumps({**first["settings"], "file": "old.gguf"})
        store.execute("UPDATE turns SET result = ?, settings = ? WHERE id = ?", (other, file, first["id"]))
    done = own("sessions", "replay", session, "--at", "2")
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == "Another answer than then."
    assert "it was old.gguf." in done.stderr
    assert "← 4711" in own("sessions", "replay", session, "--at", "5").stderr


def test_what_can_not_be_asked_again_is_one_sentence(own: Run, own_home: Path) -> None:
    assert "There is no session yet." in told(own("sessions", "replay"), 2)
    found = said(own_home / "home", "hi", "Hello.")
    assert "has no message 99" in told(own("sessions", "replay", found, "--at", "99"), 2)
    assert "No model's whole answer" in told(own("sessions", "replay", found), 2)
