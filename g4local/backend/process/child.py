"""A child process that answers frames, and what its death means in words."""

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import IO

from g4local.backend.process import frames
from g4local.backend.process.frames import Frame
from g4local.core.errors import EngineDied
from g4local.core.progress import Report

# -P: the working directory is the user's, and no place for modules.
WORKER = (sys.executable, "-P", "-m", "g4local.backend.worker")
"""The command of the child that runs llama.cpp."""

LOG_LINES = 50
LOG_BYTES = 1 << 20
"""A log file longer than this is put aside (one is kept) when a child starts."""

SILENCE_SECONDS = 120.0
"""A child that has a job says every other second that it lives; one that is silent for so long is stuck and is killed.

So much patience is for machines that swap.
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
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            # A terminal's Ctrl-C is the parent's to handle.
            process_group=0,
        )
        self.pid = self._process.pid
        self._logs = logs
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._jobs = count(1)
        self._answers: dict[int, SimpleQueue[Frame | None]] = {}
        self._over = False
        self._heard = 0
        """Lines that it has said."""
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        works = (self._read_answers, self._read_log, self._write)
        self._threads = [Thread(target=work, daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    @property
    def lives(self) -> bool:
        """Whether the process still runs."""
        return not self._over and self._process.poll() is None

    def ask(self, frame: Frame, doing: str, cancel: Event, *, patient: bool = True) -> Generator[Frame, None, None]:
        """Send a job and yield its answers, the last one included; EngineDied when the child dies of it.

        `cancel` is told to the child as soon as it is set, and so is the end of the iteration before its last answer;
        a child that we are not patient with is killed instead, and so is one that does not even say that it lives.
        `doing` completes "while it ..." in an error's sentence.
        """
        job = next(self._jobs)
        answers: SimpleQueue[Frame | None] = SimpleQueue()
        self._answers[job] = answers
        if self._over:
            answers.put(None)
        is_open, told = True, False
        silence = _Silence(self._heard)
        try:
            self._send({"job": job, **frame})
            while is_open:
                if cancel.is_set() and not told:
                    self._cancel(job, patient)
                    told = True
                seconds = _TOLD_SECONDS if told else _POLL_SECONDS
                try:
                    answer = answers.get(timeout=seconds)
                except Empty:
                    if silence.lasts(self._heard, seconds) > SILENCE_SECONDS:
                        is_open = False
                        raise self._stuck(doing) from None
                    continue
                if answer is None:
                    is_open = False
                    raise self._death(doing)
                is_open = frames.LAST.isdisjoint(answer)
                yield answer
        finally:
            del self._answers[job]
            if is_open and not told:
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
        self._outgoing.put(None)
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(_EXIT_SECONDS)

    def kill(self) -> None:
        """End the process without waiting for it."""
        self._process.kill()

    def _cancel(self, job: int, patient: bool) -> None:
        if patient:
            self._send({"job": job, "do": "cancel"})
        else:
            self.kill()

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

    def _stuck(self, doing: str) -> EngineDied:
        self.kill()
        self.close()
        return EngineDied(
            f"llama.cpp's process did not answer for {SILENCE_SECONDS:.0f} seconds while it {doing}, and was ended.",
            "Ask again, which starts it anew.",
            signal=signal.SIGKILL,
            log=tuple(self._log),
        )

    def _death(self, doing: str) -> EngineDied:
        self.close()
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


class _Silence:
    """How long a child has said nothing, in seconds that its parent has seen.

    No clock is asked: while the machine sleeps, or the parent is stopped, nobody listens, and no child is at fault.
    """

    def __init__(self, heard: int) -> None:
        self._heard = heard
        self._seconds = 0.0

    def lasts(self, heard: int, seconds: float) -> float:
        """The silence so far, after `seconds` more of waiting; `heard` counts what the child has said."""
        self._seconds = self._seconds + seconds if heard == self._heard else 0.0
        self._heard = heard
        return self._seconds


def ended(code: int) -> str:
    """How a process ended, from its return code: "was ended by SIGSEGV (Segmentation fault)"."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name} ({signal.strsignal(-code)})"
    return f"was ended by signal {-code}"


def environment() -> Mapping[str, str]:
    """The environment of a child: ours, and two settings of llama.cpp's that the user may have set already.

    No debugger is started when it aborts, and a thread that waits for the others gives its core away after a
    millisecond or so: long enough for those that are just a little later, and not for all the time that another
    program takes (GNU's OpenMP waits five times as long).
    """
    return {"GGML_NO_BACKTRACE": "1", "GOMP_SPINCOUNT": "60000", **os.environ}


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
