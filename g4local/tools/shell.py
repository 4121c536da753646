"""Running a shell command: bounded in time and output, without a terminal, and without the user's secrets.

It is not held to a folder: a command can do all that its user can. What it starts is ended with it (`supervisor`).
"""

import os
import selectors
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Annotated

from g4local.settings import SHELL_SECONDS
from g4local.tools.supervisor import KILLING_SECONDS, Lifeline, end_rest, lifeline, supervised, wake
from g4local.tools.tool import Tool, ToolError, tool

MOST_TOLD = 16 * 1024
"""Bytes of its output that are told: its beginning and its end."""
MOST_SAID = 10_000_000
"""Bytes of output after which it is ended."""

_CHUNK = 65536
_MOMENT = 0.05
"""Seconds between two looks at whether it is to end."""
_LEFT_CHUNKS = 16
"""That may still be in the pipe when it has ended."""
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")
_SET = {"TERM": "dumb", "NO_COLOR": "1", "PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}


def shell(root: Path, seconds: float = SHELL_SECONDS) -> Tool:
    """The tool that runs commands in the folder `root`, for so long at most."""

    @tool(changes=True)
    def run_shell(
        command: Annotated[str, "For sh, in the working folder."],
        cancel: Event,
        limit: Annotated[int | None, "Seconds that it has, if less."] = None,
    ) -> str:
        """Run a shell command."""
        if limit is not None and limit < 1:
            raise ToolError("A limit is at least 1 second.")
        return _ran(command, root, seconds if limit is None else min(seconds, limit), cancel)

    return replace(run_shell, description=f"Run a shell command; it has {seconds:g} seconds, and no input.")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a command finds in its environment: where programs and the user are, and the language."""
    kept = {name: value for name, value in environ.items() if name in _PASSED_ON or name.startswith("LC_")}
    return {**kept, **_SET}


def _ran(command: str, root: Path, seconds: float, cancel: Event) -> str:
    with lifeline() as line:
        process = _started(command, root, line)
        assert process.stdout is not None
        with process.stdout as pipe:
            said = _Said(pipe.fileno())
            try:
                why = _watched(process, said, seconds, cancel)
            finally:
                line.cut()
                _await(process)
            said.take_rest()
    if cancel.is_set():
        raise ToolError("stopped by the user")
    told = (said.text.rstrip("\n"), why or _ending(process.returncode))
    return "\n".join(part for part in told if part) or "[no output]"


def _started(command: str, root: Path, line: Lifeline) -> "subprocess.Popen[bytes]":
    try:
        process = subprocess.Popen(
            supervised(["/bin/sh", "-c", command], line.given),
            cwd=root,
            env=environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[line.given],
        )
    except OSError as error:
        raise ToolError(f"The command can't be run: {error.strerror}.") from error
    except ValueError as error:
        raise ToolError("The command can't be run: it holds a NUL.") from error
    line.pass_on()
    return process


def _watched(process: subprocess.Popen[bytes], said: "_Said", seconds: float, cancel: Event) -> str:
    """Take what the command says until it has ended, or must; why it must, or nothing."""
    end = monotonic() + seconds
    while process.poll() is None and not cancel.is_set():
        if monotonic() > end:
            return f"[ended: it took more than {seconds:g} seconds]"
        if said.nbytes > MOST_SAID:
            return f"[ended: it said more than {MOST_SAID:,} bytes]"
        said.take()
    return ""


def _await(process: subprocess.Popen[bytes]) -> None:
    """Wait until all is killed that the command started, also where it has killed or stopped what is to kill it."""
    end = monotonic() + 2 * KILLING_SECONDS
    while process.poll() is None and monotonic() < end:
        wake(process.pid)
        sleep(_MOMENT / 10)
    process.kill()
    if process.wait() == -signal.SIGKILL:
        end_rest(process.pid)


def _ending(code: int) -> str:
    if code < 0:
        return f"[ended by {signal.Signals(-code).name}]"
    return f"[exit code {code}]" if code else ""


class _Said:
    """The output of a command, of which the beginning and the end are kept."""

    def __init__(self, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self.nbytes = 0
        self._pipe = pipe
        self._open = True
        self._head = b""
        self._tail = b""

    def take(self) -> None:
        """Wait a moment for more, and take some."""
        with selectors.DefaultSelector() as selector:
            if self._open:
                selector.register(self._pipe, selectors.EVENT_READ)
            if selector.select(_MOMENT if self._open else _MOMENT / 10):  # what says no more ends soon
                self._read()

    def take_rest(self) -> None:
        """Take what is there already."""
        for _ in range(_LEFT_CHUNKS):
            if not self._open or not self._read():
                break

    @property
    def text(self) -> str:
        """What was said, without the middle of a long output."""
        left_out = self.nbytes - len(self._head) - len(self._tail)
        cut = f"\n[cut: {left_out:,} bytes]\n".encode() if left_out else b""
        return (self._head + cut + self._tail).decode("utf-8", "replace")

    def _read(self) -> bool:
        """Read what there is, up to a chunk; whether there was something."""
        try:
            data = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return False
        self._open = bool(data)
        self.nbytes += len(data)
        room = MOST_TOLD // 2 - len(self._head)
        self._head += data[:room]
        self._tail = (self._tail + data[room:])[-MOST_TOLD // 2 :]
        return bool(data)
