"""The decision what of a cache may be kept, against a cache that is played through position by position."""

from hypothesis import assume, given
from hypothesis import strategies as st

from g4local.backend.state import prefix
from g4local.backend.state.prefix import Reuse

TOKENS = st.lists(st.integers(0, 2), max_size=40)


def needed(length: int, window: int) -> range:
    """The positions that position `length` looks at in a sliding layer, itself excepted."""
    return range(max(0, length - window + 1), length)


@given(cached=TOKENS, prompt=TOKENS.filter(bool), window=st.integers(1, 12), slack=st.integers(0, 8), data=st.data())
def test_whatever_is_kept_has_every_position_that_the_next_token_looks_at(
    cached: list[int], prompt: list[int], window: int, slack: int, data: st.DataObject
) -> None:
    oldest = max(0, len(cached) - window - slack) if cached else -1
    checkpoints = data.draw(st.sets(st.integers(1, len(cached)))) if cached else set()
    decision = prefix.reuse(cached, prompt, oldest, window, checkpoints)

    assert cached[: decision.length] == prompt[: decision.length]
    assert decision.length < len(prompt)
    kept = set(range(oldest, len(cached))) if cached else set()
    if decision.checkpoint is not None:
        assert decision.checkpoint in checkpoints
        kept = set(range(max(0, decision.checkpoint - window), decision.checkpoint))
        # Its state is of the tokens that were cached, and a later one than the first that differs is of no use.
        assert decision.checkpoint <= prefix.common(cached, prompt) + 1
    if decision.length:
        assert set(needed(decision.length, window)) <= kept


@given(cached=TOKENS.filter(bool), prompt=TOKENS.filter(bool), window=st.integers(2, 12), slack=st.integers(0, 8))
def test_no_longer_beginning_could_have_been_kept(
    cached: list[int], prompt: list[int], window: int, slack: int
) -> None:
    oldest = max(0, len(cached) - window - slack)
    kept = set(range(oldest, len(cached)))
    longest = min(prefix.common(cached, prompt), len(prompt) - 1)
    assume(longest > 0)
    decision = prefix.reuse(cached, prompt, oldest, window, set())
    assert decision.length == (longest if set(needed(longest, window)) <= kept else 0)


def test_the_newest_checkpoint_that_fits_is_taken_also_the_one_just_behind_the_difference() -> None:
    cached, prompt = [1] * 100, [1] * 60 + [2] * 5
    assert prefix.reuse(cached, prompt, 80, 16, {20, 50, 61, 62, 90}) == Reuse(60, checkpoint=61)
    assert prefix.reuse(cached, prompt, 80, 16, {20, 50, 62, 90}) == Reuse(50, checkpoint=50)
    assert prefix.reuse(cached, prompt, 80, 16, {62, 90}) == Reuse(0)


def test_a_model_without_a_window_keeps_all_that_is_common() -> None:
    assert prefix.reuse([1, 2, 3, 4], [1, 2, 3, 9], 0, 0, set()) == Reuse(3)


def test_at_least_one_token_is_left_to_be_decoded() -> None:
    assert prefix.reuse([1, 2, 3], [1, 2, 3], 0, 16, set()) == Reuse(2)
    assert prefix.reuse([1, 2, 3], [1], 0, 16, set()) == Reuse(0)


def test_an_empty_memory_keeps_nothing() -> None:
    assert prefix.reuse([1, 2, 3], [1, 2, 3], -1, 16, {2}) == Reuse(0)


@given(
    start=st.integers(0, 50),
    more=st.integers(1, 100),
    marks=st.sets(st.integers(0, 200)),
    batch=st.integers(1, 20),
)
def test_batches_end_at_marks_and_multiples_wherever_one_starts(
    start: int, more: int, marks: set[int], batch: int
) -> None:
    end = start + more
    ends = prefix.cuts(start, end, marks, batch)
    assert ends == sorted(set(ends)) and ends[-1] == end and ends[0] > start
    assert all(b - a <= batch for a, b in zip([start, *ends], ends, strict=False))
    assert {mark for mark in marks if start < mark < end} <= set(ends)
    assert [cut for cut in prefix.cuts(0, end, marks, batch) if cut > start] == ends
