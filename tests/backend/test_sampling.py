"""The quick way to a token takes the one that llama.cpp's samplers take of all."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.backend.engine import Sampling
from g4local.backend.generation.sampling import Sampler
from g4local.backend.llamacpp import logits

SIZE = 128 * 1024 + 77
BLOCK = 1024
SUPPRESSED = (5, 70_000, SIZE - 1)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[npt.NDArray[np.float32]]]:
    """What the next decodes seem to have computed."""
    values: list[npt.NDArray[np.float32]] = []
    monkeypatch.setattr(logits, "row", lambda context, row, size: values[0])
    yield values


def some(seed: int, spread: float) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, spread, SIZE).astype(np.float32)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0),
        Sampling(seed=3),
        Sampling(seed=4, top_k=100, top_p=1.0, min_p=0.05, temperature=2.0),
        Sampling(seed=5, top_k=1),
    ],
)
def test_it_is_the_token_that_all_candidates_lead_to(sampling: Sampling, rows: list[npt.NDArray[np.float32]]) -> None:
    quick, whole = (Sampler(sampling, SIZE, SUPPRESSED) for _ in range(2))
    whole._few = 0
    everything = np.ones(SIZE, np.bool_)
    for seed in range(12):
        values = some(seed, 1 + seed % 4)
        values[list(SUPPRESSED)] = 50.0  # wanted most, and must not come
        rows[:] = [values]
        token = quick.sample(0, -1)
        assert token == whole.sample_among(0, -1, everything)
        assert token not in SUPPRESSED
    quick.close()
    whole.close()


@pytest.mark.parametrize("share", [1e-5, 1e-3, 0.02, 0.9, 1.0])
def test_among_the_allowed_it_is_the_token_that_all_of_them_lead_to(
    share: float, rows: list[npt.NDArray[np.float32]]
) -> None:
    quick, whole = (Sampler(Sampling(seed=3), SIZE, SUPPRESSED) for _ in range(2))
    whole._few = 0
    allowed = np.random.default_rng(1).random(SIZE) < share
    allowed[7] = True
    clustered = np.zeros(SIZE, np.bool_)
    clustered[3000:9000] = True  # in fewer blocks than there are candidates
    for seed in range(6):
        rows[:] = [some(seed, 2)]
        for flags in (allowed, clustered):
            token = quick.sample_among(0, -1, flags)
            assert token == whole.sample_among(0, -1, flags)
            assert flags[token]
    quick.close()
    whole.close()


def test_a_repeat_penalty_or_many_candidates_are_for_llama_cpp() -> None:
    for sampling in (Sampling(repeat_penalty=1.1), Sampling(top_k=0), Sampling(top_k=126)):
        sampler = Sampler(sampling, SIZE, SUPPRESSED)
        assert not sampler._few
        sampler.close()
    assert not Sampler(Sampling(), 517, ())._few


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([-9.0, 0.0, 1.0, 7.5]), min_size=40, max_size=60), st.integers(1, 5))
def test_the_likeliest_are_all_there(values: list[float], count: int) -> None:
    row = np.array(values, np.float32)
    found = logits.likeliest(row, count, 8)
    least = sorted(values)[-count]
    assert set(np.flatnonzero(row > least)) <= set(found)
    assert sum(row[found] >= least) >= count
    assert list(found) == sorted(found)


def test_what_is_no_number_is_not_likely() -> None:
    row = some(0, 1.0)
    row[4000] = np.nan
    assert 4000 not in logits.likeliest(row, 64, BLOCK)
    assert logits.likeliest(np.full(SIZE, np.nan, np.float32), 64, BLOCK).size == 0
