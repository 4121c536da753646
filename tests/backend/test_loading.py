"""How a model is loaded: keys and values of eight bits, experts left behind, flash attention, pages let go of."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest
from gguf import GGUFReader
from numpy.typing import NDArray

from g4local.backend.engine import MOST_DRAFTS
from g4local.backend.fit import fitting, memory, placement
from g4local.backend.fit.fitting import Resources
from g4local.backend.fit.memory import Placement
from g4local.backend.host.machine import Device
from g4local.backend.llama import NO_GPU, LlamaEngine
from g4local.backend.llamacpp import ggml, nextn
from g4local.backend.model import header, loading
from g4local.core.errors import DoesNotFit, EngineError
from g4local.core.progress import silent
from tests import checkpoints
from tests.backend.conftest import Loader
from tests.backend.prompts import GREEDY, chat, ids, words
from tests.conftest import Tiny

PROMPT = chat(words(1, 40), "yes", words(2, 5))


def said(load: Loader, path: Path, **options: Any) -> list[int]:
    return ids(load(path, **options).generate(PROMPT, GREEDY, 10, silent))


def logits(engine: LlamaEngine) -> NDArray[np.float32]:
    """Of the token after the prompt."""
    list(engine.generate(PROMPT, GREEDY, 1, silent))
    return np.array(llama.llama_get_logits_ith(engine._context, -1)[: engine.info.vocab_size], np.float32)


@pytest.mark.parametrize("kind", ["dense", "ple"])  # a router would turn rounding into other experts
def test_keys_and_values_of_eight_bits_say_nearly_the_same(kind: checkpoints.Kind, tiny: Tiny, load: Loader) -> None:
    exact, rounded = (logits(load(tiny(kind), kv_type=kv_type)) for kv_type in ("f16", "q8_0"))
    assert 0 < np.abs(exact - rounded).max() < exact.std()
    assert np.corrcoef(exact, rounded)[0, 1] > 0.98


@pytest.mark.parametrize("lazily", ["auto", "on", "off"])
def test_a_table_that_is_read_row_by_row_says_the_same(
    lazily: str, tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = said(load, tiny("ple"))
    seen = watched(monkeypatch, "llama_model_load_from_file")
    assert said(load, tiny("ple"), lazy_ple=lazily) == plain
    [(_, params)] = seen
    assert params.lazy_mode == (llama.LLAMA_LAZY_MODE_ON if lazily == "on" else llama.LLAMA_LAZY_MODE_OFF)


def test_experts_that_stay_behind_say_the_same(tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = said(load, tiny("moe"))
    seen = watched(monkeypatch, "llama_model_load_from_file")
    monkeypatch.setattr(fitting.placement, "choose", lambda *_: Placement(cpu_experts=4))
    assert said(load, tiny("moe")) == plain
    [(_, params)] = seen
    assert params.tensor_buft_overrides


@pytest.mark.parametrize(
    ("kind", "lacking", "expected"),
    [
        ("gpu", 0, Placement(7)),  # CUDA with room for everything
        ("gpu", 1, Placement(7, 1)),  # a byte less: the first layer's experts stay behind
        ("integrated gpu", 0, Placement(7)),  # Metal, whose memory is the machine's
        ("cpu", 0, Placement()),
    ],
)
def test_what_was_chosen_for_the_devices_is_what_llama_cpp_is_told(
    kind: str, lacking: int, expected: Placement, tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = memory.Setting(1024, outputs=1 + MOST_DRAFTS)
    everything = memory.need(header.read(tiny("moe")).model, setting, Placement(7), 1).device
    free = placement.RESERVED_BYTES + everything - lacking
    monkeypatch.setattr(ggml, "devices", lambda: [Device("GPU", "made up", kind, free, 2 * free)])
    monkeypatch.setattr(llama, "llama_supports_gpu_offload", lambda: True)
    loaded = watched(monkeypatch, "llama_model_load_from_file")
    opened = watched(monkeypatch, "llama_init_from_model")
    engine = load(tiny("moe"), gpu_layers=None)
    [(_, params)], [(_, context)] = loaded, opened
    assert (params.n_gpu_layers, bool(params.tensor_buft_overrides)) == (expected.layers, expected.cpu_experts > 0)
    assert context.flash_attn_type == (
        llama.LLAMA_FLASH_ATTN_TYPE_AUTO if expected.layers else llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    assert engine._piece == (memory.BATCH if expected.layers else memory.PIECE)
    assert (engine._cache._threads is None) == (expected.layers > 0), "other programs do not want the GPU's cores"


def test_the_experts_of_the_first_layers_are_named_and_nothing_else(tiny: Tiny) -> None:
    assert loading._overrides(Placement(7)) is None
    overrides = loading._overrides(Placement(7, 4))
    assert overrides and overrides[0].buft and not overrides[1].pattern
    names = [tensor.name for tensor in GGUFReader(tiny("moe")).tensors]
    behind = [name for name in names if re.search(overrides[0].pattern.decode(), name)]
    assert behind == [name for name in names if re.match(r"blk\.[0-3]\.", name) and "_exps." in name]
    assert len(behind) == 4 * 3


def watched(monkeypatch: pytest.MonkeyPatch, name: str, instead: Callable[..., Any] | None = None) -> list[Any]:
    """The arguments of calls of one of llama.cpp's functions."""
    seen: list[Any] = []
    real = getattr(llama, name)

    def call(*arguments: Any) -> Any:
        seen.append(arguments)
        return (instead or real)(*arguments)

    monkeypatch.setattr(llama, name, call)
    return seen


def test_a_context_that_flash_attention_can_not_have_is_made_without(
    tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "PLAIN_ATTENTION_BYTES", 0)
    tried: list[int] = []
    make = llama.llama_init_from_model

    def only_plain(model: int, params: Any) -> int | None:
        tried.append(params.flash_attn_type)
        return make(model, params) if params.flash_attn_type == llama.LLAMA_FLASH_ATTN_TYPE_DISABLED else None

    monkeypatch.setattr(llama, "llama_init_from_model", only_plain)
    assert said(load, tiny("dense"))
    assert tried == [llama.LLAMA_FLASH_ATTN_TYPE_AUTO, llama.LLAMA_FLASH_ATTN_TYPE_DISABLED]
    with pytest.raises(EngineError, match="can't make a context"):
        load(tiny("dense"), kv_type="q8_0")
    assert tried[2:] == [llama.LLAMA_FLASH_ATTN_TYPE_AUTO]


def test_what_does_not_fit_is_refused_before_it_is_loaded_unless_forced(
    tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "resources", lambda: Resources(10_000_000))
    loaded = watched(monkeypatch, "llama_model_load_from_file")
    with pytest.raises(DoesNotFit, match=r"10\.0 MB can be had"):
        load(tiny("dense"))
    assert not loaded
    assert said(load, tiny("dense"), force=True)
    assert len(loaded) == 1


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_the_pages_of_repacked_weights_are_let_go_of(demo: Path, load: Loader) -> None:
    load(demo, extra_buffers=True)
    [resident] = re.findall(rf"{re.escape(str(demo))}\n(?:.*\n)*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text())
    assert int(resident) * 1024 < demo.stat().st_size / 4
    load(demo, extra_buffers=False)
    found = re.findall(rf"{re.escape(str(demo))}\n(?:.*\n)*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text())
    assert max(map(int, found)) * 1024 > demo.stat().st_size / 4


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_a_last_layer_that_is_spared_rows_without_logits_gives_the_same_logits(
    kind: checkpoints.Kind, tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    api = nextn.functions()
    assert api is not None
    original = api.llama_set_embeddings_nextn

    def listened(context: int, wanted: bool, masked: bool) -> None:
        told.append(masked)
        original(context, wanted, masked)

    spared = load(tiny(kind))
    with monkeypatch.context() as patch:
        patch.setattr(nextn, "functions", lambda: None)
        whole = load(tiny(kind))
    with monkeypatch.context() as patch:
        patch.setattr(api, "llama_set_embeddings_nextn", listened)
        load(tiny(kind))
    assert told == [True]
    assert np.abs(logits(spared) - logits(whole)).max() < 0.1


@pytest.mark.parametrize("complaint", ["std::bad_alloc", "unable to allocate CPU buffer", "insufficient memory"])
def test_a_model_that_gets_no_memory_is_not_called_damaged(
    complaint: str, tiny: Tiny, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama, "llama_model_load_from_file", lambda path, params: None)
    monkeypatch.setattr(type(loading.listen()), "complaint", lambda log: complaint)
    with pytest.raises(DoesNotFit, match=f"too little memory for .*: {complaint}"):
        load(tiny("dense"))


@pytest.mark.parametrize(("wanted", "is_told"), [(None, False), (0, False), (7, True), (-1, True)])
def test_layers_for_a_gpu_that_is_not_there_are_told(
    wanted: int | None, is_told: bool, demo: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "resources", lambda: Resources(None))
    warnings = load(demo, gpu_layers=wanted).info.warnings
    assert [warning for warning in warnings if "no GPU" in warning] == [NO_GPU] * is_told
