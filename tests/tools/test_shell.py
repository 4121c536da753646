"""Shell commands as real processes: bounded, without secrets, and gone when they are over."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest

from g4local.core.messages import Json
from g4local.tools import shell
from g4local.tools.tool import ToolError

LONG = 300.0
LEAVE = """
import os, sys
name = sys.argv[-1]
if sys.argv[1] == "daemon" and (os.fork() or os.setsid() or os.fork()):
    os._exit(0)
if sys.argv[1] == "daemon":
    os.closerange(0, 100)
else:
    os.setsid()
with open(name, "w") as file:
    file.write(f"{os.getpid()}\\n")
os.execvp("sleep", ["sleep", "1000"])
"""
"""A program that gets out of its process group, and perhaps away from its parent."""

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who was orphaned where")


def ran(root: Path, command: str, seconds: float = LONG, cancel: Event | None = None) -> str:
    return str(shell.shell(root, seconds).run({"command": command}, cancel or Event()))


def ended(pid: int) -> bool:
    """Whether a process is over."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def gone(pid: int) -> bool:
    """Whether it is, after as long as that takes a busy machine."""
    end = monotonic() + 60
    while not ended(pid) and monotonic() < end:
        sleep(0.01)
    return ended(pid)


def written_pid(file: Path) -> int:
    end = monotonic() + 60
    while monotonic() < end:
        if file.exists() and file.read_text().endswith("\n"):
            return int(file.read_text())
        sleep(0.01)
    raise AssertionError(f"nothing wrote {file}")


def test_what_it_says_is_told_with_how_it_ended(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("tea")
    assert ran(tmp_path, "cat notes.txt") == "tea"
    assert ran(tmp_path, "echo out; echo err >&2; exit 3") == "out\nerr\n[exit code 3]"
    assert ran(tmp_path, "true") == "[no output]"
    assert ran(tmp_path, "kill -SEGV $$") == "[ended by SIGSEGV]"
    assert ran(tmp_path, "no-such-program 2>/dev/null") == "[exit code 127]"
    assert ran(tmp_path, r"printf '\377\033[2J'") == "\ufffd\x1b[2J"


def test_it_runs_in_the_working_folder(tmp_path: Path) -> None:
    assert Path(ran(tmp_path, "pwd -P")) == tmp_path.resolve()


def test_it_finds_no_secret_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "MY_PASSWORD", "G4LOCAL_HOME")
    for name in secrets:
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("LC_TIME", "C")
    said = ran(tmp_path, "env")
    assert "hunter2" not in said
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert {"PATH", "LC_TIME", "TERM"} <= names
    assert not names & set(secrets)


def test_it_has_no_terminal_and_no_input(tmp_path: Path) -> None:
    assert ran(tmp_path, "cat; test -t 0 || test -t 1 || test -t 2 || echo none") == "none"
    assert ran(tmp_path, "(: < /dev/tty) 2>/dev/null && echo terminal || echo none") == "none"


def test_no_descriptor_is_inherited(tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        assert ran(tmp_path, f"test -e /proc/self/fd/{secret} && echo inherited || echo none") == "none"
    finally:
        os.close(secret)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    said = ran(tmp_path, "echo begun; sh -c 'trap \"\" TERM INT HUP; echo $$ > pid; sleep 1000' & sleep 1000", 1.5)
    assert said == "begun\n[ended: it took more than 1.5 seconds]"
    assert gone(written_pid(tmp_path / "pid"))


def test_a_wish_to_stop_ends_it_with_all_that_it_started(tmp_path: Path) -> None:
    cancel = Event()
    stopper = Thread(target=lambda: (written_pid(tmp_path / "pid"), cancel.set()))
    stopper.start()
    with pytest.raises(ToolError, match="stopped by the user"):
        ran(tmp_path, "sh -c 'trap \"\" TERM INT HUP; echo $$ > pid; sleep 1000' & sleep 1000", cancel=cancel)
    stopper.join()
    assert gone(written_pid(tmp_path / "pid"))


def test_what_is_left_in_the_background_neither_keeps_it_nor_stays(tmp_path: Path) -> None:
    assert ran(tmp_path, "sleep 1000 & echo $! > pid; echo done") == "done"
    assert gone(written_pid(tmp_path / "pid"))


@only_linux
def test_what_leaves_the_group_does_not_stay_either(tmp_path: Path) -> None:
    """One holds the output in a session of its own; a daemon has left it, and its parent, too."""
    (tmp_path / "leave.py").write_text(LEAVE)
    wait = "while ! test -s held; do sleep 0.01; done; while ! test -s daemon; do sleep 0.01; done"
    assert ran(tmp_path, f"python3 leave.py held & python3 leave.py daemon; {wait}; echo done") == "done"
    assert gone(written_pid(tmp_path / "held")) and gone(written_pid(tmp_path / "daemon"))


@only_linux
def test_a_crowd_that_leaves_the_group_is_found(tmp_path: Path) -> None:
    (tmp_path / "leave.py").write_text(LEAVE)
    many = "for n in $(seq 20); do python3 leave.py daemon $n; done"
    wait = "for n in $(seq 20); do while ! test -s $n; do sleep 0.01; done; done"
    assert ran(tmp_path, f"{many}; {wait}") == "[no output]"
    assert all(gone(written_pid(tmp_path / str(number))) for number in range(1, 21))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_ends_with_the_program_however_that_ends(tmp_path: Path, number: int) -> None:
    (tmp_path / "leave.py").write_text(LEAVE)
    begin = "echo $$ > shell; trap '' TERM INT HUP; (sleep 1000 & echo $! > child)"
    command = f"{begin}; python3 leave.py daemon; sleep 1000"
    arguments = ["tools", "call", "run_shell", json.dumps({"command": command}), "--folder", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-m", "g4local", *arguments], env=environment) as program:
        names = ("shell", "child", "daemon") if sys.platform == "linux" else ("shell", "child")
        pids = [written_pid(tmp_path / name) for name in names]
        assert not any(ended(pid) for pid in pids)
        program.send_signal(number)
    assert all(gone(pid) for pid in pids)


BUSY = "trap '' TERM INT HUP; (sleep 1000 & echo $! > child); python3 leave.py daemon; echo $PPID > inner; sleep 1000"
"""Leaves a process in its group and one that left it; then tells what supervises it."""
WATCHING = [("inner",), ("outer",), ("inner", "outer"), ("inner", "program"), ("outer", "program")]
"""Of the two that supervise a command and the program, those that come to an end."""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@only_linux
@pytest.mark.parametrize("victims", WATCHING, ids="+".join)
def test_a_command_ends_also_when_what_supervises_it_is_killed(tmp_path: Path, victims: tuple[str, ...]) -> None:
    """One is left, and that is enough; where that is the program, it does not find what has left the session."""
    (tmp_path / "leave.py").write_text(LEAVE)
    arguments = [
        "tools",
        "call",
        "run_shell",
        json.dumps({"command": f"echo $$ > shell; {BUSY}"}),
        "--folder",
        str(tmp_path),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-m", "g4local", *arguments], env=environment) as program:
        inner = written_pid(tmp_path / "inner")
        watching = {"inner": inner, "outer": parent(inner), "program": program.pid}
        left = {name: written_pid(tmp_path / name) for name in ("shell", "child", "daemon")}
        assert parent(watching["outer"]) == program.pid and not any(ended(pid) for pid in left.values())
        for number in (signal.SIGSTOP, signal.SIGKILL):  # none sees another's end
            for name in victims:
                os.kill(watching[name], number)
    daemon = left.pop("daemon") if "inner" in victims and "outer" in victims else 0
    assert all(gone(pid) for pid in left.values())
    if daemon:
        os.kill(daemon, signal.SIGKILL)
    else:
        assert gone(watching["inner"]) and gone(watching["outer"])


@only_linux
@pytest.mark.parametrize("frozen", [("inner",), ("outer",), ("inner", "outer")], ids="+".join)
def test_a_command_ends_also_when_what_supervises_it_was_stopped(tmp_path: Path, frozen: tuple[str, ...]) -> None:
    (tmp_path / "leave.py").write_text(LEAVE)
    cancel = Event()

    def freeze() -> None:
        inner = written_pid(tmp_path / "inner")
        for pid in ({"inner": inner, "outer": parent(inner)}[name] for name in frozen):
            os.kill(pid, signal.SIGSTOP)
        cancel.set()

    freezer = Thread(target=freeze)
    freezer.start()
    with pytest.raises(ToolError, match="stopped by the user"):
        ran(tmp_path, f"echo $$ > shell; {BUSY}", cancel=cancel)
    freezer.join()
    assert all(gone(written_pid(tmp_path / name)) for name in ("shell", "child", "daemon", "inner"))


def test_a_shorter_limit_may_be_asked_for_and_a_longer_one_is_none(tmp_path: Path) -> None:
    tool = shell.shell(tmp_path, 1.5)
    assert "1.5 seconds" in tool.description
    for limit, told in ((1, "1"), (1000, "1.5")):
        arguments: dict[str, Json] = {"command": "sleep 1000", "limit": limit}
        assert tool.run(arguments, Event()) == f"[ended: it took more than {told} seconds]"
    assert tool.run({"command": "echo x", "limit": None}, Event()) == "x"
    with pytest.raises(ToolError, match="at least"):
        tool.run({"command": "true", "limit": 0}, Event())


def test_a_long_output_is_cut_in_the_middle(tmp_path: Path) -> None:
    said = ran(tmp_path, "echo begin; head -c 100000 /dev/zero | tr '\\0' x; echo; echo end")
    assert said.startswith("begin\nxxx") and said.endswith("xxx\nend")
    assert "\n[cut: 83,627 bytes]\n" in said
    assert len(said) < shell.MOST_TOLD + 50


def test_a_flood_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "MOST_SAID", 1_000_000)
    said = ran(tmp_path, "yes")
    assert said.endswith("[ended: it said more than 1,000,000 bytes]")
    assert len(said) < shell.MOST_TOLD + 200


def test_what_can_not_be_run_is_told(tmp_path: Path) -> None:
    for command, word in (("echo \0", "NUL"), (": " + "x" * 3_000_000, "can't be run")):
        with pytest.raises(ToolError, match=word):
            ran(tmp_path, command)
    with pytest.raises(ToolError, match="can't be run"):
        ran(tmp_path / "gone", "true")
