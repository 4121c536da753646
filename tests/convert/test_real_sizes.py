"""What each recipe makes of the five real sizes is libllama's own choice, found without a weight."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from g4convert import advice, convert, gguf, spec, writer
from g4convert.choice import Guidance, is_quantized
from g4convert.imatrix import Importance
from g4convert.plan import Plan
from g4convert.recipes import RECIPES
from g4local.core.errors import UsageError
from tests.convert import llama
from tests.convert.test_plans import opened

QUANTIZED = tuple(name for name, recipe in RECIPES.items() if recipe.is_quantized)
SHAPES = [
    ("e2b", True),
    ("26b-a4b", False),
    *(
        pytest.param(*shape, marks=pytest.mark.reference)
        for shape in (("e2b", False), ("e4b", True), ("e4b", False), ("12b", False), ("31b", False))
    ),
]
"""Size, and whether the last layers have keys and values that nothing needs."""


def importance(plan: Plan) -> Importance:
    """A matrix for all weights but the embeddings, which says nothing."""
    tensors = [tensor for tensor in plan.tensors if is_quantized(tensor) and tensor.role != "embedding"]
    experts = {tensor.name: tensor.shape[0] if len(tensor.shape) > 2 else 1 for tensor in tensors}
    sums = {tensor.name: np.ones((experts[tensor.name], tensor.row), np.float32) for tensor in tensors}
    return Importance(sums, {name: np.ones(count, np.int64) for name, count in experts.items()})


@pytest.mark.parametrize(("size", "tail"), SHAPES)
def test_every_recipe_gives_each_tensor_the_type_that_llama_quantize_gives_it(
    size: str, tail: bool, tmp_path: Path
) -> None:
    source = opened(size, tail)
    model, whole = convert.planned(source, RECIPES["BF16"])
    path = sparse(tmp_path / "model.gguf", model, whole)
    given = importance(whole)
    flag = llama.Extra({"x": np.ones(1, np.float32)})
    for recipe in QUANTIZED:
        for guidance, extra in ((Guidance(), None), (Guidance(importance=given), flag)):
            try:
                _, plan = convert.planned(source, RECIPES[recipe], guidance)
            except UsageError as error:
                assert (recipe, size) == ("Q1_0", "26b-a4b"), error
                assert llama.refuses(path, recipe)
                continue
            found = {tensor.name: tensor.type.name for tensor in plan.tensors}
            assert found == llama.types(path, recipe, extra), recipe


def sparse(path: Path, model: spec.ModelSpec, plan: Plan) -> Path:
    """A BF16 file whose data is a hole."""
    keys = {"general.architecture": gguf.string("gemma4"), **spec.keys(model, plan.recipe.file_type)}
    head = writer.head(keys, plan)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + plan.nbytes)
    return path


@pytest.mark.parametrize(
    ("size", "recipe", "guided", "warned"),
    [
        ("e4b", "Q5_K_M", False, True),
        ("e4b", "Q4_K_M", False, True),
        ("e4b", "Q4_K_M", True, False),
        ("e4b", "Q6_K", False, False),
        ("e4b", "MXFP4_MOE", False, False),
        ("e2b", "Q4_K_M", False, False),
        ("31b", "Q3_K_M", False, False),
    ],
)
def test_only_e4b_below_q6_k_without_an_importance_matrix_is_warned_of(
    size: str, recipe: str, guided: bool, warned: bool
) -> None:
    _, plan = convert.planned(opened(size), RECIPES[recipe])
    said = advice.warnings(plan, guided=guided)
    assert [f"E4B loses much as {recipe}" in sentence for sentence in said] == [True] * warned


def test_an_e4b_that_was_trained_for_q4_0_is_not_warned_of() -> None:
    from g4convert.lattice import Tally

    _, plan = convert.planned(opened("e4b"), RECIPES["Q4_0"])
    marked = [replace(tensor, lattice=Tally()) for tensor in plan.tensors]
    assert advice.warnings(plan, guided=False)
    assert advice.warnings(replace(plan, tensors=tuple(marked)), guided=False) == ()
