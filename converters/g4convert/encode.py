"""Some rows of a tensor, from the bytes of the checkpoint to those of the GGUF.

read -> widen to float32 -> transform -> round to BF16 -> quantize
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g4convert import ggml, lattice
from g4convert.checkpoint import Rows
from g4convert.plan import TensorPlan, padded
from g4convert.quants import FLOATS, TensorType
from g4convert.transforms import Floats, rounded_to_bf16, widened
from g4local.core.errors import BadCheckpoint, BadImatrix

_LARGEST = 1e9
"""Of a value to be quantized to a type whose scale is F16: no quantum reaches that far, and ggml sums fourth powers."""
_LARGEST_OF_EXPONENTS = 1e16
"""Of a value to be quantized to a type whose scale is a power of two; ggml sums squares in float32."""
_LARGEST_WEIGHTED = 1e34
"""Of a value's third power times its weight; ggml sums that in float32, and ends the process where it is too large."""


@dataclass(frozen=True, slots=True)
class Slab:
    """Some rows of a tensor."""

    tensor: TensorPlan
    first: int
    count: int


def encoded(slab: Slab, source: Rows, *, rounds: bool) -> bytes:
    """The bytes of a slab, with the padding that follows the tensor after its last one.

    Where the plan rounds, all types take the values that a BF16 file would hold, so that one pass gives the bytes
    of two. Values are looked at before, since some quantizers turn too large ones into zeros, and after, for their
    scales: BadCheckpoint names the tensor that has values which are no numbers.
    """
    tensor = slab.tensor
    raw, dtype = _raw(slab, source)
    if dtype not in FLOATS:
        _expect(ggml.is_valid(np.frombuffer(raw, np.uint8), tensor.type), tensor)
        return _padded(raw, slab)
    values = widened(raw, dtype)
    if tensor.transform is not None:
        values = tensor.transform(values)
    most = np.inf if tensor.bound else _most(tensor.type)
    _expect(-most <= values.min() and values.max() <= most, tensor)
    if dtype == tensor.type.name and tensor.transform is None:
        content = raw
    else:
        is_rounded = rounds and tensor.role != "exact" and dtype != "BF16"
        data = _quantized(slab, rounded_to_bf16(values) if is_rounded else values)
        if tensor.lattice is not None:
            lattice.restore(data, values, tensor.lattice)
        _expect(tensor.bound or ggml.is_valid(data, tensor.type), tensor)
        content = data.tobytes()
    return _padded(content, slab)


def _most(kind: TensorType) -> float:
    """The largest value that a type is made of."""
    if kind.name in FLOATS:
        return float(np.finfo(np.float32).max)
    return _LARGEST_OF_EXPONENTS if kind.name in ("MXFP4", "NVFP4") else _LARGEST


def _quantized(slab: Slab, values: Floats) -> NDArray[np.uint8]:
    """The rows as ggml stores them, cut where an expert's end, since each expert has weights of its own."""
    tensor = slab.tensor
    if tensor.weights is None:
        return ggml.quantized(values, tensor.row, tensor.type)
    if float(tensor.weights.max()) * max(float(values.max()), -float(values.min())) ** 3 > _LARGEST_WEIGHTED:
        raise BadImatrix(
            f"The importance matrix has values for {tensor.name!r} that are too large for {tensor.type.name}.",
            "It is damaged; make it again.",
        )
    each = tensor.rows // len(tensor.weights)
    parts, at, last = [], slab.first, slab.first + slab.count
    while at < last:
        end = min(last, (at // each + 1) * each)
        part = values[(at - slab.first) * tensor.row : (end - slab.first) * tensor.row]
        parts.append(ggml.quantized(part, tensor.row, tensor.type, tensor.weights[at // each]))
        at = end
    return np.concatenate(parts)


def _padded(content: bytes, slab: Slab) -> bytes:
    """The bytes of a slab, and what must follow the last one of a tensor."""
    tensor = slab.tensor
    last = slab.first + slab.count == tensor.rows
    return content + bytes(padded(tensor.nbytes) - tensor.nbytes) if last else content


def _raw(slab: Slab, source: Rows) -> tuple[bytes, str]:
    """The bytes of the rows before anything is done to them, and their type."""
    tensor = slab.tensor
    if tensor.make is not None:
        return tensor.make().tobytes(), "F32"
    assert tensor.source is not None
    if tensor.is_whole:
        return source.read(tensor.source, 0, tensor.source.rows), tensor.source.dtype
    return source.read(tensor.source, slab.first, slab.count), tensor.source.dtype


def _expect(numbers: bool | np.bool_, tensor: TensorPlan) -> None:
    if not numbers:
        name = tensor.source.name if tensor.source else tensor.name
        raise BadCheckpoint(
            f"The tensor {name!r} has values that are infinite, not a number, or too large for {tensor.type.name}.",
            "The model is damaged, or the quant does not suit it.",
        )
