"""The conversations that are kept, from the command line."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from g4local.cli import main
from g4local.cli.completion import sessions as completed
from g4local.core.messages import Message
from g4local.opening import keeping
from g4local.opening.request import Request
from g4local.settings import paths
from g4local.store.store import Store
from tests.backend.processes import wait_until
from tests.cli.conftest import Finished, Run
from tests.outputs import checked

Command = Callable[..., Finished]
GREEDY = ("--temp", "0", "-n", "12", "--seed", "1")
HOSTILE = "\x1b[31mred\x07 \x9b2J\rover\u202e"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process, in the test's own home."""

    def run(*arguments: str) -> Finished:
        monkeypatch.setattr(sys, "argv", ["g4local", *arguments])
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO()))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return Finished(arguments, code if isinstance(code, int) else 0, out, err)

    return run


def said(home: Path, *texts: str, title: str = "") -> str:
    """A session in which these were said in turn by a user and a model."""
    with Store(home / "sessions.db") as store, store.writing():
        turn = store.begin_turn({"model": "demo", "system": "Be brief."})
        session, head = store.start(title or texts[0]), None
        for number, text in enumerate(texts):
            message = Message("assistant" if number % 2 else "user", text)
            head = store.append(session, head, message, turn=turn)
        store.move_head(session, head)
    return session


def the_json(finished: Finished) -> dict[str, Any]:
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("\n") == 1
    return checked(finished.stdout)


def test_run_is_kept_and_gone_on_with(
    g4local: Run, command: Command, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("G4LOCAL_HOME", environment["G4LOCAL_HOME"])
    first = json.loads(g4local("run", "demo", "hello", "--system", "Be brief.", "--json", *GREEDY).stdout)
    second = json.loads(g4local("run", "demo", "And", "you?", "-c", "--json", *GREEDY).stdout)
    assert first["session"] == second["session"]
    assert second["usage"]["prompt"] > first["usage"]["prompt"] + 5
    shown = the_json(command("sessions", "show", first["session"], "--json"))
    assert [entry["message"]["role"] for entry in shown["messages"]] == ["user", "assistant"] * 2
    assert shown["messages"][3]["message"]["content"] == second["text"]
    assert {turn["settings"]["system"] for turn in shown["turns"]} == {"Be brief."}
    assert [turn["result"]["seed"] for turn in shown["turns"]] == [1, 1]

    alone = json.loads(g4local("run", "-c", "And in short?", "--no-save", "--json", *GREEDY).stdout)
    assert (alone["model"], alone["error"]) == ("demo", None) and alone["usage"]["prompt"] > second["usage"]["prompt"]
    for model in ("demo", "26b", "dem"):  # those are none: a model here, one of the hub, one that is misspelt
        assert "There is no question." in g4local("run", "-c", model, "--no-save").stderr

    third = json.loads(g4local("run", "demo", "Bye", "-c", "--no-save", "--json", *GREEDY).stdout)
    assert third["session"] is None
    assert third["usage"]["prompt"] > second["usage"]["prompt"]
    assert the_json(command("sessions", "show", first["session"], "--json")) == shown

    chat = g4local("chat", "--session", first["session"][:5], *GREEDY, stdin="More?\n/undo\n")
    assert "Going on after 4 messages.\n  You: And you?\n  Model: " in chat.stderr
    assert f"g4local chat --session {first['session']} goes on with it." in chat.stderr
    assert chat.stderr.startswith("demo, 4,096 tokens of context.")
    shown = the_json(command("sessions", "show", "--json"))
    assert shown["id"] == first["session"]
    assert (shown["message_count"], len(shown["messages"])) == (4, 6)
    assert shown["head"] == shown["messages"][3]["id"]


def test_a_kill_leaves_what_was_said_until_shortly_before_it(
    started: Callable[..., subprocess.Popen[str]],
    command: Command,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("G4LOCAL_HOME", environment["G4LOCAL_HOME"])
    asked = f"Tell me everything, {time.time()}"
    process = started(
        ["chat", "demo", "--ctx", "0", "--regex", "([a-z]{3,9} ){4000}", "--no-loop-guard", "--seed", "1"]
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{asked}\n")
    process.stdin.flush()
    said = os.read(process.stdout.fileno(), 1 << 16)

    def is_drafted() -> bool:
        with Store(Path(environment["G4LOCAL_HOME"]) / "sessions.db") as store:
            last = store.last()
            return last.title == asked and store.draft(last) != []

    assert wait_until(is_drafted, 60)
    process.kill()
    while piece := os.read(process.stdout.fileno(), 1 << 16):
        said += piece
    shown = the_json(command("sessions", "show", "--json"))
    assert [entry["message"]["content"] for entry in shown["messages"]] == [asked]
    kept = shown["draft"][0]["content"]
    printed = said.decode(errors="replace")  # a piece is kept before it is printed
    assert kept and (printed.startswith(kept) or kept.startswith(printed))
    assert the_json(command("sessions", "show", shown["id"], "--json"))["turns"][0]["result"] is None


def test_a_session_is_gone_on_with_as_it_was_unless_flags_say_otherwise(own_home: Path) -> None:
    with Store(own_home / "sessions.db") as store, store.writing():
        settings = {"model": "demo", "thinking": True, "ctx": 512, "tools": ["clock", "gone"], "system": "Be brief."}
        turn, session = store.begin_turn(settings), store.start("hi")
        store.move_head(session, store.append(session, None, Message("user", "hi"), turn=turn))
    with keeping.opened(Request("", go_on=True), raw=False) as kept:
        request = kept.request
        assert (request.model, request.think, request.ctx, request.tool) == ("demo", True, 512, ["clock"])
    given = Request("", go_on=True, think=False, ctx=4096, tool=["calculate"], system="Be long.")
    with keeping.opened(given, raw=False) as kept:
        assert kept.request == replace(given, model="demo")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("chat", "-c"), 2),
        (("chat", "--session", "abc"), 2),
        (("chat",), 2),
        (("run", "demo", "hi", "-c", "--session", "abc"), 2),
        (("run", "demo", "hi", "-c", "--raw"), 2),
        (("sessions", "show"), 2),
        (("sessions", "show", "nothing"), 2),
        (("sessions", "rm"), 2),
        (("sessions", "rm", "--all"), 2),
        (("sessions", "fork", "nothing"), 2),
        (("sessions", "backup", "/nowhere/copy.db"), 2),
        (("sessions", "search", "x"), 2),
        (("sessions", "import", "nothing"), 2),
    ],
)
def test_nonsense_is_one_sentence_and_a_hint(command: Command, arguments: tuple[str, ...], code: int) -> None:
    finished = command(*arguments)
    assert [line.split(":")[0] for line in finished.stderr.splitlines()] == ["error", "hint"], finished.stderr
    assert (finished.returncode, finished.stdout) == (code, "")


def test_without_sessions_nothing_is_listed_and_nothing_is_made(command: Command, own_home: Path) -> None:
    assert the_json(command("sessions", "ls", "--json")) == {
        "schema": "g4local.sessions.ls/1",
        "total": 0,
        "sessions": [],
    }
    finished = command("sessions")
    assert (finished.returncode, finished.stdout) == (0, "")
    assert finished.stderr == "There is no session yet; g4local chat demo begins one.\n"
    assert list(own_home.iterdir()) == []


def test_sessions_are_listed_found_forked_and_removed(command: Command, own_home: Path) -> None:
    first, second = said(own_home, "about pelicans", "They fly."), said(own_home, "about herons", "They wait.")
    listed = the_json(command("sessions", "ls", "--json"))["sessions"]
    assert [(each["id"], each["title"], each["model"], each["message_count"]) for each in listed] == [
        (second, "about herons", "demo", 2),
        (first, "about pelicans", "demo", 2),
    ]
    assert command("sessions", "ls").stdout.splitlines()[1].split()[-3:] == ["demo", "about", "herons"]

    hits = the_json(command("sessions", "search", "pelican", "--json"))["hits"]
    assert [(hit["session"], hit["snippet"]) for hit in hits] == [(first, "about pelicans")]

    forked = the_json(command("sessions", "fork", first, "--at", str(hits[0]["number"]), "--json"))
    assert forked["forked_from"] == first
    assert "They fly." not in command("sessions", "show", forked["session"]).stdout
    assert "They fly." in command("sessions", "show", first).stdout

    assert the_json(command("sessions", "rm", first, second, "--json"))["removed"] == [first, second]
    assert [each["id"] for each in the_json(command("sessions", "ls", "--json"))["sessions"]] == [forked["session"]]
    assert completed(forked["session"][:3]) == [(forked["session"], "about pelicans")]


def test_a_list_that_is_cut_off_says_so_and_sessions_alone_is_the_list(command: Command, own_home: Path) -> None:
    for number in range(23):
        said(own_home, f"question {number}")
    finished = command("sessions")
    assert (finished.returncode, len(finished.stdout.splitlines())) == (0, 21)
    assert finished.stderr == "20 of 23; --all shows the rest.\n"
    assert command("sessions", "ls").stdout == finished.stdout
    whole = command("sessions", "ls", "--all")
    assert (len(whole.stdout.splitlines()), whole.stderr) == (24, "")
    told = the_json(command("sessions", "ls", "--limit", "3", "--json"))
    assert (told["total"], len(told["sessions"])) == (23, 3)


def test_a_search_without_hits_says_so(command: Command, own_home: Path) -> None:
    said(own_home, "about pelicans")
    finished = command("sessions", "search", "herons")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "Nothing was found.\n")


def test_messages_have_numbers_from_1_which_forks_take(command: Command, own_home: Path) -> None:
    said(own_home, "another", "Yes.")
    session = said(own_home, "first", "One.", "second", "Two.")
    lines = command("sessions", "show", session).stdout.splitlines()
    assert [line for line in lines if line.startswith("## ")][1:] == [
        "## 1. You",
        "## 2. Model",
        "## 3. You",
        "## 4. Model",
    ]
    fork = the_json(command("sessions", "fork", session, "--at", "2", "--json"))["session"]
    told = the_json(command("sessions", "show", fork, "--json"))
    assert [(entry["number"], entry["message"]["content"]) for entry in told["messages"]] == [(1, "first"), (2, "One.")]
    finished = command("sessions", "fork", session, "--at", "5")
    assert (finished.returncode, finished.stdout) == (2, "")


def test_sessions_are_removed_by_age_or_altogether_and_what_that_costs_is_told(
    command: Command, own_home: Path
) -> None:
    old, new, newest = (said(own_home, text) for text in ("old", "new", "newest"))
    with Store(own_home / "sessions.db") as store, store.writing():
        store.database.execute("UPDATE sessions SET updated = updated - 40 * 86400 WHERE id = ?", (old,))
    snapshot = paths(os.environ).snapshots / "key" / "whole.g4snap"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_bytes(b"12345")
    assert command("sessions", "rm", "--older-than", "soon").returncode == 2
    assert command("sessions", "rm", "--all", old).returncode == 2
    told = the_json(command("sessions", "rm", "--older-than", "30d", "--keep-snapshots", "--json", "--yes"))
    assert (told["removed"], told["snapshots"], snapshot.exists()) == ([old], 0, True)
    assert command("sessions", "rm", "--older-than", "30d").stderr == "No session is so old.\n"
    finished = command("sessions", "rm", new)
    assert finished.stdout == f"removed {new}  new\n" and "The snapshot (5 B) removed" in finished.stderr
    assert not snapshot.exists()
    assert the_json(command("sessions", "rm", "--all", "--json", "--yes"))["removed"] == [newest]


def test_an_answer_that_was_cut_off_in_its_thought_is_no_empty_heading(command: Command, own_home: Path) -> None:
    session = said(own_home, "first", "")
    assert "## 2. Model\n\n*(no answer)*\n" in command("sessions", "show", session).stdout


def test_branches_are_listed_by_their_ends(command: Command, own_home: Path) -> None:
    session = said(own_home, "first", "One.")
    with Store(own_home / "sessions.db") as store, store.writing():
        store.append(session, store.path_to(store.find(session).head)[0].id, Message("assistant", "Another."))
    shown = command("sessions", "show", session, "--branches")
    lines = shown.stdout.splitlines()
    assert shown.stderr == "* is where the session goes on.\n"
    assert [line.split()[1:] for line in lines[1:]] == [["*", "Model", "One."], ["Model", "Another."]]


@pytest.mark.parametrize("form", ["md", "json", "jsonl"])
def test_sessions_are_exported(command: Command, own_home: Path, form: str) -> None:
    texts = ("say ```this``` and\n# that", "````\ncode\n````")
    session = said(own_home, *texts)
    said(own_home, "another")
    exported = command("sessions", "export", session, "--format", form).stdout
    if form == "md":
        assert exported.startswith("# say ```this``` and # that\n\n*")
        assert all(text in exported for text in texts)
    elif form == "json":
        assert exported == command("sessions", "show", session, "--json").stdout
    else:
        assert checked(exported)["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": texts[0]},
            {"role": "assistant", "content": texts[1]},
        ]
        everything = command("sessions", "export", "--all", "--format", form).stdout.splitlines()
        assert [len(checked(line)["messages"]) for line in everything] == [3, 2]


@pytest.mark.parametrize(
    "arguments", [("ls",), ("show",), ("show", "--branches"), ("search", "red"), ("export", "--all"), ("rm", "ID")]
)
def test_what_was_said_cannot_steer_the_terminal(
    command: Command, own_home: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    session = said(own_home, HOSTILE, f"red {HOSTILE}", title=HOSTILE)
    with Store(own_home / "sessions.db") as store, store.writing():
        turn = store.begin_turn({"model": HOSTILE})
        store.move_head(session, store.append(session, store.find(session).head, Message("user", HOSTILE), turn=turn))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    finished = command("sessions", *(session if word == "ID" else word for word in arguments))
    assert finished.returncode == 0
    assert "red" in finished.stdout
    assert not set(finished.stdout + finished.stderr) & set("\x1b\x07\x9b\r")


def test_conversations_of_other_programs_are_taken_in_once(command: Command, own_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "conversations"
    folder.mkdir()
    content = [{"type": "text", "text": HOSTILE}, {"type": "file"}]
    conversation = {"name": HOSTILE, "messages": [{"versions": [{"role": "user", "content": content}]}]}
    (folder / "1.conversation.json").write_text(json.dumps(conversation), encoding="utf-8")
    first = the_json(command("sessions", "import", str(folder), "--json"))
    assert [entry["title"] for entry in first["imported"]] == [" ".join(HOSTILE.split())]
    assert (first["known"], first["left_out"], first["failed"]) == (0, 1, [])
    assert the_json(command("sessions", "import", str(folder), "--json"))["known"] == 1

    (folder / "0.conversation.json").write_text("{", encoding="utf-8")
    finished = command("sessions", "import", str(folder))
    assert finished.returncode == 1
    assert finished.stdout == "imported 0 sessions; 1 are here already or are empty\n"
    assert "0.conversation.json is no JSON" in finished.stderr

    conversation["messages"][0]["versions"][0]["content"] = [{"type": "file"}]  # type: ignore[index]
    (folder / "0.conversation.json").write_text(json.dumps(conversation), encoding="utf-8")
    told = command("sessions", "import", str(folder / "0.conversation.json")).stderr
    assert told == "warning: 1 part that is no text was left out (images, files, what tools did).\n"


def test_a_session_without_a_model_asks_for_one(command: Command, own_home: Path, tmp_path: Path) -> None:
    said(own_home, "hi")
    with Store(own_home / "sessions.db") as store, store.writing():
        session = store.start("hello")
        store.move_head(session, store.append(session, None, Message("user", "hello")))
    finished = command("chat", "-c")
    assert finished.returncode == 2
    assert "does not tell its model" in finished.stderr


def test_a_backup_is_told(command: Command, own_home: Path) -> None:
    said(own_home, "hi")
    told = the_json(command("sessions", "backup", str(own_home / "copy.db"), "--json"))
    assert told["bytes"] == (own_home / "copy.db").stat().st_size


def test_a_damaged_store_costs_no_answer(g4local: Run, environment: dict[str, str], tmp_path: Path) -> None:
    environment = {**environment, "G4LOCAL_SAVE": "1"}
    store = Path(environment["G4LOCAL_HOME"]) / "sessions.db"
    aside = store.rename(tmp_path / "aside") if store.exists() else None
    try:
        store.write_bytes(b"These are no sessions. " * 1000)
        result = json.loads(g4local("run", "demo", "hello", "--json", *GREEDY).stdout)
        assert result["text"]
        assert result["session"] is None
        assert "not saved" in result["warnings"][0]
        finished = g4local("sessions", "ls")
        assert (finished.returncode, finished.stdout) == (1, "")
        assert str(store) in finished.stderr
    finally:
        store.unlink()
        if aside:
            aside.rename(store)
