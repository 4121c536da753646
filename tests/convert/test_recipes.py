"""Every recipe against llama-quantize: the same bytes for tiny models in the shapes of all five sizes."""

from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from threading import Event

import pytest

from g4convert import convert, encode, imatrix, requantize
from g4convert.choice import Guidance, guidance
from g4convert.imatrix import Importance
from g4local.core.errors import BadImatrix, UsageError
from g4local.core.progress import silent
from tests import checkpoints
from tests.convert import family, importances, llama
from tests.convert.family import FREE, QUANTIZED, SHAPES, SLOW


@dataclass(frozen=True)
class Model:
    """A tiny checkpoint, its BF16 file, and an importance matrix for it."""

    folder: Path
    whole: Path
    importance: Importance
    extra: llama.Extra
    """What llama-quantize makes of the matrix."""


class Models(dict[tuple[str, bool, bool], Model]):
    """Made when they are asked for."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __missing__(self, shape: tuple[str, bool, bool]) -> Model:
        size, nested, tail = shape
        folder = self._place / f"{size}-{nested}-{tail}"
        checkpoints.write(folder, family.make(size, nested=nested, tail=tail))
        entries = family.importance(convert.plan(folder, "BF16"))
        path = importances.write(self._place / f"{folder.name}.imatrix", entries, [f"{size}.txt"])
        importance = imatrix.read(str(path))
        self[shape] = Model(folder, converted(folder, "BF16"), importance, llama.guided_by(importance))
        return self[shape]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("models"))


def converted(folder: Path, recipe: str, given: Guidance | None = None) -> Path:
    target = folder.with_name(f"{folder.name}-{recipe}.gguf")
    options = convert.Options(threads=2, guidance=given or Guidance(), reproducible=True)
    convert.convert(folder, target, recipe, silent, Event(), options)
    return target


def check_blind(recipe: str, model: Model) -> None:
    expected = llama.quantized(model.whole, recipe)
    assert converted(model.folder, recipe).read_bytes() == expected.read_bytes()


def check_guided(recipe: str, model: Model) -> None:
    expected = llama.quantized(model.whole, recipe, model.extra)
    assert converted(model.folder, recipe, Guidance(importance=model.importance)).read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(("recipe", "shape"), [*zip(FREE, cycle(SHAPES))])
def test_a_file_has_llama_quantize_s_bytes(recipe: str, shape: tuple[str, bool, bool], models: Models) -> None:
    check_blind(recipe, models[shape])


@pytest.mark.parametrize(
    ("recipe", "shape"), [*zip([name for name in QUANTIZED if name not in SLOW], cycle(reversed(SHAPES)))]
)
def test_a_file_made_with_an_importance_matrix_has_llama_quantize_s_bytes(
    recipe: str, shape: tuple[str, bool, bool], models: Models
) -> None:
    check_guided(recipe, models[shape])


@pytest.mark.reference
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("recipe", QUANTIZED)
def test_every_recipe_has_llama_quantize_s_bytes_or_its_refusal_in_every_shape(
    recipe: str, shape: tuple[str, bool, bool], models: Models
) -> None:
    model = models[shape]
    check_guided(recipe, model)
    if not llama.refuses(model.whole, recipe):
        check_blind(recipe, model)
        return
    with pytest.raises(UsageError, match="needs an importance matrix"):
        converted(model.folder, recipe)


def test_blocks_of_128_have_llama_quantize_s_bytes_and_no_smaller_ones_to_fall_back_to(tmp_path: Path) -> None:
    wide = family.make("12B", num_hidden_layers=1, layer_types="f", num_attention_heads=4)
    folder = checkpoints.write(tmp_path / "wide", wide)
    expected = llama.quantized(converted(folder, "BF16"), "Q1_0")
    assert converted(folder, "Q1_0").read_bytes() == expected.read_bytes()
    folder = checkpoints.write(tmp_path / "narrow", family.make("E2B"))
    assert llama.refuses(converted(folder, "BF16"), "Q1_0")
    with pytest.raises(UsageError, match="Q1_0 does not fit"):
        converted(folder, "Q1_0")


@pytest.mark.parametrize("recipe", [name for name in QUANTIZED if name not in FREE])
def test_what_needs_an_importance_matrix_is_refused_without_one(recipe: str, models: Models) -> None:
    model = models["E2B", False, False]
    target = model.folder.with_name("refused.gguf")
    with pytest.raises(UsageError, match=f"{recipe} needs an importance matrix") as caught:
        convert.convert(model.folder, target, recipe, silent, Event())
    assert "--imatrix" in caught.value.hint
    assert not target.exists()
    assert not target.with_name("refused.gguf.part").exists()


def without(importance: Importance, *names: str) -> Importance:
    """A matrix that says nothing of some weights."""
    sums = {name: values for name, values in importance.sums.items() if name not in names}
    return replace(importance, sums=sums)


def test_weights_without_an_entry_are_quantized_without_and_told(models: Models) -> None:
    model = models["E2B", False, True]
    importance = without(model.importance, "blk.2.attn_k.weight", "blk.0.proj.weight")
    expected = llama.quantized(model.whole, "Q4_K_M", llama.guided_by(importance))
    assert converted(model.folder, "Q4_K_M", Guidance(importance=importance)).read_bytes() == expected.read_bytes()
    options = convert.Options(guidance=Guidance(importance=importance))
    (said,) = convert.plan(model.folder, "Q4_K_M", options).warnings
    assert "blk.0.proj.weight, blk.2.attn_k.weight" in said
    with pytest.raises(UsageError, match=r"nothing of 'blk.2.attn_k.weight', which IQ2_XXS needs"):
        convert.plan(model.folder, "IQ2_XXS", options)


def test_experts_that_no_token_reached_are_told(models: Models) -> None:
    model = models["26B-A4B", False, False]
    options = convert.Options(guidance=Guidance(importance=model.importance))
    (said,) = convert.plan(model.folder, "Q4_K_M", options).warnings
    assert "blk.0.ffn_gate_up_exps.weight (experts 1)" in said
    assert convert.plan(model.folder, "Q8_0", options).warnings == (), "Q8_0 makes no use of it"


def test_a_matrix_that_says_nothing_of_a_model_is_refused(models: Models) -> None:
    model = models["12B", False, False]
    other = Importance({f"other.{name}": sums for name, sums in model.importance.sums.items()}, {}, chunks=1)
    with pytest.raises(BadImatrix, match="nothing of any tensor"):
        convert.plan(model.folder, "Q4_K_M", convert.Options(guidance=Guidance(importance=other)))
    assert convert.plan(model.folder, "Q8_0", convert.Options(guidance=Guidance(importance=other))).tensors


@pytest.mark.parametrize("shape", [("E2B", False, True), ("26B-A4B", False, False)])
def test_a_gguf_is_quantized_with_guidance_to_the_same_file(
    shape: tuple[str, bool, bool], models: Models, tmp_path: Path
) -> None:
    model, tensor_types = models[shape], [("attn_v", "Q8_0")]
    given = replace(guidance([f"{name}={kind}" for name, kind in tensor_types]), importance=model.importance)
    expected = llama.quantized(model.whole, "IQ4_XS", replace(model.extra, tensor_types=tensor_types))
    options = convert.Options(guidance=given, reproducible=True)
    requantize.requantize(model.whole, tmp_path / "made.gguf", "IQ4_XS", silent, Event(), options)
    assert (tmp_path / "made.gguf").read_bytes() == expected.read_bytes()
    assert converted(model.folder, "IQ4_XS", given).read_bytes() == expected.read_bytes()


def test_weights_for_which_ggml_would_end_the_process_are_told(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models["12B", False, False]
    monkeypatch.setattr(encode, "_LARGEST_WEIGHTED", 1e-9)
    with pytest.raises(BadImatrix, match="too large for IQ4_XS"):
        converted(model.folder, "IQ4_XS", Guidance(importance=model.importance))


def test_a_matrix_of_another_model_is_told(models: Models) -> None:
    options = convert.Options(guidance=Guidance(importance=models["12B", False, False].importance))
    with pytest.raises(BadImatrix, match=r"256 columns for 'blk\.0\.attn_k\.weight', which has 288"):
        convert.plan(models["31B", False, False].folder, "Q4_K_M", options)


@pytest.mark.parametrize("recipe", ["BF16", "F16", "F32"])
def test_a_file_that_is_not_quantized_takes_no_guidance(recipe: str, models: Models) -> None:
    model = models["12B", False, False]
    for given in (Guidance(importance=model.importance), guidance(["attn=Q8_0"]), guidance(embedding="Q8_0")):
        with pytest.raises(UsageError, match="quantizes nothing"):
            convert.plan(model.folder, recipe, convert.Options(guidance=given))


@pytest.mark.parametrize("legacy", [False, True])
def test_both_formats_of_a_matrix_give_llama_quantize_s_bytes(legacy: bool, models: Models, tmp_path: Path) -> None:
    model = models["26B-A4B", True, False]
    entries = {
        name: (sums, [7.0] if legacy else model.importance.counts[name].tolist())
        for name, sums in model.importance.sums.items()
    }
    write = importances.write_legacy if legacy else importances.write
    found = imatrix.read(str(write(tmp_path / f"{'long' * 30}.im", entries, "x" * 200)))
    expected = llama.quantized(model.whole, "Q4_0", llama.guided_by(found))
    assert converted(model.folder, "Q4_0", Guidance(importance=found)).read_bytes() == expected.read_bytes()
