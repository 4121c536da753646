"""A cache whose states outlive its process: prompts go on from snapshots where those reach further than the memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread

from g4local.backend.state import snapshots
from g4local.backend.state.cache import Cache, Checkpoint
from g4local.backend.state.shelf import Find, Shelf
from g4local.backend.state.snapshots import Head, State
from g4local.core.progress import Report

LEAST_TOKENS = 128
"""A snapshot has to save so many tokens more than the memory does."""
READ_BYTES = 400_000_000
"""A second of reading, on a disk that is not quick."""
WORTH = 2
"""A snapshot is to be read in one part in so many of the time that its tokens would take, or less."""

_PACE_TOKENS = 8
"""Fewer tokens say nothing about how long many take."""
_TRIES = 4
"""Snapshots that are tried for one prompt; one that is damaged is followed by the next best."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where snapshots are kept, and how much of them."""

    folder: Path
    budget: int
    """Bytes on the disk, of all models."""
    copy_bytes: int
    """Most bytes that one state may take in memory while it is written or read."""
    model: Path
    """The GGUF that the states are of."""


class Resumption:
    """A cache's way to the disk and back. States are copied by the caller's thread and written by another one."""

    def __init__(self, cache: Cache, context: int, place: Place | None, key: Callable[[], str]) -> None:
        """`key` tells what states depend on, and is asked once it is needed; without a place, nothing is kept."""
        self._cache = cache
        self._context = context
        self._place = place
        self._key = key
        self._shelf: Shelf | None = None
        self._writer: _Writer | None = None
        self._kept = 0
        """Tokens of the last prompt that were not decoded."""
        self._token_seconds = 0.0
        """What a token of a long prompt takes; 0: not known yet."""

    def keep(self, prompt: Sequence[int], report: Report) -> int:
        """As `Cache.keep`, with a snapshot in the memory's place if that saves more."""
        if self._place is not None and len(prompt) > LEAST_TOKENS:
            for _ in range(_TRIES):
                found = self._better(prompt, self._place)
                if found is None or self._is_restored(found, self._shelf_of(self._place), report):
                    break
        self._kept = self._cache.keep(prompt)
        return self._kept

    def paced(self, tokens: int, seconds: float) -> None:
        """Note how long so many tokens of a prompt took."""
        if tokens >= _PACE_TOKENS:
            self._token_seconds = seconds / tokens

    def save(self, mark: int) -> None:
        """Have snapshots written of what the memory holds and of the prompt's checkpoints, where that pays.

        `mark` is the length at which the answer began, for the next prompt to come back to; 0: there is none.
        """
        if self._place is None or not self._pays():
            return
        state = self._cache.whole(self._place.copy_bytes)
        if state is None:
            return
        shelf, tokens = self._shelf_of(self._place), snapshots.packed(self._cache.tokens)
        writer = self._writer = self._writer or _Writer(shelf)
        for length, checkpoint in self._cache.checkpoints.items():
            if length >= self._kept:
                logits = checkpoint.logits or b""
                beginning = snapshots.packed(self._cache.tokens[:length])
                head = Head(shelf.key, "sliding", beginning, len(checkpoint.state), len(logits))
                writer.put(head, checkpoint.state, logits)
        mark = mark if mark in self._cache.checkpoints else 0
        writer.put(Head(shelf.key, "whole", tokens, len(state), mark=mark), state, b"")

    def complaints(self) -> list[str]:
        """What was wrong with snapshots since this was asked last."""
        complaints: list[str] = []
        if self._shelf is not None:
            complaints, self._shelf.complaints = self._shelf.complaints, complaints
        more = f" Nor can {len(complaints) - 1} others." if len(complaints) > 1 else ""
        return [f"{complaints[0]}{more}"] if complaints else []

    def wait(self, seconds: float) -> None:
        """Let what is being written come to its end, for so long at most."""
        if self._writer is not None:
            self._writer.wait(seconds)

    def _better(self, prompt: Sequence[int], place: Place) -> Find | None:
        """The snapshot that saves more than the memory does."""
        length = self._cache.keepable(prompt).length
        if len(prompt) - length < LEAST_TOKENS:
            return None
        found = self._shelf_of(place).find(prompt, self._context, place.copy_bytes)
        return found if found is not None and found.length - length >= LEAST_TOKENS else None

    def _is_restored(self, found: Find, shelf: Shelf, report: Report) -> bool:
        loaded = shelf.load(found, report)
        if loaded is None:
            return False
        checkpoints = {}
        if found.sliding is not None and loaded.sliding is not None:
            checkpoints[found.sliding[1].length] = Checkpoint(loaded.sliding, loaded.logits or None)
        if not self._cache.adopt(loaded.tokens, loaded.state, checkpoints):
            shelf.refuse(found, "llama.cpp does not take it")
            return False
        return True

    def _pays(self) -> bool:
        seconds = len(self._cache.tokens) * self._token_seconds
        is_quicker = WORTH * self._cache.nbytes() / READ_BYTES <= seconds
        return len(self._cache.tokens) >= LEAST_TOKENS and (is_quicker or not self._token_seconds)

    def _shelf_of(self, place: Place) -> Shelf:
        if self._shelf is None:
            self._shelf = Shelf(place.folder, self._key(), place.budget, place.model)
        return self._shelf


class _Writer:
    """A thread that writes snapshots, the newest whole state instead of those that wait."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._waiting: list[tuple[Head, State, bytes]] = []
        self._is_writing = False
        self._changed = Condition()
        Thread(target=self._run, daemon=True).start()

    def put(self, head: Head, state: State, logits: bytes) -> None:
        """Have it written soon; it is not to be changed from now on."""
        with self._changed:
            if head.kind == "whole":
                self._waiting = [item for item in self._waiting if item[0].kind != "whole"]
            self._waiting.append((head, state, logits))
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Return when nothing is left to be written, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._is_writing), seconds)

    def _run(self) -> None:
        self._shelf.tidy()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                item = self._waiting.pop(0)
                self._is_writing = True
            try:
                self._shelf.put(*item)
            finally:
                del item
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()
