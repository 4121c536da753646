"""What of a model goes to GPUs: all of it, all but experts, or its last layers; a function of sizes alone."""

from collections.abc import Iterator, Sequence

from g4local.backend.fit import memory
from g4local.backend.fit.memory import Placement, Setting
from g4local.backend.fit.shape import Model
from g4local.backend.host.machine import Device

RESERVED_BYTES = 512 << 20
"""Of each GPU: its driver's own, what other programs draw, and what an estimate may be wrong by."""


def gpus(devices: Sequence[Device]) -> tuple[Device, ...]:
    """The GPUs that llama.cpp uses: those with memory of their own, or else the ones without."""
    discrete = tuple(device for device in devices if device.kind == "gpu")
    return discrete or tuple(device for device in devices if device.kind == "integrated gpu")


def room(devices: Sequence[Device]) -> int:
    """Bytes that a model may take of GPUs; llama.cpp itself divides the layers among them by what is free."""
    return sum(max(0, device.free_bytes - RESERVED_BYTES) for device in devices)


def choose(model: Model, setting: Setting, devices: Sequence[Device], wanted: int | None) -> Placement:
    """The most of a model that fits on its GPUs, or the number of layers that is wanted (-1 is all).

    Experts stay behind first, the first layers' before others: a token needs few of them, but all of the rest.
    """
    everything = len(model.shape.layers) + 1
    if not devices:
        return Placement()
    if wanted is not None:
        return Placement(everything if wanted < 0 else min(wanted, everything))
    limit = room(devices)
    for placement in _candidates(everything, experts=any(model.weights.experts)):
        if memory.need(model, setting, placement, len(devices)).device <= limit:
            return placement
    return Placement()


def _candidates(everything: int, *, experts: bool) -> Iterator[Placement]:
    """What may lie on GPUs, the most first."""
    yield Placement(everything)
    if experts:
        for behind in range(1, everything):
            yield Placement(everything, behind)
    for layers in range(everything - 1, 0, -1):
        yield Placement(layers, everything - 1 if experts else 0)
