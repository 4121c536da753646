"""Ctrl-C and the other goodbyes: the first one is a wish, the second one ends the program, whatever it is doing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from threading import Event

import pytest

from g4local.cli.interrupts import interruptible
from tests.backend.processes import within
from tests.cli.conftest import last_session
from tests.cli.test_faults import children, first_word, gone, running

Start = Callable[[Sequence[str]], subprocess.Popen[str]]

DEAF = """
import sys, time
from threading import Event
from g4local.cli.interrupts import interruptible
cancel = Event()
with interruptible(cancel):
    print("ready", flush=True)
    try:
        cancel.wait()
        print("wished", flush=True)
        while True:
            time.sleep(0.01)
    finally:
        print("left", flush=True)
"""
"""A program that hears the wish and does not follow it."""


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (signal.SIGTERM, signal.SIGTERM, 143),
        (signal.SIGHUP, signal.SIGHUP, 129),
        (signal.SIGHUP, signal.SIGTERM, 129),
        (signal.SIGINT, signal.SIGTERM, 143),
        (signal.SIGTERM, signal.SIGINT, 143),
    ],
)
def test_a_second_goodbye_leaves_at_once(
    first: signal.Signals, second: signal.Signals, code: int, environment: dict[str, str]
) -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        try:
            for word, number in (("ready\n", first), ("wished\n", second)):
                assert within(process.stdout.readline) == word
                process.send_signal(number)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (out, process.returncode) == ("left\n", code)


def test_a_first_goodbye_ends_after_the_block() -> None:
    cancel, ended = Event(), False
    with pytest.raises(SystemExit) as left, interruptible(cancel):
        os.kill(os.getpid(), signal.SIGTERM)
        ended = cancel.wait(60)
    assert ended and left.value.code == 143


def test_two_goodbyes_end_a_program_whose_engine_is_stuck_and_what_was_said_is_kept(
    started: Start, environment: dict[str, str]
) -> None:
    process = running(started)
    begin = first_word(process)
    [engine] = children(process)
    os.kill(engine, signal.SIGSTOP)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (129, "")
    assert gone(engine)
    assert [message.text for message in last_session(environment)] == ["tell me a story", begin + out]
