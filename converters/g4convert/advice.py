"""What is known to hurt a model, told before it is written."""

from g4convert.plan import Plan
from g4convert.recipes import RECIPES

_E4B = (42, 2560)
"""Layers and width."""


def warnings(plan: Plan, *, guided: bool) -> tuple[str, ...]:
    """One sentence for each thing; `guided`: with an importance matrix.

    Perplexities of E4B were 7.1 in BF16, 7.4 at Q6_K, 8.3 at Q5_K_M, 23 at Q4_K_M and 919 at Q3_K_M without one
    (llama.cpp issue 22407), while other sizes lose little.
    """
    is_small = plan.recipe.bits < RECIPES["Q6_K"].bits
    is_kept = any(tensor.lattice for tensor in plan.tensors)
    if guided or is_kept or not is_small or _shape(plan) != _E4B:
        return ()
    return (
        f"E4B loses much as {plan.recipe.name} without an importance matrix; give one with --imatrix, take Q6_K or "
        "more, or convert the checkpoint that was trained for Q4_0.",
    )


def _shape(plan: Plan) -> tuple[int, int]:
    names = {tensor.name.split(".")[1] for tensor in plan.tensors if tensor.name.startswith("blk.")}
    width = next((tensor.row for tensor in plan.tensors if tensor.name == "token_embd.weight"), 0)
    return len(names), width
