"""Tokens that may come next, guessed so that several are checked in one batch: that takes less time than one by one.

A draft changes no answer: each position is sampled as ever, and what differs from its draft ends the batch's use. How
many are drafted, and whether any, follows from counts alone and never from a clock, so that a seed repeats its answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from g4local.backend.engine import MOST_DRAFTS
from g4local.backend.fit.shape import Shape

_LENGTHS = (1, 3, MOST_DRAFTS)
"""How many are drafted, of these as many as can pay."""
_CREDIT = 1.0
"""What drafts may lose at first, in tokens' time, or else what the first of them costs."""
_RISK = 0.01
"""What they may lose for each token said after that, as a part of its time."""
_SAVED = 8.0
"""Of what they have gained, what they may lose again."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What drafts cost, in tokens' time."""

    row: float
    """A further row of a batch."""
    rows: float
    """All further rows together, at most."""
    draft: float = 0.0
    """The drafting of each."""
    first: float = 0.0
    """What there is to pay once for all further rows, where there are any."""

    def of(self, count: int) -> float:
        """The cost of so many drafts."""
        return min(self.first + count * self.row, self.rows) + count * self.draft if count else 0.0


REPACKED = Cost(0.43, 5.5)
"""Measured with E2B as Q4_K_M on a CPU: 2 rows take 1.3 of a single one, 4 take 2.3, 16 take 6.4."""
AS_THEY_ARE = Cost(0.55, 5.0, first=0.45)
"""The same with weights that are not repacked: 2 rows take 2.0, 4 take 3.0, 9 to 16 take 5.5 to 6.0."""
MIXTURE = Cost(0.6, 8.0)
"""A guess: each row of a mixture wants experts of its own."""


class Drafter(Protocol):
    """Something that guesses how a text goes on."""

    def begin(self, text: Sequence[int]) -> None:
        """Start anew with a prompt."""

    def feed(self, token: int) -> None:
        """Add a token that was said."""

    def draft(self, row: int, most: int) -> list[int]:
        """At most so many tokens; the last one fed was sampled from this row of the target's last batch."""


def row_cost(shape: Shape, *, repacked: bool) -> Cost:
    """What further rows of a batch cost a model."""
    if shape.experts_used:
        return MIXTURE
    return REPACKED if repacked else AS_THEY_ARE


class Pace:
    """How many tokens to draft.

    As many as held the last time and more, and none while a purse is empty: what a draft costs is paid from it, what a
    draft that holds saves is put into it. So drafts never lose more than the credit and _RISK allow, and while they are
    wrong, one is tried now and then.
    """

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self.least = next((count for count in range(1, MOST_DRAFTS) if cost.of(count) < count), MOST_DRAFTS)
        """The fewest drafts that pay when all of them hold."""
        self._lengths = [length for length in _LENGTHS if cost.of(length) < length] or [MOST_DRAFTS]
        self._purse = max(_CREDIT, cost.of(self._lengths[0]))
        self._length = self._lengths[0]

    @property
    def most(self) -> int:
        """Tokens to draft now."""
        return max((length for length in self._lengths if length <= self._length and self._pays(length)), default=0)

    def said(self) -> None:
        """Note that a token was said."""
        self._earn(_RISK)

    def tell(self, drafted: int, held: int) -> None:
        """Note how many of the last drafts held."""
        self._earn(held - self._cost.of(drafted))
        self._length = next((length for length in self._lengths if length > held), MOST_DRAFTS)

    def _pays(self, length: int) -> bool:
        return self._cost.of(length) <= self._purse

    def _earn(self, gain: float) -> None:
        self._purse = min(self._purse + gain, _SAVED)


@dataclass(slots=True)
class Drafts:
    """The drafts of one reply."""

    drafter: Drafter
    pace: Pace
    drafted: int = 0
    accepted: int = 0

    def feed(self, token: int) -> None:
        """Note a token that was said."""
        self.drafter.feed(token)
        self.pace.said()

    def draft(self, row: int, most: int) -> list[int]:
        """What may follow that token, which was sampled from this row of the last batch."""
        most = min(most, self.pace.most)
        drafts = self.drafter.draft(row, most) if most > 0 else []
        if len(drafts) < self.pace.least:
            return []
        self.drafted += len(drafts)
        return drafts

    def tell(self, drafted: int, held: int) -> None:
        """Note how many of the last drafts held."""
        self.accepted += held
        self.pace.tell(drafted, held)
