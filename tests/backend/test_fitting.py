"""What fits where: made-up machines, the five sizes, and every way to say how a model is loaded."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local import planner
from g4local.backend.engine import MOST_DRAFTS, LoadOptions
from g4local.backend.fit import fitting, memory, placement
from g4local.backend.fit.fitting import Resources
from g4local.backend.fit.memory import CHECKPOINT_BYTES, Placement, Setting
from g4local.backend.fit.shape import Model
from g4local.backend.host.machine import Device
from g4local.core.errors import DoesNotFit, UsageError

GB = 10**9
PATH = Path("model.gguf")


@cache
def model(size: str, quant: str = "Q4_K_M") -> Model:
    return planner.of_size(size, quant).model


def gpu(gigabytes: float, kind: str = "gpu") -> Device:
    free = int(gigabytes * GB) + placement.RESERVED_BYTES
    return Device("GPU", "made up", kind, free, 2 * free)


def machine(gigabytes: float, *gpus: Device) -> Resources:
    return Resources(int(gigabytes * GB), gpus)


def settled(size: str, resources: Resources, **options: Any) -> fitting.Fit:
    return fitting.settle(LoadOptions(PATH, **options), model(size), resources)


def test_gpus_are_those_with_memory_of_their_own_or_else_the_others() -> None:
    cpu, own, shared = Device("CPU", "", "cpu", 9, 9), gpu(1), gpu(1, "integrated gpu")
    assert placement.gpus([cpu, shared, own, own]) == (own, own)
    assert placement.gpus([cpu, shared]) == (shared,)
    assert placement.gpus([cpu]) == ()


def test_without_a_gpu_everything_stays_whatever_is_wanted() -> None:
    for wanted in (None, -1, 0, 10):
        assert placement.choose(model("e2b"), Setting(4096), [], wanted) == Placement()


@pytest.mark.parametrize(("wanted", "layers"), [(-1, 36), (0, 0), (1, 1), (35, 35), (36, 36), (512, 36)])
def test_a_number_of_layers_is_taken_at_its_word(wanted: int, layers: int) -> None:
    assert placement.choose(model("e2b"), Setting(4096), [gpu(0.001)], wanted) == Placement(layers)


def test_a_large_gpu_takes_everything() -> None:
    assert placement.choose(model("31b"), Setting(4096), [gpu(30)], None) == Placement(61)
    assert placement.choose(model("26b-a4b"), Setting(4096), [gpu(10), gpu(10)], None) == Placement(31)


def test_experts_stay_behind_before_layers_do() -> None:
    taken = placement.choose(model("26b-a4b"), Setting(4096), [gpu(8)], None)
    assert taken.layers == 31 and 0 < taken.cpu_experts < 30
    less = placement.choose(model("26b-a4b"), Setting(4096), [gpu(5)], None)
    assert less.layers == 31 and less.cpu_experts > taken.cpu_experts
    least = placement.choose(model("26b-a4b"), Setting(4096), [gpu(1.5)], None)
    assert 0 < least.layers < 31 and least.cpu_experts == 30


def test_a_dense_model_leaves_its_first_layers() -> None:
    taken = placement.choose(model("31b"), Setting(4096), [gpu(8)], None)
    assert 0 < taken.layers < 61 and taken.cpu_experts == 0
    assert placement.choose(model("31b"), Setting(4096), [gpu(0.01)], None) == Placement()


@given(
    size=st.sampled_from(planner.SIZES),
    gigabytes=st.lists(st.floats(0, 40), min_size=1, max_size=3),
    context=st.integers(1, 131072),
)
def test_what_is_chosen_fits_and_one_layer_more_would_not(size: str, gigabytes: list[float], context: int) -> None:
    devices = [gpu(each) for each in gigabytes]
    whole, setting = model(size), Setting(context)
    taken = placement.choose(whole, setting, devices, None)
    limit = placement.room(devices)
    assert memory.need(whole, setting, taken, len(devices)).device <= limit
    more = [
        Placement(taken.layers, taken.cpu_experts - 1)
        if taken.cpu_experts and taken.layers > len(whole.shape.layers)
        else None,
        Placement(taken.layers + 1, taken.cpu_experts) if taken.layers <= len(whole.shape.layers) else None,
    ]
    for larger in filter(None, more):
        if larger.layers == 1 and any(whole.weights.experts):
            larger = replace(larger, cpu_experts=len(whole.shape.layers))
        assert memory.need(whole, setting, larger, len(devices)).device > limit


@given(
    size=st.sampled_from(planner.SIZES),
    layers=st.integers(0, 62),
    cpu_experts=st.integers(0, 61),
    context=st.integers(1, 131072),
)
def test_nothing_is_lost_between_machine_and_gpu(size: str, layers: int, cpu_experts: int, context: int) -> None:
    whole, setting = model(size), Setting(context, "q8_0")
    everything = memory.need(whole, setting)
    split = memory.need(whole, setting, Placement(layers, cpu_experts))
    copied = whole.weights.embedding if layers else 0
    assert split.weights + split.device_weights == everything.weights + copied
    assert split.kv_full + split.kv_sliding + split.device_kv == everything.kv_full + everything.kv_sliding


def test_yes_is_with_ease_tight_is_just_and_no_is_refused() -> None:
    need = memory.need(model("12b"), Setting(4096, outputs=1 + MOST_DRAFTS)).host
    for available, verdict in ((need * 10 // 9 + 9, "yes"), (need * 10 // 9 - 9, "tight"), (need, "tight")):
        assert settled("12b", Resources(available)).verdict == verdict
    with pytest.raises(DoesNotFit, match=r"model needs 8\.6 GB of memory with 4,096 tokens") as refused:
        settled("12b", Resources(need - 1))
    assert refused.value.exit_code == 4
    assert "--force-load" in refused.value.hint
    assert settled("12b", Resources(need - 1), force=True).verdict == "no"
    assert settled("12b", Resources(None)).verdict == "yes"


def test_the_way_out_is_one_that_fits() -> None:
    def hint(size: str, gigabytes: float, **options: Any) -> str:
        with pytest.raises(DoesNotFit) as refused:
            settled(size, machine(gigabytes), **options)
        return refused.value.hint

    assert hint("31b", 23.9, context=131072).endswith("fits. --force-load loads it all the same.")
    assert hint("e2b", 3, lazy_ple="off", context=1024).startswith("It fits with --lazy-ple on.")
    assert " fits with --kv-type q8_0. " in hint("31b", 22.9, context=131072)
    assert hint("12b", 9, context=262144).startswith("Up to --ctx ")
    assert hint("12b", 12, context=262144).startswith("It fits with --kv-type q8_0.")
    assert hint("31b", 8).startswith("Free some memory")
    with pytest.raises(DoesNotFit, match="of the GPU's memory") as refused:
        settled("31b", machine(64, gpu(4)), gpu_layers=-1)
    assert "--gpu-layers" in refused.value.hint


@given(size=st.sampled_from(planner.SIZES), gigabytes=st.floats(1, 70), kv_type=st.sampled_from(["f16", "q8_0"]))
def test_the_largest_context_fits(size: str, gigabytes: float, kv_type: memory.KvType) -> None:
    resources, setting = machine(gigabytes), Setting(0, kv_type, lazy=True)
    largest = fitting.largest_context(model(size), setting, resources)
    trained = model(size).shape.trained_context
    assert largest % 256 == 0 and 0 <= largest <= trained
    if largest:
        assert fitting.fit(model(size), replace(setting, context=largest), resources).verdict == "yes"
    if largest < trained:
        assert fitting.fit(model(size), replace(setting, context=largest + 256), resources).verdict != "yes"


def test_a_context_is_a_number_or_what_fits_or_all() -> None:
    assert settled("e2b", machine(64), context=300).setting.context == 512
    assert settled("e2b", machine(64), context=0).setting.context == 131072
    assert settled("e2b", machine(64), context="max").setting.context == 131072
    assert 8192 < settled("12b", machine(11), context="max").setting.context < 262144
    with pytest.raises(DoesNotFit):
        settled("12b", machine(4), context="max")
    for context in (-1, 131073):
        with pytest.raises(UsageError, match="was trained for 131072"):
            settled("e2b", machine(64), context=context)


def test_a_table_is_read_row_by_row_unless_it_is_small_beside_the_memory() -> None:
    table = model("e2b").weights.table
    for available, lazily in ((8 * GB, True), (table * 50 - 1, True), (table * 50, False), (None, True)):
        assert fitting.lazy("auto", model("e2b"), Resources(available)) is lazily
        assert fitting.lazy("on", model("e2b"), Resources(available))
        assert not fitting.lazy("off", model("e2b"), Resources(available))
        assert not fitting.lazy("on", model("12b"), Resources(available))


def test_keys_and_values_of_eight_bits_need_heads_of_whole_blocks() -> None:
    odd = model("e2b")
    layers = tuple(replace(layer, head_size=40) for layer in odd.shape.layers)
    odd = replace(odd, shape=replace(odd.shape, layers=layers))
    assert fitting.kv_types(odd) == ("f16",)
    with pytest.raises(UsageError, match="q8_0"):
        fitting.settle(LoadOptions(PATH, kv_type="q8_0"), odd, machine(64))
    assert settled("e2b", machine(64), kv_type="q8_0").setting.kv_type == "q8_0"


def test_checkpoints_take_half_of_what_is_left_and_one_is_always_kept() -> None:
    assert settled("e2b", machine(64)).checkpoint_bytes == CHECKPOINT_BYTES
    tight = settled("12b", machine(9))
    assert tight.verdict == "tight" and tight.checkpoint_bytes == tight.need.checkpoint
    middle = settled("12b", machine(10.2))
    assert middle.need.checkpoint < middle.checkpoint_bytes < CHECKPOINT_BYTES


def test_a_gpu_that_shares_the_machines_memory_adds_none() -> None:
    whole = memory.need(model("12b"), Setting(4096), Placement(49))
    shared = Resources(whole.total - 1, (gpu(16),), shared=True)
    assert fitting.fit(model("12b"), Setting(4096), shared).verdict == "no"
    assert fitting.fit(model("12b"), Setting(4096), replace(shared, shared=False)).verdict == "yes"
