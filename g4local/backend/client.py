"""The Engine that the rest of g4local uses: llama.cpp in a child process, whose death is an error and no more."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from threading import Event, Lock

from g4local.backend import tuning
from g4local.backend.engine import FREE, Completion, EngineInfo, Guidance, LoadOptions, Piece, Sampling
from g4local.backend.process import frames
from g4local.backend.process.child import Child
from g4local.backend.process.idle import IdleClock
from g4local.backend.process.launch import WORKER
from g4local.core.errors import Cancelled
from g4local.core.progress import Report, silent
from g4local.core.prompt import Segment

_LOOK_SECONDS = 0.1
"""How late a wish to stop may be seen while another thread loads the model."""


class WorkerEngine:
    """An Engine whose child is started when it is needed, and again after it has died.

    Threads may share it: whoever comes while it loads waits for that.
    """

    def __init__(
        self,
        options: LoadOptions,
        *,
        cache: Path,
        logs: Path | None = None,
        command: tuple[str, ...] = WORKER,
        keep_alive: float = inf,
    ) -> None:
        """`cache` keeps the start probe's result, `logs` what llama.cpp says; `command` is the child's program.

        After `keep_alive` seconds without a request the model is freed; the next request loads it again.
        """
        self._options = options
        self._cache = cache
        self._logs = logs
        self._command = command
        self._child: Child | None = None
        self._info: EngineInfo | None = None
        self._loading = Lock()
        """Held by the thread that loads. Freeing takes no lock: the idle clock does it, which has one of its own."""
        self._closed = object()
        """Another one after each `close`."""
        self._idle = IdleClock(keep_alive, self._unload)

    @property
    def path(self) -> Path:
        """The model's GGUF."""
        return self._options.path

    @property
    def pid(self) -> int | None:
        """The child's process, while there is one."""
        child = self._child
        return child.pid if child is not None and child.lives else None

    def start(self, report: Report, cancel: Event) -> EngineInfo:
        """Load the model if it is not loaded; the errors of `Engine.start`."""
        if cancel.is_set():
            raise Cancelled("Loading the model was cancelled.")
        with self._idle.busy():
            return self._loaded(report, cancel)[1]

    def tokenize(self, prompt: Sequence[Segment], cancel: Event) -> list[int]:
        """The ids of a prompt; loads the model if it is not loaded. A cancelled one has to be loaded again."""
        if cancel.is_set():
            raise Cancelled("Reading the text was cancelled.")
        with self._idle.busy():
            child, _ = self._loaded(silent, cancel)
            frame = {"do": "tokenize", "prompt": frames.prompt(prompt)}
            tokens: list[int] = _only_answer(child, frame, "read a text", silent, cancel)["tokens"]
            return tokens

    def generate(
        self,
        prompt: Sequence[Segment],
        sampling: Sampling,
        max_tokens: int,
        report: Report,
        cancel: Event,
        guidance: Guidance = FREE,
    ) -> Generator[Piece | Completion, None, None]:
        """Continue the prompt, as `Engine.generate` says; loads the model if it is not loaded."""
        frame = {
            "do": "generate",
            "prompt": frames.prompt(prompt),
            "sampling": frames.sampling(sampling),
            "max_tokens": max_tokens,
            "guidance": frames.guidance(guidance),
        }
        with self._idle.busy():
            child, _ = self._loaded(report, cancel)
            with closing(child.results(frame, "answered", report, cancel)) as answers:
                for answer in answers:
                    yield from frames.said_from(answer)

    def read(self, prompt: Sequence[Segment]) -> None:
        """Let the child read how the next prompt will begin, as `Engine.read` says."""
        child = self._child
        if child is not None and self._info is not None and child.lives:
            child.tell({"do": "read", "prompt": frames.prompt(prompt)})

    def close(self) -> None:
        """End the child and free the model; the next start loads it again."""
        self._idle.stop()
        self._closed = object()
        self._unload()

    def _unload(self) -> None:
        child, self._child, self._info = self._child, None, None
        if child is not None:
            child.close()

    def _loaded(self, report: Report, cancel: Event) -> tuple[Child, EngineInfo]:
        with self._alone(cancel):
            child, info = self._child, self._info
            if child is not None and info is not None and child.lives:
                return child, info
            self._unload()
            return self._load(report, cancel)

    @contextmanager
    def _alone(self, cancel: Event) -> Iterator[None]:
        while not self._loading.acquire(timeout=_LOOK_SECONDS):
            if cancel.is_set():
                raise Cancelled("Loading the model was cancelled.")
        try:
            yield
        finally:
            self._loading.release()

    def _load(self, report: Report, cancel: Event) -> tuple[Child, EngineInfo]:
        """A new child; a `close` at any moment before it is there ends it."""
        closed, info = self._closed, None
        options = self._options
        if not options.vocabulary_only:
            options = replace(options, **asdict(tuning.setting(options, self._cache, self._command)))
        child = self._child = Child(self._command, self._logs)
        frame = {"do": "start", "options": frames.options(options)}
        try:
            if self._closed is not closed:
                raise Cancelled("The engine was closed.")
            answer = _only_answer(child, frame, f"loaded {options.path.name}", report, cancel)
            info = self._info = frames.info_from(answer["info"])
        finally:
            if info is None:
                self._child = None
                child.close()
        return child, info


def _only_answer(child: Child, frame: frames.Frame, doing: str, report: Report, cancel: Event) -> frames.Frame:
    """The answer to a job that can be in a call for long that nothing stops, so a cancel kills the child."""
    [answer] = child.results(frame, doing, report, cancel, patient=False)
    return answer
