"""Tiny checkpoints in the shapes of Gemma 4's five sizes, and importance matrices for them."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g4convert.choice import is_quantized
from g4convert.plan import Plan
from g4convert.recipes import RECIPES
from tests import checkpoints
from tests.checkpoints import Checkpoint

_SIZES: dict[str, tuple[checkpoints.Kind, dict[str, Any]]] = {
    "E2B": (
        "ple",
        {
            "num_hidden_layers": 4,
            "layer_types": "sfsf",
            "num_kv_shared_layers": 2,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
        },
    ),
    "E4B": (
        "ple",
        {
            "num_hidden_layers": 4,
            "layer_types": "sfsf",
            "num_kv_shared_layers": 2,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "use_double_wide_mlp": False,
            "intermediate_size": 320,
        },
    ),
    "12B": (
        "dense",
        {
            "num_hidden_layers": 2,
            "layer_types": "sf",
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "intermediate_size": 256,
        },
    ),
    "26B-A4B": (
        "moe",
        {
            "num_hidden_layers": 2,
            "layer_types": "sf",
            "num_experts": 5,
            "intermediate_size": 160,
            "moe_intermediate_size": 64,
        },
    ),
    "31B": (
        "dense",
        {
            "num_hidden_layers": 2,
            "layer_types": "sf",
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "num_global_key_value_heads": 2,
            "hidden_size": 288,
            "intermediate_size": 256,
        },
    ),
}
"""Key-value heads as in the family, rows of all kinds: 256 divides some, 32 the others."""
SIZES = tuple(_SIZES)
SHAPES = (*product(("E2B", "E4B"), (False, True), (False, True)), *product(SIZES[2:], (False, True), (False,)))
"""Size, spelling of the config, and whether the last layers have keys and values that nothing needs."""

QUANTIZED = tuple(name for name, recipe in RECIPES.items() if recipe.is_quantized and name != "Q1_0")
"""All but the one recipe whose blocks do not fit these sizes."""
SLOW = ("IQ3_XXS", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ1_M", "IQ1_S")
"""Recipes for which ggml makes tables that take it seconds; they are left to the reference tests."""
FREE = tuple(name for name in QUANTIZED if not RECIPES[name].needs_importance)
"""What can be made without an importance matrix."""
SAMPLE = ("F32", "BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")
"""Recipes for tests that need only some: those that are made quickly and without an importance matrix."""


def make(size: str, *, nested: bool = False, tail: bool = False, **changes: Any) -> Checkpoint:
    """A checkpoint; `nested`: newly spelled; `tail`: the last layers have keys and values that nothing needs."""
    kind, numbers = _SIZES[size]
    checkpoint = checkpoints.make(kind, **{**numbers, **changes})
    if tail:
        checkpoints.with_tail(checkpoint)
    if nested:
        _nest(checkpoint.text)
    return checkpoint


def importance(plan: Plan, *, reached: bool = False) -> dict[str, tuple[NDArray[np.float32], list[float]]]:
    """Sums and counts for every weight of a plan but the embeddings; unless `reached`, each second expert was not."""
    rng = np.random.default_rng(0)
    entries = {}
    for tensor in plan.tensors:
        if is_quantized(tensor) and tensor.role != "embedding":
            experts = tensor.shape[0] if len(tensor.shape) > 2 else 1
            sums = rng.exponential(300, (experts, tensor.row)).astype(np.float32)
            counts = [float(count) for count in rng.integers(1, 900, experts)]
            if experts > 1 and not reached:
                sums[1], counts[1] = 0, 0
            entries[tensor.name] = (sums, counts)
    return entries


def _nest(text: dict[str, Any]) -> None:
    own = {"head_dim": text.pop("global_head_dim")}
    kv_heads = text.pop("num_global_key_value_heads")
    if kv_heads is not None:
        own["num_key_value_heads"] = kv_heads
    full = [index for index, kind in enumerate(text["layer_types"]) if kind == "full_attention"]
    text["per_layer_config"] = {str(index): own for index in full}
