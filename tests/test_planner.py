"""What the planner says of the five sizes is what llama.cpp says; a checkpoint says what the GGUF of it does."""

import json
from pathlib import Path
from threading import Event

import llama_cpp.llama_cpp as llama
import pytest

from g4convert import gguf
from g4convert.architectures import gemma4
from g4convert.convert import Options, convert
from g4convert.gguf import Gguf, string
from g4local import planner
from g4local.backend.engine import MOST_DRAFTS, KvType
from g4local.backend.fit import memory
from g4local.backend.fit.memory import Setting
from g4local.backend.llamacpp.log import listen
from g4local.core.errors import BadGguf, ModelNotFound, UsageError
from g4local.core.progress import silent
from tests import checkpoints
from tests.backend import dry
from tests.conftest import ROOT

FAMILY = ROOT / "tests" / "golden" / "family"
sizes = pytest.mark.parametrize("size", planner.SIZES)

KV_TABLE = {
    "e2b": (6, 12, 12, (36, 60, 204, 780)),
    "e4b": (16, 40, 40, (104, 168, 552, 2088)),
    "12b": (16, 320, 480, (544, 608, 992, 2528, 4576)),
    "26b-a4b": (20, 200, 300, (380, 460, 940, 2860, 5420)),
    "31b": (80, 800, 1200, (1520, 1840, 3760, 11440, 21680)),
}
"""KiB a token in full layers, KiB a cell and MiB in sliding ones, MiB in all from 4K to 256K; with flash attention."""


@sizes
def test_the_family_is_that_of_googles_config_files(size: str) -> None:
    google = json.loads((FAMILY / f"{size}.json").read_text(encoding="utf-8"))
    assert gemma4.read(planner.config(size)) == gemma4.read(google)


@sizes
def test_keys_and_values_are_the_known_table(size: str) -> None:
    shape = planner.of_size(size, "Q4_K_M").model.shape
    by_token, by_cell, sliding, totals = KV_TABLE[size]
    for context, total in zip((4096, 8192, 32768, 131072, 262144), totals, strict=False):
        full_bytes, sliding_bytes = kv(planner.of_size(size, "Q4_K_M"), Setting(context), flash=True)
        assert full_bytes == context * by_token * 1024
        assert sliding_bytes == sliding * dry.MIB == memory.sliding_cells(shape, context) * by_cell * 1024
        assert full_bytes + sliding_bytes == total * dry.MIB
        quantized = sum(kv(planner.of_size(size, "Q4_K_M"), Setting(context, "q8_0"), flash=True))
        assert quantized == (full_bytes + sliding_bytes) * 34 // 64


def kv(candidate: planner.Candidate, setting: Setting, *, flash: bool) -> tuple[int, int]:
    shape = candidate.model.shape
    by_layer = [memory.kv_bytes(shape, index, setting, flash=flash) for index in range(len(shape.layers))]
    sliding = sum(nbytes for nbytes, layer in zip(by_layer, shape.layers, strict=True) if layer.sliding)
    return sum(by_layer) - sliding, sliding


@sizes
def test_every_sum_is_llama_cpps_own(size: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    candidate = planner.of_size(size, "Q4_K_M")
    dry.write(tmp_path / "sparse.gguf", size)
    listen()
    with dry.planned(tmp_path / "sparse.gguf") as model:
        assert llama.llama_model_size(model) == candidate.model.weights.total
        contexts: list[tuple[int, KvType, bool]] = [(4096, "f16", False), (1024, "f16", False), (256, "f16", True)]
        for context, kv_type, flash in [*contexts, (32768, "f16", True), (8192, "q8_0", True)]:
            capfd.readouterr()
            number = llama.GGML_TYPE_F16 if kv_type == "f16" else llama.GGML_TYPE_Q8_0
            dry.log_of_context(model, context, number, flash=flash, outputs=1 + MOST_DRAFTS)
            said = dry.sums(capfd.readouterr().err)
            full, sliding = kv(candidate, Setting(context, kv_type), flash=flash)
            assert (said.kv_full, said.kv_sliding) == pytest.approx((full / dry.MIB, sliding / dry.MIB), abs=0.006)
            compute = memory.compute_bytes(candidate.model.shape, context, flash=flash) / dry.MIB
            assert 0.95 * said.compute <= compute <= 1.16 * said.compute
            need = memory.need(candidate.model, Setting(context, kv_type))
            assert said.output == pytest.approx(need.output / dry.MIB, abs=0.006)


def test_attention_goes_without_flash_attention_while_that_costs_little() -> None:
    def chosen(size: str, *contexts: int) -> list[bool]:
        shape = planner.of_size(size, "Q4_K_M").model.shape
        return [memory.flash_attention(shape, context, "f16", on_gpu=False) for context in contexts]

    assert chosen("31b", 4096, 8192, 16384) == [False, True, True]
    assert chosen("e2b", 4096, 32768, 65536) == [False, False, True]
    shape = planner.of_size("e2b", "Q4_K_M").model.shape
    assert memory.flash_attention(shape, 4096, "f16", on_gpu=True)
    assert memory.flash_attention(shape, 4096, "q8_0", on_gpu=False)


@pytest.mark.parametrize("kind", checkpoints.KINDS)
@pytest.mark.parametrize("recipe", ["BF16", "Q8_0"])
def test_a_checkpoint_is_planned_as_the_gguf_that_it_becomes(
    kind: checkpoints.Kind, recipe: str, tmp_path: Path
) -> None:
    source = checkpoints.write(tmp_path / kind, checkpoints.make(kind))
    convert(source, tmp_path / "model.gguf", recipe, silent, Event(), Options(threads=1))
    header = gguf.read(tmp_path / "model.gguf", 512)
    assert planner.of_checkpoint(source, kind, recipe) == planner.of_gguf(header, kind, recipe)


def test_what_can_not_be_planned_is_an_error(tmp_path: Path) -> None:
    dry.write(tmp_path / "sparse.gguf", "e2b")
    header = gguf.read(tmp_path / "sparse.gguf", 512)
    other = Gguf(**{**fields_of(header), "keys": {**header.keys, "general.architecture": string("llama")}})
    with pytest.raises(BadGguf, match="architecture 'llama'"):
        planner.of_gguf(other, "x", "Q4_K_M")
    for key in ("block_count", "embedding_length", "attention.sliding_window_pattern", "attention.head_count_kv"):
        keys = {name: value for name, value in header.keys.items() if name != f"gemma4.{key}"}
        with pytest.raises(BadGguf, match=f"contradicts itself: {key} is missing"):
            planner.of_gguf(Gguf(**{**fields_of(header), "keys": keys}), "x", "Q4_K_M")
    with pytest.raises(ModelNotFound, match="no size 'e3b'"):
        planner.of_size("e3b", "Q4_K_M")
    with pytest.raises(UsageError, match="no quant 'Q9'"):
        planner.of_size("e2b", "Q9")


def fields_of(header: Gguf) -> dict[str, object]:
    return {name: getattr(header, name) for name in Gguf.__slots__}
