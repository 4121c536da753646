"""A GGUF in 16 or 32 bits is quantized to llama-quantize's bytes, and what can't be is told in one sentence."""

import shutil
from dataclasses import replace
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g4convert import convert, gguf, imatrix, provenance, requantize
from g4convert.choice import Guidance, guidance
from g4convert.gguf import Value
from g4convert.imatrix import Importance
from g4convert.recipes import RECIPES
from g4local import __version__
from g4local.core.errors import BadCheckpoint, BadGguf, Cancelled, G4Error, ModelNotFound, UsageError
from g4local.core.progress import silent
from tests import checkpoints, media_checkpoints
from tests.convert import family, importances, llama, rewriting

EXACTLY = convert.Options(threads=2, reproducible=True)
NAMES = ("moe", "odd", "ple", "drafter")
GUIDED = tuple(name for name in family.QUANTIZED if name not in (*family.SLOW, *family.SAMPLE))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """GGUFs in all three float types; rows of the F16 one and of the drafter are odd, so that types fall back."""
    folder = tmp_path_factory.mktemp("sources")
    odd = {"intermediate_size": 336, "hidden_size": 160}
    made = {}
    for name, checkpoint, recipe in (
        ("moe", checkpoints.make("moe", num_experts=4), "BF16"),
        ("odd", checkpoints.make("dense", **odd), "F16"),
        ("ple", checkpoints.make("ple"), "F32"),
        ("drafter", media_checkpoints.make_drafter(checkpoints.make("dense")), "BF16"),
    ):
        checkpoint.dtypes = dict.fromkeys(checkpoint.tensors, "F32")
        source = checkpoints.write(folder / name / "model", checkpoint)
        made[name] = folder / f"{name}-{recipe}.gguf"
        convert.convert(source, made[name], recipe, silent, Event(), EXACTLY)
    return made


def made(path: Path, recipe: str, target: Path, options: convert.Options = EXACTLY) -> Path:
    requantize.requantize(path, target, recipe, silent, Event(), options)
    return target


@pytest.mark.parametrize("recipe", family.SAMPLE)
@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_llama_quantize_s(name: str, recipe: str, sources: dict[str, Path], tmp_path: Path) -> None:
    expect_the_same(sources[name], recipe, tmp_path)


@pytest.mark.parametrize(("recipe", "name"), [*zip(GUIDED, cycle(NAMES))])
def test_an_importance_matrix_is_followed_as_llama_quantize_does(
    recipe: str, name: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    importance = matrix(sources[name], tmp_path)
    theirs = llama.quantized(sources[name], recipe, llama.guided_by(importance), tmp_path / "theirs.gguf")
    options = replace(EXACTLY, guidance=Guidance(importance=importance))
    assert made(sources[name], recipe, tmp_path / "ours.gguf", options).read_bytes() == theirs.read_bytes()


@pytest.mark.reference
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("recipe", family.QUANTIZED)
def test_every_recipe_has_llama_quantize_s_bytes_from_every_type(
    recipe: str, name: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    test_an_importance_matrix_is_followed_as_llama_quantize_does(recipe, name, sources, tmp_path)
    if llama.refuses(sources[name], recipe):
        expect_failure(sources[name], recipe, UsageError, "needs an importance matrix")
    else:
        expect_the_same(sources[name], recipe, tmp_path)


def matrix(source: Path, folder: Path) -> Importance:
    """An importance matrix for a GGUF."""
    entries = family.importance(requantize.plan(source, "Q8_0"))
    return imatrix.read(str(importances.write(folder / "some.imatrix", entries)))


def test_types_given_by_hand_are_taken_as_llama_quantize_does(sources: dict[str, Path], tmp_path: Path) -> None:
    extra = llama.Extra(tensor_types=[("attn_v", "Q5_K"), ("blk.0.ffn_up", "Q8_0")], embedding="Q4_0")
    theirs = llama.quantized(sources["ple"], "Q4_K_M", extra, tmp_path / "theirs.gguf")
    by_hand = guidance(["attn_v=q5_k", "blk.0.ffn_up=q8_0"], "q4_0")
    ours = made(sources["ple"], "Q4_K_M", tmp_path / "ours.gguf", replace(EXACTLY, guidance=by_hand))
    assert ours.read_bytes() == theirs.read_bytes()


def test_what_is_quantized_already_may_be_kept_by_hand(sources: dict[str, Path], tmp_path: Path) -> None:
    mixed = llama.quantized(sources["ple"], "BF16", llama.Extra(embedding="Q8_0"), tmp_path / "mixed.gguf")
    theirs = llama.quantized(mixed, "Q4_K_M", llama.Extra(embedding="Q8_0"), tmp_path / "theirs.gguf")
    options = replace(EXACTLY, guidance=guidance([], "Q8_0"))
    assert made(mixed, "Q4_K_M", tmp_path / "ours.gguf", options).read_bytes() == theirs.read_bytes()


def test_parts_of_a_model_are_read_as_one(sources: dict[str, Path], tmp_path: Path) -> None:
    parts = rewriting.write(sources["moe"], tmp_path / "model-{:05}-of-00003.gguf", parts=3)
    assert len(list(tmp_path.iterdir())) == 3
    expect_the_same(parts, "Q4_K_M", tmp_path)
    whole = made(sources["moe"], "Q4_K_M", tmp_path / "whole.gguf")
    assert whole.read_bytes() == (tmp_path / "ours.gguf").read_bytes()


def test_keys_of_every_type_are_kept_in_their_order(sources: dict[str, Path], tmp_path: Path) -> None:
    kinds = gguf.ValueType
    keys = {
        **{f"test.{kind.name}": Value(kind, 1) for kind in gguf.FORMATS},
        **{f"test.{kind.name}s": Value(kinds.ARRAY, [1, 0, 1], kind) for kind in gguf.FORMATS},
        "test.text": gguf.string("a\u2581b\n"),
        "test.texts": gguf.strings(["", "grün"]),
        "general.file_type": gguf.u32(1),
        "test.last": gguf.boolean(False),
    }
    expect_the_same(rewriting.write(sources["ple"], tmp_path / "model.gguf", more=keys), "Q4_0", tmp_path)


def test_what_has_its_type_already_is_copied_and_anything_else_quantized_is_refused(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    """As with llama-quantize, which goes on until it meets a tensor that would lose quality."""
    mixed = llama.quantized(sources["ple"], "BF16", llama.Extra(embedding="Q8_0"), tmp_path / "mixed.gguf")
    expect_the_same(mixed, "Q8_0", tmp_path)
    expect_failure(mixed, "Q4_K_M", BadGguf, "'token_embd.weight' is Q8_0, and would be Q6_K")
    once = made(sources["moe"], "Q8_0", tmp_path / "once.gguf")
    expect_failure(once, "Q8_0", BadGguf, "is quantized already, as Q8_0")
    expect_failure(once, "BF16", BadGguf, "is quantized already: 'token_embd.weight' is Q8_0, and would be BF16")


def expect_the_same(source: Path, recipe: str, folder: Path) -> None:
    theirs = llama.quantized(source, recipe, target=folder / "theirs.gguf")
    assert made(source, recipe, folder / "ours.gguf").read_bytes() == theirs.read_bytes()


def test_another_alignment_becomes_the_usual_one(sources: dict[str, Path], tmp_path: Path) -> None:
    """llama-quantize keeps the key and not the alignment, and then can't read its own file."""
    wide = rewriting.write(sources["moe"], tmp_path / "wide.gguf", alignment=128)
    assert gguf.read(wide).alignment == 128
    expected = made(sources["moe"], "Q4_0", tmp_path / "expected.gguf")
    assert made(wide, "Q4_0", tmp_path / "ours.gguf").read_bytes() == expected.read_bytes()


def test_the_file_tells_what_it_is_made_of_and_what_that_was_made_of(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    whole = tmp_path / "model-BF16.gguf"
    convert.convert(folder, whole, "BF16", silent, Event())
    path = made(whole, "Q8_0", tmp_path / "ours.gguf", convert.Options())
    keys = gguf.read(path).keys
    told = {name: value.data for name, value in keys.items() if name.startswith(provenance.PREFIX)}
    assert list(told) == list(keys)[-len(told) :]
    start = gguf.read(whole).data_start
    assert told == {
        "g4local.version": __version__,
        "g4local.recipe": "Q8_0",
        "g4local.source.name": "model-BF16.gguf",
        "g4local.source.header_sha256": sha256(whole.read_bytes()[:start]).hexdigest(),
        "g4local.source.version": __version__,
        "g4local.source.recipe": "BF16",
        "g4local.source.source.name": "model",
        "g4local.source.source.header_sha256": gguf.read(whole).keys["g4local.source.header_sha256"].data,
    }
    expect_the_same(whole, "Q8_0", tmp_path)


def test_a_stopped_job_leaves_nothing(sources: dict[str, Path], tmp_path: Path) -> None:
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        requantize.requantize(sources["moe"], tmp_path / "ours.gguf", "Q4_0", silent, cancel)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", ["BF16", "Q8_0", "Q4_K_M"])
def test_a_value_that_is_no_number_is_told_with_its_tensor(
    recipe: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    path = shutil.copy(sources["moe"], tmp_path / "model.gguf")
    header = gguf.read(path)
    [tensor] = [tensor for tensor in header.tensors if tensor.name == "blk.3.ffn_up.weight"]
    with path.open("r+b") as file:
        file.seek(header.data_start + tensor.offset + 34)
        file.write(b"\xc0\x7f")
    expect_failure(path, recipe, BadCheckpoint, "'blk.3.ffn_up.weight'")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"general.architecture": gguf.string("llama")}, "architecture 'llama'"),
        ({"general.architecture": gguf.string("clip")}, "architecture 'clip'"),
        ({"general.architecture": gguf.string(""), "general.type": gguf.string("imatrix")}, "importance matrix"),
        ({"general.architecture": gguf.u32(4)}, "architecture 4"),
        ({"gemma4.block_count": gguf.string("many")}, "block_count is 'many'"),
        ({"gemma4.block_count": gguf.i32(-1)}, "block_count is -1"),
        ({"gemma4.expert_count": gguf.i32s([4])}, "expert_count is [4]"),
    ],
)
def test_another_model_is_refused(
    changes: dict[str, Value], said: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    path = rewriting.write(sources["moe"], tmp_path / "model.gguf", more=changes)
    expect_failure(path, "Q4_0", BadGguf, said)


def test_a_vocabulary_is_no_model(sources: dict[str, Path], tmp_path: Path) -> None:
    path = rewriting.write(sources["moe"], tmp_path / "model.gguf", keeps=lambda name: False)
    expect_failure(path, "Q4_0", BadGguf, "holds no weights")


def test_a_text_that_is_no_text_is_refused_and_not_changed(sources: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(sources["moe"].read_bytes().replace(b"<|turn>", b"<|\xffurn>"))
    expect_failure(path, "Q4_0", BadGguf, "not UTF-8")
    assert gguf.read(path).tensors


def test_parts_that_do_not_belong_together_are_refused(sources: dict[str, Path], tmp_path: Path) -> None:
    first = rewriting.write(sources["moe"], tmp_path / "model-{:05}-of-00003.gguf", parts=3)
    second, third = (tmp_path / f"model-{number:05}-of-00003.gguf" for number in (2, 3))
    expect_failure(second, "Q4_0", UsageError, "one of 3 files")
    other = shutil.copy(first, tmp_path / "other.gguf")
    expect_failure(other, "Q4_0", BadGguf, "is not called so")
    kept = third.read_bytes()
    shutil.copy(second, third)
    expect_failure(first, "Q4_0", BadGguf, "does not belong to")
    rewriting.write(sources["odd"], tmp_path / "odd-{:05}-of-00003.gguf", parts=3)
    shutil.copy(tmp_path / "odd-00003-of-00003.gguf", third)
    expect_failure(first, "Q4_0", BadGguf, "do not add up")
    third.write_bytes(kept[:-100])
    expect_failure(first, "Q4_0", BadGguf, "ends before the data")
    third.unlink()
    expect_failure(first, "Q4_0", ModelNotFound, "model-00003-of-00003.gguf")


@pytest.mark.parametrize(
    ("recipe", "target", "said"),
    [
        ("Q9_Z", "out.gguf", "no quant"),
        ("Q8_0", "model.gguf", "files that are read"),
        ("Q8_0", "../requests/model.gguf", "files that are read"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_usage_error(
    recipe: str, target: str, said: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "requests"
    folder.mkdir()
    path = shutil.copy(sources["moe"], folder / "model.gguf")
    with pytest.raises(UsageError, match=said):
        made(path, recipe, folder / target)
    assert path.read_bytes() == sources["moe"].read_bytes()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_header_is_an_error_or_a_file_that_can_be_read(
    data: st.DataObject, sources: dict[str, Path], tmp_path: Path
) -> None:
    raw = bytearray(sources["moe"].read_bytes())
    start = gguf.read(sources["moe"]).data_start
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, start - 1))] = data.draw(st.integers(0, 255))
    path, target = tmp_path / "model.gguf", tmp_path / "out.gguf"
    path.write_bytes(raw)
    try:
        made(path, data.draw(st.sampled_from([*RECIPES])), target)
    except G4Error as error:
        assert error.message
        assert not target.exists()
    else:
        gguf.read(target)
        target.unlink()
    assert [*tmp_path.iterdir()] == [path]


def test_a_tensor_of_no_layer_is_told_where_its_type_depends_on_the_layer(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    raw = sources["moe"].read_bytes()
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.replace(b"blk.1.ffn_up.weight", b"blk_1.ffn_up.weight"))
    expect_failure(path, "Q4_K_M", BadGguf, "'blk_1.ffn_up.weight' in no layer")


def expect_failure(path: Path, recipe: str, kind: type[G4Error], said: str) -> None:
    target = path.parent / "failed.gguf"
    before = sorted(path.parent.iterdir())
    with pytest.raises(kind) as caught:
        made(path, recipe, target)
    assert type(caught.value) is kind
    assert said in caught.value.message
    assert caught.value.hint
    assert sorted(path.parent.iterdir()) == before
