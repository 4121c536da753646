"""ggml's quantizers against gguf-py's, and the choice of types against llama-quantize's rules."""

import gguf as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4convert import ggml
from g4convert.quants import NEEDS_IMPORTANCE, TARGETS, TYPES, USES_IMPORTANCE
from g4convert.transforms import rope_factors, rounded_to_bf16, widened

WRITABLE = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
"""Types that gguf-py can quantize too."""


ALL = [
    pytest.param(name, marks=pytest.mark.reference) if name in NEEDS_IMPORTANCE - {"IQ2_XXS"} else name
    for name in TARGETS
]
"""What ggml can quantize to; for some types it makes tables that take it seconds."""


@pytest.mark.parametrize("name", WRITABLE)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 9), blocks=st.integers(1, 9), scale=st.integers(-9, 3))
def test_ggml_and_gguf_py_quantize_to_the_same_bytes(name: str, seed: int, rows: int, blocks: int, scale: int) -> None:
    values = np.random.default_rng(seed).standard_normal((rows, 32 * blocks)).astype(np.float32) * np.float32(
        10.0**scale
    )
    values[0, :32] = 0.0
    expected = oracle.quants.quantize(values, oracle.GGMLQuantizationType[name])
    assert ggml.quantized(values.reshape(-1), 32 * blocks, TYPES[name]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ALL)
def test_rows_are_independent(name: str) -> None:
    rng = np.random.default_rng(3)
    values, weights = rng.standard_normal(8 * 512).astype(np.float32), rng.uniform(0.1, 9, 512).astype(np.float32)
    whole = ggml.quantized(values, 512, TYPES[name], weights).tobytes()
    rows = (ggml.quantized(row, 512, TYPES[name], weights).tobytes() for row in values.reshape(8, 512))
    assert b"".join(rows) == whole


@pytest.mark.parametrize("name", ALL)
def test_the_bytes_depend_on_an_importance_only_where_the_table_says_so(name: str) -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal(8 * 512).astype(np.float32)
    first, second = (rng.uniform(0.01, 9, 512).astype(np.float32) for _ in range(2))
    made = {ggml.quantized(values, 512, TYPES[name], weights).tobytes() for weights in (first, second)}
    assert len(made) == (2 if name in USES_IMPORTANCE else 1)


@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K"])
def test_infinite_values_are_found_after_quantizing(name: str) -> None:
    values = np.ones(512, np.float32)
    assert ggml.is_valid(ggml.quantized(values, 512, TYPES[name]), TYPES[name])
    values[77] = np.inf
    assert not ggml.is_valid(ggml.quantized(values, 512, TYPES[name]), TYPES[name])


LOWER_HALVES = st.integers(0, 0xFFFF) | st.sampled_from([0, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
"""Of a float32's bits; 0x8000 is as near to the BF16 above as to the one below."""


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), LOWER_HALVES), min_size=1, max_size=50))
def test_rounding_to_bf16_is_gguf_py_s(halves: list[tuple[int, int]]) -> None:
    values = np.array([upper << 16 | lower for upper, lower in halves], np.uint32).view(np.float32)
    values = np.nan_to_num(values, nan=1.0, posinf=2.0, neginf=-2.0)
    expected = oracle.quants.quantize(values.reshape(1, -1), oracle.GGMLQuantizationType.BF16)
    assert widened(expected.tobytes(), "BF16").tolist() == rounded_to_bf16(values).tolist()


@given(st.binary(min_size=4, max_size=64).filter(lambda raw: len(raw) % 4 == 0))
def test_widening_keeps_every_value(raw: bytes) -> None:
    assert widened(raw, "F32").tobytes() == raw
    halves = widened(raw, "F16")
    assert np.array_equal(halves.astype(np.float16), np.frombuffer(raw, np.float16), equal_nan=True)
    upper = widened(raw, "BF16").view(np.uint32)
    assert (upper >> 16).astype(np.uint16).tobytes() == raw
    assert not (upper & 0xFFFF).any()


def test_a_quarter_of_a_full_layer_s_pairs_turns() -> None:
    assert rope_factors(512, 0.25).tolist() == [1.0] * 64 + [float(np.float32(1e30))] * 192
