"""Types that the user gives, as llama-quantize takes them, and requests that make no sense."""

from pathlib import Path
from threading import Event

import pytest

from g4convert import choice, convert
from g4convert.choice import Guidance
from g4local.core.errors import UsageError
from g4local.core.progress import silent
from tests import checkpoints
from tests.convert import family, llama

PLE = "per_layer_token_embd.weight"


def converted(folder: Path, recipe: str, given: Guidance | None = None) -> Path:
    target = folder.with_name(f"{folder.name}-{recipe}.gguf")
    options = convert.Options(threads=2, guidance=given or Guidance(), reproducible=True)
    convert.convert(folder, target, recipe, silent, Event(), options)
    return target


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The BF16 files of checkpoints that lie beside them."""
    place = tmp_path_factory.mktemp("models")
    changes = {"num_hidden_layers": 9, "layer_types": "ssssfsssf", "num_kv_shared_layers": 4}
    models = {
        "E2B": family.make("E2B", tail=True, **changes),
        "26B-A4B": family.make("26B-A4B", num_hidden_layers=8, layer_types="sssfsssf"),
    }
    return {name: converted(checkpoints.write(place / name, model), "BF16") for name, model in models.items()}


@pytest.mark.parametrize("size", ["E2B", "26B-A4B"])
@pytest.mark.parametrize(
    ("recipe", "tensor_types"),
    [
        ("Q4_K_M", [("attn_v", "Q8_0")]),
        ("Q4_K_M", [(r"blk\.[02]\.attn_v", "Q5_0"), (r"ffn_down", "Q6_K")]),
        ("Q4_0", [(r"blk\.(1|3)\.ffn_(gate|up)", "BF16"), ("attn_output", "F32"), ("attn_k", "F16")]),
        ("Q8_0", [("attn", "Q4_K"), ("attn_q", "Q5_1"), (r"^blk\.1\.", "MXFP4")]),
        ("MXFP4_MOE", [(r"blk\.\d+\.ffn_gate", "Q4_1")]),
        ("Q3_K_M", [(r"blk\.0\.", "Q8_0"), ("token_embd", "Q4_0")]),
    ],
)
def test_types_by_name_give_llama_quantize_s_bytes(
    size: str, recipe: str, tensor_types: list[tuple[str, str]], wholes: dict[str, Path]
) -> None:
    folder = wholes[size].with_name(size)
    expected = llama.quantized(wholes[size], recipe, llama.Extra(tensor_types=tensor_types))
    given = choice.guidance([f"{pattern}={kind.lower()}" for pattern, kind in tensor_types])
    assert converted(folder, recipe, given).read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("recipe", ["Q8_0", "Q4_K_M", "Q4_0"])
@pytest.mark.parametrize("tensor_types", [[], [("^per_layer_token_embd", "Q5_0")], [("^token_embd", "Q5_0")]])
def test_a_type_for_embeddings_gives_llama_quantize_s_bytes(
    recipe: str, tensor_types: list[tuple[str, str]], wholes: dict[str, Path]
) -> None:
    """Hand-given embeddings change nothing about what the other tensors get."""
    folder = wholes["E2B"].with_name("E2B")
    extra = llama.Extra(tensor_types=tensor_types, embedding="Q5_1")
    expected = llama.quantized(wholes["E2B"], recipe, extra)
    given = choice.guidance([f"{pattern}={kind}" for pattern, kind in tensor_types], "q5_1")
    assert converted(folder, recipe, given).read_bytes() == expected.read_bytes()


def test_a_type_for_the_layers_embeddings_is_a_pattern_of_their_name(wholes: dict[str, Path]) -> None:
    folder = wholes["E2B"].with_name("E2B")
    for embedding in ("", "Q8_0"):
        extra = llama.Extra(tensor_types=[(f"^{PLE}$", "Q4_0")], embedding=embedding)
        expected = llama.quantized(wholes["E2B"], "Q4_K_M", extra)
        given = choice.guidance(embedding=embedding, per_layer="Q4_0")
        assert converted(folder, "Q4_K_M", given).read_bytes() == expected.read_bytes()


def test_capitals_do_not_matter(wholes: dict[str, Path]) -> None:
    folder = wholes["E2B"].with_name("E2B")
    low, high = (choice.guidance([said]) for said in (r"blk\.\d\.attn_v=q8_0", r"BLK\.\d\.ATTN_V=Q8_0"))
    assert converted(folder, "Q4_0", low).read_bytes() == converted(folder, "Q4_0", high).read_bytes()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("attn_v", "'attn_v' is no REGEX=TYPE"),
        ("=Q8_0", "'=Q8_0' is no REGEX=TYPE"),
        ("attn_v=", "no type '' to quantize to"),
        ("attn_v=Q9", "no type 'Q9' to quantize to"),
        ("attn_v=Q8_K", "no type 'Q8_K' to quantize to"),
        ("attn_v=I32", "no type 'I32' to quantize to"),
        ("attn_(v=Q8_0", r"'attn_\(v' is no regular expression"),
    ],
)
def test_what_is_no_override_is_one_sentence(said: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        choice.guidance([said])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (choice.guidance(["attn_x=Q8_0"]), "'attn_x=Q8_0' means no tensor"),
        (choice.guidance(["_norm=Q8_0"]), "'_norm=Q8_0' means no tensor"),
        (choice.guidance(["per_layer_model_proj=Q8_0"]), "means no tensor"),
        (choice.guidance(["attn_q=IQ2_XXS"]), "IQ2_XXS needs an importance matrix: 9 tensors"),
        (choice.guidance(embedding="IQ2_XXS"), "IQ2_XXS needs an importance matrix: 1 tensors"),
        (choice.guidance(per_layer="Q1_0"), "Q1_0 does not fit 'per_layer_token_embd.weight'"),
    ],
)
def test_an_override_that_can_t_be_followed_is_one_sentence(
    given: Guidance, message: str, wholes: dict[str, Path]
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        convert.plan(wholes["E2B"].with_name("E2B"), "Q4_K_M", convert.Options(guidance=given))
    assert caught.value.hint


def test_a_model_without_layers_embeddings_has_no_type_for_them(wholes: dict[str, Path]) -> None:
    options = convert.Options(guidance=choice.guidance(per_layer="Q8_0"))
    with pytest.raises(UsageError, match="'--ple-type Q8_0' means no tensor"):
        convert.plan(wholes["26B-A4B"].with_name("26B-A4B"), "Q4_K_M", options)


def test_a_type_that_rows_do_not_take_is_told(wholes: dict[str, Path]) -> None:
    """The 26B-A4B's experts have rows that are no multiple of 256."""
    folder = wholes["26B-A4B"].with_name("26B-A4B")
    given = choice.guidance(["ffn_down_exps=Q6_K"])
    told = convert.plan(folder, "Q4_0", convert.Options(guidance=given)).warnings
    assert any("does not fit the rows of blk.0.ffn_down_exps.weight (Q8_0)" in each for each in told)
    fitting = convert.Options(guidance=choice.guidance(["attn_q=Q8_0"]))
    assert not convert.plan(folder, "Q4_0", fitting).warnings
