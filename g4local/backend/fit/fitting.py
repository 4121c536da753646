"""How a model is loaded here, whether it fits, and what to change when it does not: arithmetic, without llama.cpp."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from g4local.backend.engine import MOST_DRAFTS, KvType, LoadOptions
from g4local.backend.fit import memory, placement
from g4local.backend.fit.memory import CHECKPOINT_BYTES, CONTEXT_STEP, KV_BLOCK, Need, Placement, Setting
from g4local.backend.fit.shape import Model
from g4local.backend.host import ram
from g4local.backend.host.machine import Device
from g4local.core.errors import DoesNotFit, UsageError
from g4local.core.units import human_bytes

Verdict = Literal["yes", "tight", "no"]

COMFORT = 0.9
"""The share of the available memory that a model may take and still leave the machine at ease."""
LAZY_SHARE = 50
"""Per-layer embeddings are read lazily when they would take more than one part in so many of the available memory.

That costs no speed that could be measured, and halves what E2B and E4B take; for a small table it saves nothing.
"""
SMALLEST_CONTEXT = 1024
"""A context below this is not worth suggesting."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What there is to run a model on."""

    available: int | None
    """Bytes of the machine's memory; None: not known, so nothing is refused."""
    gpus: tuple[Device, ...] = ()
    shared: bool = False
    """The GPUs use the machine's memory."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a model is loaded, and what that takes."""

    setting: Setting
    placement: Placement
    need: Need
    verdict: Verdict
    checkpoint_bytes: int
    """What ways back to earlier turns may take together."""
    copy_bytes: int
    """What a copy of all keys and values may take, of which there may be two for a moment."""


def resources(devices: Sequence[Device]) -> Resources:
    """What there is now, of memory and of what llama.cpp found."""
    there = ram.memory()
    gpus = placement.gpus(devices)
    shared = sys.platform == "darwin" or any(gpu.kind == "integrated gpu" for gpu in gpus)
    return Resources(there.available if there else None, gpus, shared)


def settle(options: LoadOptions, model: Model, resources: Resources, drafter: int = 0) -> Fit:
    """How to load a model with these options, and a drafter of so many bytes, on this machine.

    UsageError for options that the model can't have, DoesNotFit when there is too little memory.
    """
    result = fit(model, setting(options, model, resources, drafter), resources, options.gpu_layers)
    if result.verdict == "no" and not options.force:
        raise DoesNotFit(
            _too_much(options, result, resources), f"{way_out(result, model, resources, options.gpu_layers)} {_FORCE}"
        )
    return result


def fit(model: Model, setting: Setting, resources: Resources, gpu_layers: int | None = None) -> Fit:
    """What a model takes in one setting, and whether that is there."""
    where = placement.choose(model, setting, resources.gpus, gpu_layers)
    need = memory.need(model, setting, where, len(resources.gpus))
    spare = (
        CHECKPOINT_BYTES if resources.available is None else int(COMFORT * resources.available) - _host(need, resources)
    )
    budget = min(CHECKPOINT_BYTES, max(need.checkpoint, need.checkpoint + spare // 2))
    copies = max(0, spare - (budget - need.checkpoint)) // 2
    return Fit(setting, where, need, _verdict(need, resources), budget, copies)


def lazy(choice: Literal["auto", "on", "off"], model: Model, resources: Resources) -> bool:
    """Whether the per-layer embeddings are read when they are needed; models without any have nothing to read."""
    table = model.weights.table
    short = resources.available is None or table * LAZY_SHARE > resources.available
    return table > 0 and (choice == "on" or (choice == "auto" and short))


def largest_context(model: Model, setting: Setting, resources: Resources, gpu_layers: int | None = None) -> int:
    """The longest context that fits with ease, up to the trained one; 0 when none does."""
    least, most = 0, memory.padded(model.shape.trained_context) // CONTEXT_STEP

    def fits(steps: int) -> bool:
        longer = replace(setting, context=steps * CONTEXT_STEP)
        return fit(model, longer, resources, gpu_layers).verdict == "yes"

    if fits(most):
        return most * CONTEXT_STEP
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least * CONTEXT_STEP


def setting(options: LoadOptions, model: Model, resources: Resources, drafter: int = 0) -> Setting:
    """The setting that the options mean; UsageError when the model can't have it."""
    if options.kv_type not in kv_types(model):
        raise UsageError(
            f"The heads of {options.path.stem} are too odd in size for {options.kv_type}.", "Use --kv-type f16."
        )
    trained = model.shape.trained_context
    outputs = 1 if options.draft == "off" else 1 + MOST_DRAFTS
    whole = Setting(trained, options.kv_type, lazy(options.lazy_ple, model, resources), outputs, drafter)
    if options.context == "max":
        largest = largest_context(model, whole, resources, options.gpu_layers)
        return replace(whole, context=largest or min(SMALLEST_CONTEXT, memory.padded(trained)))
    if not 0 <= options.context <= trained:
        raise UsageError(
            f"A context of {options.context} tokens was asked for; {options.path.stem} was trained for {trained}.",
            f"Ask for 1 to {trained} tokens, or for 0, which takes all.",
        )
    return replace(whole, context=memory.padded(options.context or trained))


def kv_types(model: Model) -> tuple[KvType, ...]:
    """The kinds of keys and values whose blocks divide the model's heads."""
    return tuple(
        kind for kind, (block, _) in KV_BLOCK.items() if all(not x.head_size % block for x in model.shape.layers)
    )


def _verdict(need: Need, resources: Resources) -> Verdict:
    if need.device > placement.room(resources.gpus):
        return "no"
    if resources.available is None or _host(need, resources) <= COMFORT * resources.available:
        return "yes"
    return "tight" if _host(need, resources) <= resources.available else "no"


def _host(need: Need, resources: Resources) -> int:
    return need.total if resources.shared else need.host


_FORCE = "--force-load loads it all the same."


def _too_much(options: LoadOptions, result: Fit, resources: Resources) -> str:
    need, name = result.need, options.path.stem
    if need.device > placement.room(resources.gpus):
        needed, there, where = need.device, placement.room(resources.gpus), "the GPU's memory"
    else:
        needed, there, where = _host(need, resources), resources.available or 0, "memory"
    return (
        f"{name} needs {human_bytes(needed)} of {where} with {result.setting.context:,} tokens of context; "
        f"{human_bytes(there)} can be had."
    )


def way_out(result: Fit, model: Model, resources: Resources, gpu_layers: int | None = None) -> str:
    """What would fit: fewer layers on the GPU, a shorter context, smaller keys and values, or another model."""
    if result.need.device > placement.room(resources.gpus):
        return "Leave out --gpu-layers, which takes as many as fit."
    changes = _changes(result.setting, model)
    for words, changed in changes:
        if fit(model, changed, resources, gpu_layers).verdict == "yes":
            return f"It fits{words}."
    least = min(SMALLEST_CONTEXT, memory.padded(model.shape.trained_context))
    for words, changed in changes:
        context = largest_context(model, changed, resources, gpu_layers)
        if context >= least:
            return f"Up to --ctx {context} fits{words}."
    return "Free some memory, or take a smaller quant or model (see g4local fit)."


def _changes(setting: Setting, model: Model) -> list[tuple[str, Setting]]:
    """Settings that may need less, and how they are asked for."""
    changes = [("", setting)]
    if model.weights.table and not setting.lazy:
        changes.append((" with --lazy-ple on", replace(setting, lazy=True)))
    if setting.drafter:
        changes.append((" with --draft ngram", replace(setting, drafter=0)))
    if setting.kv_type == "f16" and "q8_0" in kv_types(model):
        changes.append((" with --kv-type q8_0", replace(setting, kv_type="q8_0")))
    return changes
