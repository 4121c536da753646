"""The plans for the five real sizes: shapes, order and types are llama.cpp's."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from g4convert import convert, spec
from g4convert.checkpoint import Checkpoint, SourceTensor
from g4convert.gguf import Value, ValueType
from g4convert.plan import Plan
from g4convert.quants import dims
from g4convert.recipes import RECIPES

FAMILY = Path(__file__).parents[1] / "golden" / "family"
SIZES = {"e2b": "E2B", "e4b": "E4B", "12b": "12B", "26b-a4b": "26B-A4B", "31b": "31B"}
LEFT_OUT = ("model.vision_tower.", "model.audio_tower.", "model.embed_vision.", "model.embed_audio.")


TOLD = ("F16", *json.loads(gzip.decompress((FAMILY / "quant_types.json.gz").read_bytes()))["E2B"])
"""The recipes of which it is known what they make of the real sizes, and F16, which makes only F16."""


def golden(name: str) -> Any:
    return json.loads(gzip.decompress((FAMILY / name).read_bytes()))


def opened(size: str, tail: bool = False) -> Checkpoint:
    """A checkpoint of which only the headers exist; `tail` adds keys and values that the last layers do not need."""
    config = json.loads((FAMILY / f"{size}.json").read_text())
    shapes = golden("checkpoints.json.gz")[size]
    if tail:
        text = config["text_config"]
        for index in range(text["num_hidden_layers"] - text["num_kv_shared_layers"], text["num_hidden_layers"]):
            head = 512 if text["layer_types"][index] == "full_attention" else 256
            width = text["num_key_value_heads"] * head
            for name, shape in {"k_proj": [width, text["hidden_size"]], "v_proj": [width, text["hidden_size"]]}.items():
                shapes[f"model.language_model.layers.{index}.self_attn.{name}.weight"] = shape
            shapes[f"model.language_model.layers.{index}.self_attn.k_norm.weight"] = [head]
    nowhere = Path("nowhere")
    tensors = {name: SourceTensor(name, "BF16", tuple(shape), nowhere, 0) for name, shape in sorted(shapes.items())}
    return Checkpoint(nowhere, config, tensors)


def check(plan: Plan, model: str, recipe: str) -> None:
    shapes = golden("gguf_shapes.json.gz")[model]
    found = [(tensor.name, list(dims(tensor.shape))) for tensor in plan.tensors]
    if not RECIPES[recipe].is_quantized:
        assert sorted(found) == sorted((name, shape) for name, shape in shapes)
    else:
        assert found == [(name, shape) for name, shape in shapes], "llama-quantize writes them in this order"
    table = golden("quant_types.json.gz")[model].get(recipe) or {"default": recipe, "exceptions": {}}
    chosen = [tensor for tensor in plan.tensors if tensor.role not in ("exact", "kept")]
    assert len(chosen) == golden("quant_types.json.gz")[model]["BF16"]["count"]
    for tensor in chosen:
        assert tensor.type.name == table["exceptions"].get(tensor.name, table["default"]), tensor.name
    for tensor in plan.tensors:
        if tensor.role == "exact":
            assert tensor.type.name == "F32", tensor.name
        if tensor.role == "kept":
            assert tensor.type.name == (recipe if recipe in ("F32", "F16") else "BF16"), tensor.name


@pytest.mark.parametrize("recipe", TOLD)
@pytest.mark.parametrize("size", SIZES)
def test_every_real_size_is_planned_as_llama_cpp_would_convert_and_quantize_it(size: str, recipe: str) -> None:
    tail = size in ("e2b", "e4b")
    _, plan = convert.planned(opened(size, tail), RECIPES[recipe])
    check(plan, SIZES[size], recipe)


@pytest.mark.parametrize("recipe", TOLD)
@pytest.mark.parametrize("size", ["e2b", "e4b"])
def test_layers_without_keys_and_values_may_lack_them(size: str, recipe: str) -> None:
    _, plan = convert.planned(opened(size), RECIPES[recipe])
    check(plan, f"{SIZES[size]}-notail", recipe)


@pytest.mark.parametrize("size", SIZES)
def test_towers_are_left_out_and_nothing_else(size: str) -> None:
    source = opened(size)
    _, plan = convert.planned(source, RECIPES["BF16"])
    assert list(plan.skipped) == [name for name in source.tensors if name.startswith(LEFT_OUT)]
    taken = [tensor.source.name for tensor in plan.tensors if tensor.source]
    assert sorted([*taken, *plan.skipped]) == sorted(source.tensors)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("recipe", TOLD)
def test_tensors_lie_one_after_the_other_each_at_a_multiple_of_the_alignment(size: str, recipe: str) -> None:
    _, plan = convert.planned(opened(size), RECIPES[recipe])
    end = 0
    for tensor in plan.tensors:
        assert tensor.offset == -(-end // 32) * 32
        end = tensor.offset + tensor.nbytes
    assert plan.nbytes == -(-end // 32) * 32


def test_the_26b_s_keys_are_those_of_llama_cpp_s_own_file() -> None:
    model, _ = convert.planned(opened("26b-a4b"), RECIPES["F16"])
    written = {name: value for name, value in spec.keys(model, 1).items() if name.startswith("gemma4.")}
    recorded = json.loads((FAMILY / "26b-a4b-keys.json").read_text())
    assert list(written) == [name for name, *_ in recorded]
    for name, kind, data, element in recorded:
        if isinstance(data, float):
            data = pytest.approx(data, rel=1e-7)
        assert written[name] == Value(ValueType[kind], data, ValueType[element] if element else None)


def test_only_what_differs_by_layer_is_given_by_layer_and_experts_only_where_there_are_any() -> None:
    by_layer = {"e2b": {"feed_forward_length"}, "12b": {"attention.head_count_kv"}, "e4b": set[str]()}
    for size, expected in by_layer.items():
        model, _ = convert.planned(opened(size), RECIPES["F16"])
        written = {name.removeprefix("gemma4."): value for name, value in spec.keys(model, 1).items()}
        assert not [name for name in written if "expert" in name]
        arrays = {name for name, value in written.items() if value.type is ValueType.ARRAY}
        assert arrays == {"attention.sliding_window_pattern", *expected}


def test_both_spellings_of_the_full_layers_numbers_mean_the_same() -> None:
    for size in SIZES:
        flat = opened(size)
        model, plan = convert.planned(flat, RECIPES["Q4_K_M"])
        text = dict(flat.config["text_config"])
        own = {"head_dim": text.pop("global_head_dim")}
        kv_heads = text.pop("num_global_key_value_heads")
        if kv_heads is not None:
            own["num_key_value_heads"] = kv_heads
        kinds = text["layer_types"]
        text["per_layer_config"] = {str(i): own for i, kind in enumerate(kinds) if kind == "full_attention"}
        nested = Checkpoint(flat.folder, {**flat.config, "text_config": text}, flat.tensors)
        assert convert.planned(nested, RECIPES["Q4_K_M"]) == (model, plan)


def test_full_layers_have_key_value_heads_of_their_own_only_where_keys_are_values() -> None:
    plain = opened("e4b")
    text = {**plain.config["text_config"], "num_global_key_value_heads": 1}
    changed = Checkpoint(plain.folder, {**plain.config, "text_config": text}, plain.tensors)
    assert convert.planned(changed, RECIPES["Q8_0"]) == convert.planned(plain, RECIPES["Q8_0"])


def test_a_text_only_checkpoint_has_the_same_plan() -> None:
    whole = opened("26b-a4b")
    text = {**whole.config["text_config"], "architectures": ["Gemma4ForCausalLM"], "model_type": "gemma4_text"}
    tensors = {
        name.replace("language_model.", ""): tensor
        for name, tensor in whole.tensors.items()
        if not name.startswith(LEFT_OUT)
    }
    renamed = {
        name: SourceTensor(name, tensor.dtype, tensor.shape, tensor.path, tensor.start)
        for name, tensor in tensors.items()
    }
    _, plan = convert.planned(Checkpoint(whole.folder, text, renamed), RECIPES["Q4_0"])
    check(plan, "26B-A4B", "Q4_0")


def test_the_sizes_are_the_known_ones() -> None:
    """Gigabytes of Q4_K_M and Q8_0 data, computed from llama-quantize's choice."""
    for size, q4_k_m, q8_0 in (("e2b", 3.178, 4.612), ("26b-a4b", 15.628, 25.0), ("31b", 17.389, 30.38)):
        for recipe, gigabytes in (("Q4_K_M", q4_k_m), ("Q8_0", q8_0)):
            _, plan = convert.planned(opened(size, tail=size == "e2b"), RECIPES[recipe])
            assert plan.nbytes / 2**30 == pytest.approx(gigabytes, abs=0.005)
