"""A child process that answers frames, and what its death means in words."""

import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Generator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import IO

from g4local.backend.process import frames, launch
from g4local.backend.process.frames import Frame
from g4local.core.errors import Cancelled, EngineDied, G4Error
from g4local.core.progress import Report

LOG_LINES = 50
LOG_BYTES = 1 << 20
"""A log file longer than this is put aside (one is kept) when a child starts."""

SILENCE_SECONDS = 120.0
"""A child that has a job says every other second that it lives; one that is silent for so long is stuck and is killed.

So much patience is for machines that swap.
"""
STOP_SECONDS = 10.0
"""A child that goes on for so long after it has been told to stop is killed, which costs the loaded model and no word.

llama.cpp looks between two nodes of its graph whether it is to stop; one node takes a slow machine a second or two.
"""

_POLL_SECONDS = 0.02
"""How late a wish to stop may be seen while the child is busy."""
_TOLD_SECONDS = 0.5
"""How often the child is looked after once it has been told to stop."""
_EXIT_SECONDS = 3
"""How long a child may take to end after its stdin has ended, before it is killed."""

_TELLING = re.compile(r"GGML_ASSERT|GGML_ABORT|what\(\)|^\w+(Error|Exception)\b|^libgomp: |^OpenBLAS error: ")
"""Lines of a log that tell why a process has ended itself."""
_LAST_LINES = 5
_ENDED_ITSELF = (-signal.SIGABRT, 1)
"""Return codes of a process that could tell why."""

OUT_OF_MEMORY = "bad_alloc|MemoryError|[Mm]emory allocation|insufficient memory|Thread creation failed"
"""What C++, Python and their libraries say of it, as a regular expression."""
_MEMORY_HINT = "Most likely the memory was full: try a smaller context (--ctx) or a smaller quant."
_HINTS = {
    signal.SIGKILL: _MEMORY_HINT,
    signal.SIGSEGV: "Ask again, which starts it anew. If it dies again, g4local doctor tells what can run here.",
    signal.SIGBUS: "The model's file has become shorter while it was in use, or its disk fails; look after it first.",
    signal.SIGILL: "llama.cpp was built for another processor; install llama-cpp-python again on this machine.",
}


class Child:
    """A running child; closed by `close`, which also reaps one that has died.

    The end of an `ask` may run at any moment, in the middle of whatever its thread does, when an iteration that nobody
    needs any more is collected; so it waits for no lock.
    """

    def __init__(self, command: tuple[str, ...], logs: Path | None) -> None:
        """Start it; EngineError where there is no room for another process."""
        self._process = launch.running(command)
        self.pid = self._process.pid
        self._logs = logs
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._jobs = count(1)
        self._answers: dict[int, SimpleQueue[Frame | None]] = {}
        self._over = False
        self._is_dismissed = False
        """Whether it was ended from here, while it lived."""
        self._heard = 0
        """Lines that it has said."""
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        works = (self._read_answers, self._read_log, self._write)
        self._threads = [Thread(target=work, daemon=True) for work in works]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            self._process.kill()
            with self._process:  # closes the pipes that no thread closes
                raise launch.refusal(error) from error

    @property
    def lives(self) -> bool:
        """Whether the process still runs."""
        return not self._over and self._process.poll() is None

    def ask(self, frame: Frame, doing: str, cancel: Event, *, patient: bool = True) -> Generator[Frame, None, None]:
        """Send a job and yield its answers, the last one included.

        EngineDied when the child dies of it, Cancelled when it is ended from here. `cancel` is told to the child as
        soon as it is set, and so is the end of the iteration before its last answer; a child that we are not patient
        with is killed instead, and so is one that does not stop, or does not even say that it lives. `doing` completes
        "while it ..." in an error's sentence.
        """
        job = next(self._jobs)
        answers: SimpleQueue[Frame | None] = SimpleQueue()
        self._answers[job] = answers
        if self._over:
            answers.put(None)
        is_open = True
        waiting = _Waiting(self._heard)
        try:
            self._send({"job": job, **frame})
            while is_open:
                if cancel.is_set() and not waiting.told:
                    self._cancel(job, patient)
                    waiting.told = True
                for answer in waiting.listen(answers, is_next=min(self._answers.copy()) == job):
                    is_open = answer is not None and frames.LAST.isdisjoint(answer)
                    if answer is None:
                        raise self._death(doing)
                    yield answer
                if is_open and (complaint := waiting.complaint(self._heard)):
                    is_open = False
                    raise self._stuck(complaint, doing, waiting.told)
        finally:
            del self._answers[job]
            if is_open and not waiting.told:
                self._cancel(job, patient)

    def results(
        self, frame: Frame, doing: str, report: Report, cancel: Event, *, patient: bool = True
    ) -> Generator[Frame, None, None]:
        """The answers of `ask` without progress, which is reported, and without an error, which is raised."""
        with closing(self.ask(frame, doing, cancel, patient=patient)) as answers:
            for answer in answers:
                if "progress" in answer:
                    report(frames.progress_from(answer))
                elif "error" in answer:
                    raise frames.error_from(answer)
                else:
                    yield answer

    def tell(self, frame: Frame) -> None:
        """Send a job that has no answer."""
        self._send({"job": next(self._jobs), **frame})

    def close(self) -> None:
        """End the process, at once if it does not end by itself, and leave nothing of it."""
        self._is_dismissed = self._is_dismissed or self.lives
        self._reap()

    def _reap(self) -> None:
        self._outgoing.put(None)
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_SECONDS)
        finally:  # also when another Ctrl-C ends the waiting
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(_EXIT_SECONDS)

    def _cancel(self, job: int, patient: bool) -> None:
        if patient:
            self._send({"job": job, "do": "cancel"})
        else:
            self._is_dismissed = self._is_dismissed or self.lives
            self._process.kill()

    def _send(self, frame: Frame) -> None:
        """Have a frame written; a child that is dead is found out by its answers' end, one that does not read by its
        silence."""
        self._outgoing.put(frames.encode(frame))

    def _write(self) -> None:
        """Hand the child one frame after the other, then end its stdin."""
        with suppress(OSError):
            while (line := self._outgoing.get()) is not None:
                pipe = _pipe(self._process.stdin)
                pipe.write(line)
                pipe.flush()
        with suppress(OSError):
            _pipe(self._process.stdin).close()

    def _read_answers(self) -> None:
        try:
            with _pipe(self._process.stdout) as lines:
                for line in lines:
                    self._heard += 1
                    frame = frames.decode(line)
                    answers = self._answers.get(frame["job"])
                    if answers is not None and frames.ALIVE not in frame:
                        answers.put(frame)
        finally:
            self._over = True
            for waiting in self._answers.copy().values():
                waiting.put(None)

    def _read_log(self) -> None:
        with _log_file(self._logs) as file, _pipe(self._process.stderr) as lines:
            for line in lines:
                self._log.append(line.decode("utf-8", "replace").rstrip())
                with suppress(OSError):
                    file.write(line)

    def _stuck(self, complaint: str, doing: str, told: bool) -> G4Error:
        self._process.kill()
        self._reap()
        message = f"llama.cpp's process {complaint} while it {doing}, and was ended."
        if told:
            return Cancelled(message, "Ask again, which loads the model anew.")
        return EngineDied(message, "Ask again, which starts it anew.", signal=signal.SIGKILL, log=tuple(self._log))

    def _death(self, doing: str) -> G4Error:
        self._reap()
        if self._is_dismissed:
            return Cancelled(f"llama.cpp was stopped while it {doing}.")
        code = self._process.returncode
        log = tuple(self._log)
        told = _last_words(log, code)
        number = -code if code < 0 else None
        hint = _HINTS.get(signal.Signals(number)) if number in set(signal.Signals) else None
        if code in _ENDED_ITSELF and re.search(OUT_OF_MEMORY, "\n".join(log[-_LAST_LINES:])):
            hint = _MEMORY_HINT
        return EngineDied(
            f"llama.cpp's process {ended(code)} while it {doing}{f': {told}' if told else ''}.",
            hint or "Ask again, which starts it anew.",
            signal=number,
            log=log,
        )


class _Waiting:
    """How long a job has been waited for, in seconds in which its parent has listened.

    While the machine sleeps, or the parent is stopped, nobody listens, and no child is at fault.
    """

    def __init__(self, heard: int) -> None:
        self.told = False
        """Whether the child has been told to stop."""
        self._heard = heard
        self._listened = 0.0
        self._silent = 0.0
        self._disobeyed = 0.0

    def listen(self, answers: "SimpleQueue[Frame | None]", *, is_next: bool) -> list[Frame | None]:
        """The next answer, if there is one within a moment; None is the child's end.

        A job that waits for another one (`is_next` is false) can't obey yet.
        """
        seconds = _TOLD_SECONDS if self.told else _POLL_SECONDS
        began = monotonic()
        try:
            return [answers.get(timeout=seconds)]
        except Empty:
            return []
        finally:
            self._listened = min(monotonic() - began, seconds)
            self._disobeyed += self._listened if self.told and is_next else 0.0

    def complaint(self, heard: int) -> str:
        """What the child is ended for; empty while there is nothing. `heard` counts what it has said."""
        self._silent = self._silent + self._listened if heard == self._heard else 0.0
        self._heard = heard
        if self._disobeyed > STOP_SECONDS:
            return f"did not stop for {STOP_SECONDS:.0f} seconds"
        return f"did not answer for {SILENCE_SECONDS:.0f} seconds" if self._silent > SILENCE_SECONDS else ""


def ended(code: int) -> str:
    """How a process ended, from its return code: "was ended by SIGSEGV (Segmentation fault)"."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name} ({signal.strsignal(-code)})"
    return f"was ended by signal {-code}"


def _last_words(log: tuple[str, ...], code: int) -> str:
    """The line of a log that tells why a process ended itself; none for a signal from elsewhere."""
    if code not in _ENDED_ITSELF:
        return ""
    telling = [line for line in log if _TELLING.search(line)]
    return re.sub(r"^\S*/", "", telling[-1]).strip().rstrip(".") if telling else ""


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _log_file(logs: Path | None) -> IO[bytes]:
    """The log file to append to; one that can't be written is none."""
    with suppress(OSError):
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
            file = logs / "engine.log"
            if file.exists() and file.stat().st_size > LOG_BYTES:
                file.replace(logs / "engine.log.1")
            return file.open("ab", buffering=0)
    return Path(os.devnull).open("ab", buffering=0)
