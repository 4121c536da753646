"""How the program of a child is started; what the system says against a new process is an error like any other."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from g4local.core.errors import EngineError, reason

# -P: the working directory is the user's, and no place for modules.
WORKER = (sys.executable, "-P", "-m", "g4local.backend.worker")
"""The command of the child that runs llama.cpp."""

_OWN_GROUP = 0
"""A process group of its own, since a terminal's Ctrl-C is the parent's to handle."""


def running(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """A child with three pipes; EngineError when it can't be started."""
    with _told():
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            process_group=_OWN_GROUP,
        )


def finished(command: Sequence[str], seconds: float, asked: str = "") -> "subprocess.CompletedProcess[str]":
    """A child that has come to its end, and what it said; subprocess.TimeoutExpired, or EngineError as of `running`."""
    with _told():
        return subprocess.run(
            command,
            input=asked,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment(),
            process_group=_OWN_GROUP,
            timeout=seconds,
            check=False,
        )


def environment() -> Mapping[str, str]:
    """The environment of a child: ours, and two settings of llama.cpp's that the user may have set already.

    No debugger is started when it aborts, and a thread that waits for the others gives its core away after a
    millisecond or so: long enough for those that are just a little later, and not for all the time that another
    program takes (GNU's OpenMP waits five times as long).
    """
    return {"GGML_NO_BACKTRACE": "1", "GOMP_SPINCOUNT": "60000", **os.environ}


def refusal(error: Exception) -> EngineError:
    """The error for a process, or one of the threads that listen to it, that the system has no room for."""
    return EngineError(
        f"llama.cpp's process can't be started: {reason(error)}.",
        "Close other programs, or allow this one more: ulimit -a shows its limits.",
    )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise refusal(error) from error
