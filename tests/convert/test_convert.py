"""Whole conversions of tiny checkpoints: llama.cpp's own bytes, the same with any number of threads, all or nothing."""

import os
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event

import gguf as oracle
import numpy as np
import pytest

from g4convert import convert, gguf, writer
from g4convert.recipes import RECIPES
from g4local.core.errors import BadCheckpoint, BadGguf, Cancelled, G4Error, UsageError
from g4local.core.progress import Progress, silent
from tests import checkpoints
from tests.convert import family, llama

QUANTIZED = [name for name in family.SAMPLE if RECIPES[name].is_quantized]
VARIANTS: dict[str, tuple[checkpoints.Kind, dict[str, object]]] = {
    "dense": ("dense", {}),
    "moe of 8": ("moe", {}),
    "moe of 4": ("moe", {"num_experts": 4}),
    "ple": ("ple", {}),
    "odd rows": ("dense", {"intermediate_size": 336, "hidden_size": 160}),
}
REPRODUCIBLE = convert.Options(reproducible=True)


def converted(folder: Path, recipe: str, threads: int = 2) -> Path:
    target = folder.with_name(f"{folder.name}-{recipe}.gguf")
    convert.convert(folder, target, recipe, silent, Event(), convert.Options(threads, reproducible=True))
    return target


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_quantized_file_is_byte_for_byte_what_llama_quantize_makes_of_the_bf16_file(
    variant: str, tmp_path: Path
) -> None:
    kind, changes = VARIANTS[variant]
    folder = checkpoints.write(tmp_path / "model", checkpoints.make(kind, **changes))
    whole = converted(folder, "BF16")
    for recipe in QUANTIZED:
        expected = llama.quantized(whole, recipe)
        assert converted(folder, recipe).read_bytes() == expected.read_bytes(), recipe


def test_a_checkpoint_of_f32_or_f16_quantizes_as_its_bf16_file_does(tmp_path: Path) -> None:
    for dtype in ("F32", "F16"):
        checkpoint = checkpoints.make("moe")
        checkpoint.dtypes = dict.fromkeys(checkpoint.tensors, dtype)
        folder = checkpoints.write(tmp_path / dtype, checkpoint)
        expected = llama.quantized(converted(folder, "BF16"), "Q4_K_M")
        assert converted(folder, "Q4_K_M").read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_gguf_py_reads_every_tensor_back_as_it_was(kind: checkpoints.Kind, tmp_path: Path) -> None:
    checkpoint = checkpoints.make(kind)
    folder = checkpoints.write(tmp_path / "model", checkpoint)
    plan = convert.plan(folder, "BF16")
    reader = oracle.GGUFReader(converted(folder, "BF16"))
    assert [tensor.name for tensor in reader.tensors] == [tensor.name for tensor in plan.tensors]
    for tensor, entry in zip(reader.tensors, plan.tensors, strict=True):
        assert tuple(reversed(tensor.shape.tolist())) == entry.shape
        values = oracle.quants.dequantize(tensor.data, tensor.tensor_type)
        if entry.source:
            raw = checkpoints.encoded(checkpoint.tensors[entry.source.name], "BF16")
            expected = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(entry.shape)
            assert np.array_equal(values.reshape(entry.shape), expected), entry.name
        else:
            assert values.tolist() == [1.0] * 8 + [np.float32(1e30)] * 24


@pytest.mark.parametrize("recipe", family.SAMPLE)
def test_quantizing_loses_no_more_than_its_bits(recipe: str, tmp_path: Path) -> None:
    """Relative error over a whole tensor of normal values; 4.5 bits lose about 8 %."""
    most = {"F32": 0, "BF16": 0.003, "F16": 0.003, "Q8_0": 0.01, "Q6_K": 0.03, "Q5_K_M": 0.06}.get(recipe, 0.11)
    checkpoint = checkpoints.make("moe")
    checkpoint.dtypes = dict.fromkeys(checkpoint.tensors, "F32")
    folder = checkpoints.write(tmp_path / "model", checkpoint)
    reader = oracle.GGUFReader(converted(folder, recipe))
    for tensor, entry in zip(reader.tensors, convert.plan(folder, recipe).tensors, strict=True):
        if entry.source:
            expected = checkpoint.tensors[entry.source.name].reshape(-1)
            found = oracle.quants.dequantize(tensor.data, tensor.tensor_type).reshape(-1)
            assert np.linalg.norm(found - expected) <= most * np.linalg.norm(expected), entry.name


@pytest.mark.parametrize("recipe", ["BF16", "Q4_K_M"])
def test_threads_and_slabs_change_no_byte(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("moe"))
    expected = converted(folder, recipe, threads=1).read_bytes()
    for threads, slab in ((1, 5000), (3, 1000), (8, 20000)):
        monkeypatch.setattr(writer, "_SLAB", slab)
        assert converted(folder, recipe, threads).read_bytes() == expected


def test_shards_give_the_tensors_of_a_single_file(tmp_path: Path) -> None:
    checkpoint = checkpoints.make("ple")
    whole = converted(checkpoints.write(tmp_path / "whole" / "model", checkpoint), "Q8_0")
    cut = converted(checkpoints.write(tmp_path / "cut" / "model", checkpoint, shards=5), "Q8_0")
    assert cut.read_bytes() == whole.read_bytes()


def test_memory_is_that_of_some_slabs_and_not_of_a_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_SLAB", 1 << 14)
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense", intermediate_size=8192))
    job = convert.prepare(folder, "Q8_0")
    assert max(tensor.rows * tensor.row * 4 for tensor in job.plan.tensors) == 8 << 20
    with (tmp_path / "data").open("wb") as file, convert.checkpoint.rows(job.source.values()) as rows:
        tracemalloc.start()
        writer.write(file, job.plan, rows, 2, silent, Event())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20


def test_progress_counts_every_byte_of_the_data(tmp_path: Path) -> None:
    seen: list[Progress] = []
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    done = convert.convert(folder, tmp_path / "out.gguf", "Q4_0", seen.append, Event())
    assert seen[0].done == 0
    assert seen[-1].done == seen[-1].total == done.plan.nbytes
    assert [progress.done for progress in seen] == sorted({progress.done for progress in seen})
    assert done.nbytes == (tmp_path / "out.gguf").stat().st_size


@pytest.mark.parametrize("after", [0, 1, 7, 60])
def test_a_stopped_conversion_leaves_nothing(after: int, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("moe"))
    before = sorted(tmp_path.rglob("*"))
    cancel, reports = Event(), Counter[str]()

    def report(progress: Progress) -> None:
        assert (tmp_path / "out.gguf.part").exists()
        reports[progress.stage] += 1
        if reports[progress.stage] > after:
            cancel.set()

    with pytest.raises(Cancelled):
        convert.convert(folder, tmp_path / "out.gguf", "Q4_K_M", report, cancel)
    assert reports.total() == after + 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("recipe", ["F32", "BF16", "F16", "Q8_0", "Q4_K_M"])
def test_a_value_that_is_no_number_is_told_with_its_tensor(bad: float, recipe: str, tmp_path: Path) -> None:
    checkpoint = checkpoints.make("dense")
    name = "model.language_model.layers.3.mlp.up_proj.weight"
    checkpoint.tensors[name][17, 5] = bad
    checkpoint.dtypes[name] = "F32"
    expect_failure(checkpoints.write(tmp_path / "model", checkpoint), recipe, BadCheckpoint, name)


@pytest.mark.parametrize(
    ("recipe", "value"), [("F16", 1e6), ("Q8_0", 3e38), ("Q4_K_M", 1e38), ("Q6_K", 1e38), ("Q6_K", 3.4e38)]
)
def test_a_value_too_large_for_its_type_is_told_with_its_tensor(
    recipe: str, value: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoint = checkpoints.make("dense")
    name = "model.language_model.layers.3.mlp.up_proj.weight"
    checkpoint.tensors[name][17, 5] = value
    checkpoint.dtypes[name] = "F32"
    expect_failure(checkpoints.write(tmp_path / "model", checkpoint), recipe, BadCheckpoint, name)
    assert capfd.readouterr().out == ""


def test_an_existing_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    target = tmp_path / "out.gguf"
    target.write_bytes(b"old")
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        convert.convert(folder, target, "Q8_0", silent, cancel)
    assert target.read_bytes() == b"old"
    convert.convert(folder, target, "Q8_0", silent, Event())
    assert gguf.read(target).tensors


def test_what_a_killed_process_left_behind_is_used_again(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    (tmp_path / "out.gguf.part").write_bytes(bytes(10_000_000))
    convert.convert(folder, tmp_path / "out.gguf", "Q8_0", silent, Event(), REPRODUCIBLE)
    assert (tmp_path / "out.gguf").read_bytes() == converted(folder, "Q8_0").read_bytes()
    assert not (tmp_path / "out.gguf.part").exists()


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("mine.txt"), os.mkfifo], ids=["link", "pipe"])
def test_a_link_or_a_pipe_in_the_part_s_place_is_neither_followed_nor_waited_for(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    (tmp_path / "mine.txt").write_text("precious")
    make(tmp_path / "out.gguf.part")
    expect_failure(folder, "Q8_0", G4Error, "can't be written")
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_two_conversions_to_one_target_do_not_mix(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    target = tmp_path / "out.gguf"

    def report(progress: Progress) -> None:
        if progress.done == 0:
            with pytest.raises(G4Error, match="Another process"):
                convert.convert(folder, target, "Q4_0", silent, Event())

    convert.convert(folder, target, "Q8_0", report, Event(), REPRODUCIBLE)
    assert target.read_bytes() == converted(folder, "Q8_0").read_bytes()


def test_a_full_disk_is_told_before_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    expect_failure(folder, "Q8_0", G4Error, "free")


def test_a_write_that_fails_is_one_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    monkeypatch.setattr(os, "fsync", full)
    expect_failure(folder, "Q8_0", G4Error, "No space left on device")


def test_a_file_that_came_out_too_short_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = writer._slabs
    monkeypatch.setattr(writer, "_slabs", lambda plan: iter(list(whole(plan))[:-1]))
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    expect_failure(folder, "Q8_0", BadGguf, "ends before")


@pytest.mark.parametrize(
    ("recipe", "target", "said"),
    [
        ("Q9_Z", lambda path: path / "out.gguf", "no quant"),
        ("Q8_0", lambda path: path / "missing" / "out.gguf", "no folder"),
        ("Q8_0", lambda path: path, "is a folder"),
        ("Q8_0", lambda path: Path("/dev/null"), "a device"),
        ("Q8_0", lambda path: path / "model" / ".." / "model" / "model.safetensors", "files that are read"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_usage_error(
    recipe: str, target: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    with pytest.raises(UsageError, match=said):
        convert.convert(folder, target(tmp_path), recipe, silent, Event())


def expect_failure(folder: Path, recipe: str, kind: type[G4Error], said: str) -> None:
    target = folder.parent / "out.gguf"
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(kind) as caught:
        convert.convert(folder, target, recipe, silent, Event())
    assert type(caught.value) is kind
    assert said in caught.value.message
    assert caught.value.hint
    assert sorted(folder.parent.rglob("*")) == before
