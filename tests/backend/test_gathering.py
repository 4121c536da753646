"""Which pieces go to the parent together, and how long they may wait."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.backend.engine import Completion, Piece
from g4local.backend.process.gathering import MOMENT, gathered
from g4local.core.errors import EngineError

END = Completion("stop", 1, 5, 0, 3, 0.1, 0.1, 7)


class Clock:
    """A clock that a generation puts forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def said(self, gaps: list[float]) -> Iterator[Piece | Completion]:
        for token, gap in enumerate(gaps):
            self.now += gap
            yield Piece(token, str(self.now))
        yield END


def sizes(gaps: list[float]) -> list[int]:
    clock = Clock()
    return [len(each) for each in gathered(clock.said(gaps), lambda: clock.now) if isinstance(each, list)]


def test_slow_pieces_go_one_by_one() -> None:
    assert sizes([0.1] * 20) == [1] * 20


def test_quick_pieces_go_together_once_they_have_been_quick_for_a_while() -> None:
    told = sizes([0.0006] * 200)
    assert told[:7] == [1] * 7
    assert len(told) < 30 and max(told) >= 13


def test_the_end_of_a_burst_does_not_wait_for_the_next_one() -> None:
    assert sizes([0.1, 0, 0, 0] * 10) == [1] * 40


@given(st.lists(st.floats(0, 3 * MOMENT), max_size=60))
def test_nothing_is_lost_nor_out_of_order_nor_late(gaps: list[float]) -> None:
    clock = Clock()
    tokens: list[int] = []
    for each in gathered(clock.said(gaps), lambda: clock.now):
        if isinstance(each, list):
            tokens += [piece.token for piece in each]
            slowest = max(gaps[each[0].token : each[-1].token + 1])
            assert clock.now - float(each[0].text) <= MOMENT + slowest
        else:
            assert each == END
    assert tokens == list(range(len(gaps)))


def test_what_was_said_before_an_error_is_told() -> None:
    def failing() -> Iterator[Piece | Completion]:
        yield from (Piece(token, "") for token in range(20))
        raise EngineError("It broke.")

    told: list[Piece] = []
    with pytest.raises(EngineError):
        for each in gathered(failing(), lambda: 0.0):
            assert isinstance(each, list)
            told += each
    assert [piece.token for piece in told] == list(range(20))
