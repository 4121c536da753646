"""The folder of snapshots: what of it helps with a prompt, what is put into it, and what has to leave it for that.

Snapshots of what a state depends on (the model, llama.cpp, kinds of numbers) lie in a folder of their own. They are
found by the tokens in their headers. The least recently used ones leave first.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from g4local.backend.state import owners, snapshots
from g4local.backend.state.snapshots import SUFFIX, Damaged, Head, State
from g4local.core.progress import Progress, Report

DISK_SHARE = 4
"""Of the space that would be free without them, snapshots take no more than one part in so many."""
MOST_FILES = 256
"""More snapshots would make it slow to find one; only those of very small models are so many."""

Entry = tuple[Path, Head]


@dataclass(frozen=True, slots=True)
class Find:
    """Snapshots that give a beginning of a prompt."""

    length: int
    """Tokens of the prompt that need no decoding then."""
    whole: Entry
    sliding: Entry | None = None
    """The checkpoint to come back to, where the whole one goes on with other tokens."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A whole state, and the checkpoint in it to come back to."""

    tokens: list[int]
    state: State
    sliding: State | None = None
    logits: bytes = b""
    """What is said at the checkpoint; empty: not known."""


class Shelf:
    """The snapshots of one key; several processes may share the folder."""

    def __init__(self, folder: Path, key: str, budget: int, model: Path | None = None) -> None:
        """`budget`: bytes of the snapshots of all keys; `model` is noted beside the snapshots, where it is given."""
        self.complaints: list[str] = []
        """What was wrong with snapshots, one sentence each; the caller takes them out."""
        self.key = key
        """What the states depend on, the model first of all."""
        self._root = folder
        self._folder = folder / key[:16]
        self._budget = budget
        self._model = model

    def find(self, prompt: Sequence[int], context: int, most: int) -> Find | None:
        """What gives the longest beginning of the prompt and fits the context, in states of at most `most` bytes."""
        tokens = snapshots.packed(prompt)
        entries = [(entry, common(entry[1].tokens, tokens)) for entry in self._entries() if entry[1].state <= most]
        wholes = [
            (entry, shared) for entry, shared in entries if entry[1].kind == "whole" and entry[1].length <= context
        ]
        finds = [Find(min(shared, len(prompt) - 1), entry) for entry, shared in wholes if shared >= entry[1].length - 1]
        for mark, shared in entries:
            length = mark[1].length
            if mark[1].kind == "sliding" and shared >= length - 1 and length <= len(prompt) + 1:
                is_answered = mark[1].logits > 0 and shared == length == len(prompt)
                most_kept = min(shared, len(prompt) - (not is_answered))
                finds += [Find(min(most_kept, other), whole, mark) for whole, other in wholes if other >= length - 1]
        return max(finds, key=lambda found: (found.length, -_nbytes(found)), default=None)

    def load(self, found: Find, report: Report) -> Loaded | None:
        """Read what was found; None when it is damaged or gone by now."""
        done, total = 0, _nbytes(found)
        report(Progress("restore", done, total, "bytes"))

        def read_more(nbytes: int) -> None:
            nonlocal done
            done += nbytes
            report(Progress("restore", done, total, "bytes"))

        read = []
        for path, head in filter(None, (found.sliding, found.whole)):
            try:
                read.append(snapshots.read(path, head, read_more))
                os.utime(path)
            except Damaged as error:
                self._refuse(path, error)
                return None
            except OSError:
                return None
        (state, _), (sliding, logits) = read[-1], read[0] if found.sliding else (None, b"")
        return Loaded(snapshots.unpacked(found.whole[1].tokens), state, sliding, logits)

    def put(self, head: Head, state: State, logits: bytes) -> None:
        """Write a snapshot unless there is such a one; where there is no room, it is left out.

        A whole one that is there takes the place of those that it makes superfluous: the snapshot of a checkpoint leads
        back into it, to where their answer began.
        """
        path = self._folder / head.name
        with suppress(OSError):
            if path.is_file():
                os.utime(path)
            elif self._make_room(len(head.encoded()) + head.state + head.logits):
                snapshots.write(self._folder, head, state, logits)
            else:
                return
            if self._model:
                with suppress(OSError):
                    owners.note(self._folder, self._model)
            if head.kind == "whole":
                for other in self._superseded(head):
                    other.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what processes left behind that were killed while they wrote, and what is over the budget."""
        with suppress(OSError):
            self._make_room(0)
            for folder in self._root.iterdir():
                for part in snapshots.abandoned(folder):
                    part.unlink(missing_ok=True)

    def refuse(self, found: Find, why: str) -> None:
        """Remove what was found and loaded, and could not be used all the same."""
        for path, _ in filter(None, (found.whole, found.sliding)):
            self._refuse(path, Damaged(why))

    def _entries(self) -> Iterator[Entry]:
        with suppress(OSError):
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                try:
                    head = snapshots.head(path, self.key)
                except Damaged as error:
                    self._refuse(path, error)
                except OSError:
                    continue
                else:
                    yield path, head

    def _refuse(self, path: Path, error: Damaged) -> None:
        try:
            path.unlink(missing_ok=True)
            outcome = "is removed"
        except OSError as failure:
            outcome = f"can't be removed either ({failure.strerror})"
        self.complaints.append(f"A snapshot on the disk can't be used, {error}: {path.name} {outcome}.")

    def _superseded(self, new: Head) -> Iterator[Path]:
        entries = list(self._entries())
        marks = {head.tokens for _, head in entries if head.kind == "sliding"}
        for path, head in entries:
            beginning = head.tokens[: 4 * head.mark]
            if head.kind == "whole" and head != new and beginning in marks and new.tokens.startswith(beginning):
                yield path

    def _make_room(self, nbytes: int) -> bool:
        """Whether there is room for so many bytes, after the least recently used ones have left for it."""
        files = sorted((stat.st_mtime, stat.st_size, path) for path, stat in _files(self._root))
        taken = sum(size for _, size, _ in files)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(self._root).free
        budget = min(self._budget, (taken + free) // DISK_SHARE)
        if nbytes > budget:
            return False
        for count, (_, size, path) in enumerate(files):
            if taken + nbytes <= budget and len(files) - count < MOST_FILES:
                break
            path.unlink(missing_ok=True)
            taken -= size
        return True


def common(left: bytes, right: bytes) -> int:
    """How many packed tokens the two begin with in common."""
    same, most = 0, min(len(left), len(right)) // 4
    while same < most:
        middle = (same + most + 1) // 2
        if left[same * 4 : middle * 4] == right[same * 4 : middle * 4]:
            same = middle
        else:
            most = middle - 1
    return same


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All snapshots, of whatever key; those that are gone by now excepted, and folders that are called like one."""
    for path in folder.glob(f"*/*{SUFFIX}"):
        with suppress(OSError):
            if not path.is_dir():
                yield path, path.lstat()


def _nbytes(found: Find) -> int:
    return sum(head.state + head.logits for _, head in filter(None, (found.whole, found.sliding)))
