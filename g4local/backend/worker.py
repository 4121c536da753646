"""The child that owns llama.cpp: `python -m g4local.backend.worker`.

It reads frames on stdin and answers them on stdout, one job after the other; a second thread reads, so that a wish to
stop is seen at once. It ends with its stdin, or when its parent is gone. Whatever llama.cpp prints goes to stderr.

With `--describe` it prints what llama.cpp says of the machine, with `--probe on|off` it runs a small quantized model
with or without extra buffers, with `--constraint` it reads a Constraint as JSON on stdin and prints what is wrong with
it; all are over then. It needs no network, so none of its sockets can reach one.
"""

import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec, module_from_spec
from queue import SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic

from g4local.backend.engine import Constraint
from g4local.backend.process import frames
from g4local.backend.process.frames import Frame
from g4local.backend.process.gathering import gathered
from g4local.core import offline
from g4local.core.errors import G4Error
from g4local.core.progress import Progress

BEAT_SECONDS = 2.0
"""How often the child says that it lives while it has a job, and looks whether its parent does.

Usually it is the end of stdin that tells of the parent.
"""
WRITE_SECONDS = 2.0
"""How long the child may stay behind its parent to write snapshots."""


def main(arguments: Sequence[str]) -> None:
    """Serve the parent, or answer one of the three questions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _leave_out_the_package()
    requests, answers = _own_pipes()
    if arguments == ["--describe"]:
        os.write(answers, json.dumps(_description()).encode())
    elif arguments == ["--constraint"]:
        from g4local.backend.generation.grammar import complaint

        with os.fdopen(requests, "rb") as asked:
            os.write(answers, complaint(Constraint(**json.load(asked))).encode())
    elif arguments[:1] == ["--probe"]:
        from g4local.backend.host.machine import NO_PROBE
        from g4local.backend.llamacpp.probe import run

        try:
            run(extra_buffers=arguments[1:] == ["on"])
        except G4Error as error:
            raise SystemExit(error.message) from error
        except OSError as error:
            raise SystemExit(NO_PROBE) from error
    else:
        _Worker(requests, answers).serve()


def _description() -> Frame:
    """What llama.cpp says of the machine, and how many sockets its process has made on the way."""
    made: list[str] = []
    sys.addaudithook(lambda event, arguments: made.append(event) if event == "socket.__new__" else None)
    from g4local.backend.llamacpp.description import describe  # serving does not need it

    return asdict(describe(made))


def _leave_out_the_package() -> None:
    """Let llama_cpp's modules be imported without the package's own __init__: its high-level API takes 0.15 seconds."""
    package = find_spec("llama_cpp")
    if package is not None:
        sys.modules.setdefault("llama_cpp", module_from_spec(package))


def _own_pipes() -> tuple[int, int]:
    """Descriptors of the parent's pipes, out of reach of native code: 0 is empty from now on, 1 is the log."""
    requests, answers = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return requests, answers


class _Worker:
    """One parent's requests, and the model that they are about."""

    def __init__(self, requests: int, answers: int) -> None:
        from g4local.backend.llama import LlamaEngine  # loads llama.cpp, whose prints go to the log by now
        from g4local.backend.llamacpp.stop import StopFlag
        from g4local.backend.model.tokenizer import Tokenizer

        self._whole, self._words = LlamaEngine, Tokenizer
        self._engine: LlamaEngine | Tokenizer | None = None
        self._stop = StopFlag()
        self._lock = Lock()
        self._job = 0
        """The job at work, or the last one; jobs are numbered upwards."""
        self._works = False
        self._speaking = Lock()
        self._unwanted: set[int] = set()
        """Cancelled jobs that have not begun yet."""
        self._requests = requests
        self._answers = answers
        self._jobs: SimpleQueue[Frame] = SimpleQueue()
        self._is_answered = False
        """Whether the job at work has said its last frame, and only puts away what it has learnt."""
        self._at_rest = Event()

    def serve(self) -> None:
        """Answer until the parent ends it."""
        Thread(target=self._listen, daemon=True).start()
        while True:
            self._at_rest.set()
            frame = self._jobs.get()
            self._at_rest.clear()
            self._begin(frame["job"])
            try:
                self._answer(frame)
            except G4Error as error:
                self._say(frames.error(error))
            self._works = False

    def _answer(self, frame: Frame) -> None:
        match frame["do"]:
            case "start":
                if self._engine is not None:
                    self._engine.close()
                options = frames.options_from(frame["options"])
                if options.vocabulary_only:
                    self._engine = self._words(options, self._stop)
                else:
                    self._engine = self._whole(options, self._stop, self._report)
                self._say({"info": frames.info(self._engine.info)})
            case "tokenize":
                assert self._engine is not None
                self._say({"tokens": self._engine.tokenize(frames.prompt_from(frame["prompt"]))})
            case "generate":
                assert isinstance(self._engine, self._whole)
                prompt, sampling = frames.prompt_from(frame["prompt"]), frames.sampling_from(frame["sampling"])
                guidance = frames.guidance_from(frame["guidance"])
                said = self._engine.generate(prompt, sampling, frame["max_tokens"], self._report, guidance)
                for together in gathered(said):
                    self._say(frames.said(together))
            case "read":
                assert isinstance(self._engine, self._whole)
                self._engine.read(frames.prompt_from(frame["prompt"]))
            case measure:
                self._measure(measure, frame["request"])

    def _measure(self, measure: str, request: Frame) -> None:
        """Read a text with models of its own; needs numpy, which a chat does not."""
        if measure == "imatrix":
            from g4local.backend.measure.importance import summed

            for sums in summed(frames.sums_request_from(request), self._stop, self._report):
                self._say({"sums": frames.sums(sums)})
            self._say({"measured": {}})
        else:
            from g4local.backend.measure.divergence import compared

            comparison = compared(frames.comparison_request_from(request), self._stop, self._report)
            self._say({"measured": asdict(comparison)})

    def _report(self, progress: Progress) -> None:
        self._say(frames.progress(progress))

    def _say(self, frame: Frame) -> None:
        self._is_answered = not frames.LAST.isdisjoint(frame)
        data = memoryview(frames.encode({"job": self._job, **frame}))
        with self._speaking:
            while data:
                data = data[os.write(self._answers, data) :]

    def _say_alive(self) -> None:
        """Tell the parent that the job is still at work; while something else is being said, that is told by it."""
        if self._works and self._speaking.acquire(blocking=False):
            try:
                os.write(self._answers, frames.encode({"job": self._job, **frames.alive()}))
            finally:
                self._speaking.release()

    def _begin(self, job: int) -> None:
        with self._lock:
            self._job = job
            self._works = True
            self._is_answered = False
            self._stop.clear()
            if job in self._unwanted:
                self._stop.set()
            self._unwanted = {later for later in self._unwanted if later > job}

    def _cancel(self, job: int) -> None:
        with self._lock:
            if job == self._job:
                self._stop.set()
            elif job > self._job:
                self._unwanted.add(job)

    def _listen(self) -> None:
        """Take requests until the parent is gone; then end soon, whatever llama.cpp is doing."""
        code = 1
        try:
            self._take_requests()
            self._settle()
            code = 0
        finally:
            os._exit(code)

    def _take_requests(self) -> None:
        parent = os.getppid()
        pending: list[bytes] = []
        reading = 0  # the job that any other one ends
        while os.getppid() == parent:
            if not select.select([self._requests], [], [], BEAT_SECONDS)[0]:
                self._say_alive()
                continue
            data = os.read(self._requests, 1 << 16)
            if not data:
                break
            pending.append(data)
            if b"\n" not in data:
                continue
            *lines, rest = b"".join(pending).split(b"\n")
            pending = [rest]
            for line in lines:
                frame = frames.decode(line)
                if frame["do"] == "cancel":
                    self._cancel(frame["job"])
                    continue
                self._cancel(reading)
                reading = frame["job"] if frame["do"] == "read" else 0
                self._jobs.put(frame)

    def _settle(self) -> None:
        """Let what a job has left to be written come to the disk."""
        end = monotonic() + WRITE_SECONDS
        if self._is_answered:
            self._at_rest.wait(WRITE_SECONDS)
        if isinstance(self._engine, self._whole):
            self._engine.wait(max(0.0, end - monotonic()))


if __name__ == "__main__":
    offline.enforce()
    main(sys.argv[1:])
