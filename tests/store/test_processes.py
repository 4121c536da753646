"""Two processes that write one store, and are killed at any moment: what was acknowledged is there."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from g4local.core.messages import Message
from g4local.store.store import Store

WRITER = """
import random, sys
from pathlib import Path
from g4local.core.messages import Message
from g4local.store import upkeep
from g4local.store.store import Store

pick = random.Random(int(sys.argv[2]))
with Store(Path(sys.argv[1])) as store:
    while True:
        sessions = [each for each in store.sessions(5) if each.title != "short"]
        chosen = store.resume(pick.choice(sessions).id) if sessions and pick.random() < 0.9 else None
        text = " ".join(pick.choice(("pelican", "walrus", "heron")) * pick.randint(1, 9) for _ in range(20))
        with store.writing():
            name, turn = chosen.id if chosen else store.start(text), store.begin_turn({"model": "demo"})
            head = store.append(name, chosen.head if chosen else None, Message("user", text), turn=turn)
            store.move_head(name, head)
            store.keep_draft(None, name, head, turn, [Message("assistant", "half a reply")])
        print(head, flush=True)
        if chosen and pick.random() < 0.05:
            upkeep.fork(store, chosen, None)
        if pick.random() < 0.3:  # asked again: all that there is of this turn is a draft
            with store.writing():
                store.keep_draft(None, name, head, store.begin_turn({}), [Message("assistant", "a")])
            with store.writing():
                short = store.start("short")
                store.move_head(short, store.append(short, None, Message("user", text), turn=store.begin_turn({})))
            upkeep.remove(store, [store.find(short)])
"""


def write_and_kill(path: Path, seconds: float, between: float) -> set[int]:
    """Two writers, one of which is killed and started again from time to time; the messages that they acknowledged."""
    pick = random.Random(1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    outputs: list[Path] = []  # one file each: a killed writer leaves half a line, which no other may go on with

    def started() -> subprocess.Popen[bytes]:
        outputs.append(path.parent / f"acknowledged-{len(outputs)}")
        command = [sys.executable, "-c", WRITER, str(path), str(pick.randrange(2**30))]
        with outputs[-1].open("wb") as output:
            return subprocess.Popen(command, stdout=output, env=environment)

    writers = [started(), started()]
    end = monotonic() + seconds
    try:
        while monotonic() < end:
            sleep(between * (0.5 + pick.random()))
            victim = pick.randrange(2)
            writers[victim].kill()
            assert writers[victim].wait() == -signal.SIGKILL
            writers[victim] = started()
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    lines = (line for output in outputs for line in output.read_text().splitlines(keepends=True))
    return {int(line) for line in lines if line.endswith("\n")}


def check(path: Path, acknowledged: set[int]) -> None:
    with Store(path) as store:
        assert store.rows("PRAGMA integrity_check") == [("ok",)]
        assert store.rows("PRAGMA foreign_key_check") == []
        with store.writing():
            store.database.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 0)")
        assert {row[0] for row in store.rows("SELECT id FROM messages")} >= acknowledged
        for session in store.sessions():
            resumed = store.resume(session.id)
            assert len(store.path_to(resumed.head)) == resumed.messages
        assert store.rows("SELECT count(*) FROM drafts") == [(0,)]


def test_two_writers_that_are_killed_lose_no_message_that_they_acknowledged(tmp_path: Path) -> None:
    acknowledged = write_and_kill(tmp_path / "sessions.db", 3, 0.6)
    assert len(acknowledged) > 20
    check(tmp_path / "sessions.db", acknowledged)


@pytest.mark.reference
def test_two_writers_that_are_killed_every_second_for_a_minute_lose_nothing(tmp_path: Path) -> None:
    acknowledged = write_and_kill(tmp_path / "sessions.db", 60, 1)
    assert len(acknowledged) > 1000
    check(tmp_path / "sessions.db", acknowledged)


def test_many_processes_can_begin_a_store_at_the_same_moment(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from g4local.store.store import Store\n"
        "with Store(Path(sys.argv[1])) as store:\n"
        "    with store.writing(): store.start('hello')"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "sessions.db")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, env=environment) for _ in range(6)]
    assert [process.wait(60) for process in processes] == [0] * 6
    with Store(tmp_path / "sessions.db") as store:
        assert len(store.sessions()) == 6


def test_a_reader_sees_no_half_of_what_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with Store(path) as writer, Store(path) as reader:
        with writer.writing():
            name = writer.start("title")
            writer.move_head(name, writer.append(name, None, Message("user", "hi")))
            assert reader.sessions() == []
        assert [session.messages for session in reader.sessions()] == [1]
