"""Which type each tensor gets, by the recipe and by hand."""

from dataclasses import dataclass

import pytest

from g4convert import choice
from g4convert.choice import Guidance
from g4convert.quants import Role
from g4convert.recipes import RECIPES, Traits


@dataclass(frozen=True)
class Tensor:
    name: str
    role: Role
    shape: tuple[int, ...]


def chosen(recipe: str, tensors: list[Tensor], given: Guidance | None = None) -> list[str]:
    return [kind.name for kind in choice.choose(RECIPES[recipe], tensors, Traits(1), given or Guidance())]


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
