"""Writes an importance matrix as llama.cpp's imatrix tool does: the same keys and tensors in the same order."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from g4convert import writer
from g4convert.gguf import Value, string, strings, u32
from g4convert.imatrix import CHUNK_COUNT, CHUNK_SIZE, COUNTS, DATASETS, SUMS, Importance
from g4convert.plan import Plan, TensorPlan, padded
from g4convert.quants import TYPES
from g4convert.recipes import RECIPES
from g4convert.transforms import Floats


def write(target: Path, importance: Importance, extra: Mapping[str, Value]) -> None:
    """Write a GGUF with some keys more; it appears whole or not at all.

    UsageError (the target can't be a file), Busy, or G4Error when it can't be written.
    """
    keys = {
        "general.type": string("imatrix"),
        DATASETS: strings(importance.datasets),
        CHUNK_COUNT: u32(importance.chunks),
        CHUNK_SIZE: u32(importance.chunk_tokens),
        **extra,
    }
    tensors = [
        (name + suffix, values)
        for name in sorted(importance.sums, key=str.encode)
        for suffix, values in (
            (SUMS, importance.sums[name]),
            (COUNTS, importance.counts[name].astype(np.float32).reshape(-1, 1)),
        )
    ]
    plan = _plan({name: values.shape for name, values in tensors})
    head = writer.head(keys, plan)
    with writer.beside(target, len(head) + plan.nbytes) as file:
        file.write(head)
        for _, values in tensors:
            file.write(_padded(values))


def _plan(shapes: Mapping[str, tuple[int, ...]]) -> Plan:
    entries, offset = [], 0
    for name, shape in shapes.items():
        entry = TensorPlan(name, shape, "exact", TYPES["F32"], offset, None)
        entries.append(entry)
        offset = padded(offset + entry.nbytes)
    return Plan(RECIPES["F32"], tuple(entries), (), rounds=False)


def _padded(values: Floats) -> bytes:
    content = values.astype("<f4").tobytes()
    return content + bytes(padded(len(content)) - len(content))
