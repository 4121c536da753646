"""Which part of the last prompt's cache the next prompt may keep: numbers in, a decision out.

A sliding layer keeps the keys and values of a window of the newest positions only, and some more by chance. llama.cpp
lets one cut such a cache back to any length, says that it worked, and then computes with what is gone as if it had
never been. So whether a shorter length can be continued exactly is decided here, from the oldest position kept.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

CLOSE = 8
"""So many tokens may be decoded once more rather than that a checkpoint is taken."""
_LONG_BATCHES = 4
"""A prompt that takes so many batches has a checkpoint near its end, for one that only ends differently."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """How the cache is brought to a beginning of the prompt."""

    length: int
    """Tokens of the prompt that need no decoding; the cache is cut back to them."""
    checkpoint: int | None = None
    """The checkpoint, by its length, that has to be restored before."""


def reuse(
    cached: Sequence[int],
    prompt: Sequence[int],
    oldest: int,
    window: int,
    checkpoints: Collection[int],
    is_answered: bool = False,
) -> Reuse:
    """The longest beginning of the prompt that can be continued exactly.

    `oldest` is the oldest position in the sliding cache (-1: it is empty), `window` the model's (0: none slides),
    `checkpoints` the lengths at which its state was saved. At least one token of the prompt is left to be decoded,
    since only decoding gives logits, unless those of the whole prompt are known (`is_answered`).
    """
    length = min(common(cached, prompt), len(prompt) if is_answered else len(prompt) - 1)
    if oldest < 0 or length <= 0:
        return Reuse(0)
    if is_exact(length, oldest, window):
        return Reuse(length)
    # A checkpoint holds the window before its length, which is enough for that length and the one before.
    usable = [saved for saved in checkpoints if saved <= length + 1]
    if not usable:
        return Reuse(0)
    return Reuse(min(length, max(usable)), checkpoint=max(usable))


def is_exact(length: int, oldest: int, window: int) -> bool:
    """Whether a cache cut back to `length` still has all that position `length` looks at."""
    return window == 0 or oldest <= max(0, length - window + 1)


def common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens the two begin with in common."""
    shorter = min(len(left), len(right))
    return next((i for i in range(shorter) if left[i] != right[i]), shorter)


def cuts(start: int, end: int, marks: Iterable[int], batch: int) -> list[int]:
    """Where the batches of a prompt decoded from `start` end: at each mark, at each multiple of `batch`, and at `end`.

    Counted from the prompt's beginning and not from `start`, so that a prompt is cut alike whatever was reused.
    """
    multiples = range(start - start % batch + batch, end, batch)
    return sorted({*multiples, *(mark for mark in marks if start < mark < end), end} - {start})


def stops(start: int, end: int, marks: Iterable[int], batch: int) -> set[int]:
    """Where checkpoints are taken in a prompt that is decoded from `start`: at its marks, and late in a long one.

    A mark that comes within CLOSE tokens is taken at `start` instead, which saves a decode; the end, whose logits are
    worth keeping, is not moved.
    """
    wanted = {mark if mark - start > CLOSE or mark == end else start for mark in marks if mark >= start}
    if end - start >= _LONG_BATCHES * batch:
        wanted.add((end - batch // 4) // batch * batch)
    return wanted - {0}
