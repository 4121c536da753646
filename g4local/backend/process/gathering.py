"""Pieces that come quicker than anybody reads go to the parent together: each write wakes a process up."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter

from g4local.backend.engine import Completion, Piece
from g4local.core.errors import G4Error

MOMENT = 0.008
"""Seconds that a piece may wait."""

_LOOKED_AT = 8
"""Newest pieces that say how quickly they come."""


def gathered(
    said: Iterable[Piece | Completion], clock: Callable[[], float] = perf_counter
) -> Iterator[list[Piece] | Completion]:
    """What a generation yields, with neighbouring pieces in one list.

    Nothing is held back while one of the last pieces took long: drafts come in bursts, and the end of a burst must not
    wait for the next one.
    """
    pieces: list[Piece] = []
    told = last = clock()
    gaps = deque([MOMENT] * _LOOKED_AT, maxlen=_LOOKED_AT)
    try:
        for each in said:
            if isinstance(each, Completion):
                if pieces:
                    yield pieces
                pieces = []
                yield each
                continue
            pieces.append(each)
            now = clock()
            gaps.append(now - last)
            last = now
            if now - told >= MOMENT or max(gaps) >= MOMENT:
                yield pieces
                pieces, told = [], now
    except G4Error:
        if pieces:
            yield pieces
        raise
