"""Weights that were trained for Q4_0, and the scale that each of their blocks had.

Quantization-aware training rounds its weights as it goes: the 32 values of a block are scale x k with whole k from -8
to 7, and the checkpoint holds them rounded to BF16. ggml takes a block's largest value, divided by -8, for its scale
(quantize_row_q4_0_ref): another one wherever no k is -8, and a rounded one elsewhere. Here it is the F16 with which all
32 come out as they were, so that nothing is lost. Where several do, it is the one nearest to the least squares of k.

    Q4_0: F16 scale · 16 bytes, of which byte i holds k + 8 of value i (low half) and of value i + 16 (high half)
"""

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from g4convert.quants import TYPES
from g4convert.transforms import Floats, rounded_to_bf16

BLOCK = TYPES["Q4_0"].block

_CHUNK = 4096
"""Blocks that are looked at together, so that they stay in the processor's cache."""
_HALF_STEP = 0x8000
"""Half the distance of two BF16 numbers, in steps of F32."""
_QUARTER_PRODUCT = 0x80
"""A quarter of the least distance of two products of an F16 and a k, which have 15 bits, in steps of F32. It tells a
product on a border from the next ones, whatever the last bits of a division."""
_MOST_OFF = 0.07
"""How far value / scale can be from a whole number up to 8 when both were rounded to BF16."""
_SMALLEST_F16, _LARGEST_F16 = np.float32(2**-24), np.float32(65504)
_MOST = range(8, 0, -1)
"""What the size of a block's largest k may be."""
_DISTINCT = 4
"""Sizes of values that a block must have before it proves something."""


class Tally:
    """Counts blocks; several threads may add to it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.blocks = 0
        """Of the tensors that lie on the lattice."""
        self.exact = 0
        """That lose nothing."""
        self.nearest = 0
        """That keep every k, but have a scale that F16 can't hold."""

    def add(self, blocks: int, exact: int, nearest: int) -> None:
        """Count some blocks."""
        with self._lock:
            self.blocks += blocks
            self.exact += exact
            self.nearest += nearest


def restore(data: NDArray[np.uint8], values: Floats, tally: Tally) -> None:
    """Write into quantized Q4_0 blocks what their values were made of, where they lie on the lattice.

    `data` are the bytes of the blocks of `values`, in the same order; blocks off the lattice stay as they are.
    """
    blocks, places = values.reshape(-1, BLOCK), data.reshape(-1, TYPES["Q4_0"].nbytes)
    for first in range(0, len(blocks), _CHUNK):
        part, place = blocks[first : first + _CHUNK], places[first : first + _CHUNK]
        scales, ks, exact = _fitted(part)
        found, others = np.flatnonzero(scales), np.flatnonzero(scales == 0)
        kept = place[others]
        place[:, :2] = scales.astype("<f2")[:, None].view(np.uint8)
        place[:, 2:] = _packed(ks)
        place[others] = kept
        tally.add(len(part), int(exact.sum()) + int((~part[others].any(axis=1)).sum()), len(found) - int(exact.sum()))


def _packed(ks: Floats) -> NDArray[np.uint8]:
    """The bytes of some blocks' k, a row a block."""
    with np.errstate(invalid="ignore"):
        codes = (ks + np.float32(8)).astype(np.uint8)
    packed: NDArray[np.uint8] = codes[: BLOCK // 2] | codes[BLOCK // 2 :] << np.uint8(4)
    return packed.T


def share(values: Floats) -> float | None:
    """The share of blocks that lie on the lattice; None when no block has enough different values to prove anything."""
    blocks = values.reshape(-1, BLOCK)
    sizes = np.sort(np.abs(blocks), axis=1)
    distinct = (np.diff(sizes, axis=1) > 0).sum(axis=1) + (sizes[:, 0] > 0)
    proving = blocks[distinct >= _DISTINCT]
    return float((_fitted(proving)[0] != 0).mean()) if len(proving) else None


@np.errstate(all="ignore")
def _fitted(blocks: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Each block's scale, 0 where it has none; its k, a column a block; whether all of its values come out exactly.

    The largest value has k = -8, or else -7 and so on; the sign of the scale follows from that, as ggml's does.
    """
    columns = np.ascontiguousarray(blocks.T)
    above, below = columns.max(axis=0), columns.min(axis=0)
    tops = np.where(above >= -below, above, below)
    ks, left = np.zeros(columns.shape, np.float32), np.abs(tops) >= _SMALLEST_F16
    tops[~left] = 1
    has_ks = np.zeros(len(tops), bool)
    for most in _MOST:
        if not left.any():
            break
        whole, near = _whole(columns, tops, most)
        near &= left
        ks += np.multiply(whole, near.astype(np.float32), out=whole)
        has_ks |= near
        left &= ~near
    scales, exact = _scales(columns, ks, has_ks)
    again = np.flatnonzero(has_ks & ~exact)
    if len(again):
        scales[again], ks[:, again], exact[again] = _other(columns[:, again], tops[again], scales[again], ks[:, again])
    return scales, ks, exact


def _other(columns: Floats, tops: Floats, scales: Floats, ks: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """The same for blocks whose first k have no exact scale: other k that have one, or else the k and scales given."""
    exact = np.zeros(len(tops), bool)
    for most in _MOST:
        whole, near = _whole(columns, tops, most)
        found, fits = _scales(columns, whole, near & ~exact)
        np.copyto(ks, whole, where=fits)
        np.copyto(scales, found, where=fits)
        exact |= fits
    return scales, ks, exact


def _whole(columns: Floats, tops: Floats, most: int) -> tuple[Floats, NDArray[np.bool_]]:
    """The k of each value if the block's largest one has -`most`, and for which blocks they are nearly whole."""
    quotients = columns * (np.float32(-most) / tops)
    whole = np.rint(quotients)
    np.subtract(quotients, whole, out=quotients)
    near = np.abs(quotients, out=quotients).max(axis=0) <= _MOST_OFF
    return whole, near & (whole.max(axis=0) < 8)


def _scales(columns: Floats, ks: Floats, wanted: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Each wanted block's scale for given k, and whether all values come out exactly; 0 if no scale comes near."""
    squares = np.maximum(np.einsum("ij,ij->j", ks, ks), 1)
    best = np.einsum("ij,ij->j", columns, ks) / squares
    scales = np.clip(best, -_LARGEST_F16, _LARGEST_F16).astype(np.float16).astype(np.float32)
    steps = (ks * scales).view(np.int32)
    steps -= _exact(columns).view(np.int32)
    most_off = np.abs(steps, out=steps).max(axis=0)
    exact = wanted & (most_off < _HALF_STEP)
    others = np.flatnonzero(wanted & ~exact)
    if len(others):
        found = _nearest_exact(columns.take(others, axis=1), ks.take(others, axis=1), best[others])
        exact[others] = found != 0
        scales[others] = np.where(found != 0, found, scales[others])
    return np.where(exact | (wanted & (most_off < 3 * _HALF_STEP)), scales, np.float32(0)), exact


def _nearest_exact(columns: Floats, ks: Floats, best: Floats) -> Floats:
    """Of the scales that give every value exactly the ones nearest to the best, or 0.

    BF16 rounds half to even, so a value is made of every product between the two borders half a step away, and of the
    borders themselves if its last bit is 0.
    """
    sizes, divisors = np.abs(_exact(columns)).view(np.uint32), np.abs(ks)
    outward = _HALF_STEP + _QUARTER_PRODUCT - ((sizes >> 16) & 1) * np.uint32(2 * _QUARTER_PRODUCT)
    high = ((sizes + outward).view(np.float32) / divisors).min(axis=0)
    low = ((np.maximum(sizes, outward) - outward).view(np.float32) / np.maximum(divisors, 1)).max(axis=0)
    lowest, highest = _rounded_up(low), -_rounded_up(-np.minimum(high, _LARGEST_F16))
    fits = (lowest <= highest) & ((divisors == 0) == (sizes == 0)).all(axis=0)
    nearest = np.clip(np.abs(best).astype(np.float16), lowest, highest).astype(np.float32)
    result: Floats = np.where(fits, np.copysign(nearest, best), np.float32(0))
    return result


def _exact(values: Floats) -> Floats:
    """The values as a BF16 file would hold them, which most do already."""
    return rounded_to_bf16(values) if (values.view(np.uint32) & 0xFFFF).any() else values


def _rounded_up(values: Floats) -> NDArray[np.float16]:
    """The least F16 that is not smaller."""
    halves = values.astype(np.float16)
    return np.where(halves < values, np.nextafter(halves, np.float16(np.inf)), halves)
