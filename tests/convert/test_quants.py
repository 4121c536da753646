"""ggml's quantizers against gguf-py's, and the choice of types against llama-quantize's rules."""

from dataclasses import dataclass

import gguf as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4convert import ggml, quants
from g4convert.quants import RECIPES, TYPES, Role
from g4convert.transforms import rope_factors, rounded_to_bf16, widened

WRITABLE = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
"""Types that gguf-py can quantize too."""


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


@pytest.mark.parametrize(
    "name", sorted({entry.base for entry in RECIPES.values()} | set(quants._SMALLER_BLOCK.values()))
)
def test_rows_are_independent(name: str) -> None:
    values = np.random.default_rng(3).standard_normal(8 * 512).astype(np.float32)
    whole = ggml.quantized(values, 512, TYPES[name]).tobytes()
    assert b"".join(ggml.quantized(row, 512, TYPES[name]).tobytes() for row in values.reshape(8, 512)) == whole


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


@dataclass(frozen=True)
class Tensor:
    name: str
    role: Role
    shape: tuple[int, ...]


def chosen(recipe: str, tensors: list[Tensor], layers: int = 1, experts: int = 0) -> list[str]:
    return [entry.name for entry in quants.choose(RECIPES[recipe], tensors, layers, experts)]


@pytest.mark.parametrize(
    ("recipe", "row", "expected"),
    [
        ("Q4_K_M", 512, "Q4_K"),
        ("Q4_K_M", 96, "Q5_0"),
        ("Q5_K_M", 96, "Q5_1"),
        ("Q6_K", 96, "Q8_0"),
        ("Q4_K_M", 48, "F16"),
        ("Q6_K", 48, "F16"),
        ("Q4_0", 96, "Q4_0"),
        ("Q4_0", 48, "F16"),
        ("Q8_0", 48, "F16"),
        ("F16", 48, "F16"),
    ],
)
def test_rows_that_no_block_divides_fall_back(recipe: str, row: int, expected: str) -> None:
    assert chosen(recipe, [Tensor("blk.0.attn_q.weight", "linear", (64, row))]) == [expected]


@pytest.mark.parametrize(
    ("recipe", "row", "expected"),
    [("Q4_K_M", 512, "Q6_K"), ("Q4_K_M", 96, "Q8_0"), ("Q4_0", 96, "Q8_0"), ("Q4_0", 48, "F16"), ("Q8_0", 512, "Q8_0")],
)
def test_embeddings_that_are_the_output_get_more(recipe: str, row: int, expected: str) -> None:
    assert chosen(recipe, [Tensor("token_embd.weight", "embedding", (64, row))]) == [expected]


def test_embeddings_beside_an_output_matrix_get_no_more_than_others() -> None:
    tensors = [
        Tensor("output.weight", "output", (64, 256)),
        Tensor("per_layer_token_embd.weight", "embedding", (64, 256)),
        Tensor("token_embd.weight", "embedding", (64, 256)),
    ]
    assert chosen("Q4_K_M", tensors) == ["Q6_K", "Q4_K", "Q4_K"]


def test_what_is_one_row_high_or_wide_is_not_quantized() -> None:
    tensors = [
        Tensor("a", "linear", (256,)),
        Tensor("b", "linear", (1, 256)),
        Tensor("c", "exact", (8, 256)),
        Tensor("d", "kept", (8, 256)),
    ]
    assert chosen("Q4_K_M", tensors) == ["F32", "BF16", "F32", "BF16"]
    assert chosen("F16", tensors) == ["F32", "F16", "F32", "F16"]
