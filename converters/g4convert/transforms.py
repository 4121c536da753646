"""What happens to numbers between the checkpoint and ggml."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def widened(raw: bytes, dtype: str) -> Floats:
    """The values of BF16, F16 or F32 bytes, exactly (numpy has no BF16; it is the upper half of a float32)."""
    match dtype:
        case "BF16":
            return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        case "F16":
            return np.frombuffer(raw, "<f2").astype(np.float32)
        case "F32":
            return np.frombuffer(raw, "<f4").astype(np.float32, copy=False)
        case _:
            raise AssertionError(dtype)


def rounded_to_bf16(values: Floats) -> Floats:
    """The nearest BF16 of each finite value, the even one where two are as near."""
    bits = values.view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) & np.uint32(0xFFFF0000)).view(np.float32)


def rope_factors(head_size: int, fraction: float) -> Floats:
    """What full layers' rotary frequencies are divided by: 1 for the dimensions that turn, 1e30 for the rest.

    transformers turns the pairs (i, i + head_size / 2) for the first i only ("proportional"):

        c c 0 0 0 0 0 0 s s 0 0 0 0 0 0        c: cosine, s: sine, 0: not turned

    llama.cpp turns every such pair of a head, or of a leading block of it (c c s s 0 0 ...). Dividing a frequency by
    1e30 stops its pair. The weights can't be reordered instead, since values are made of them too.
    """
    turning = int(head_size * fraction / 2)
    return np.array([1.0] * turning + [1e30] * (head_size // 2 - turning), np.float32)


def channels_first(side: int, values: Floats) -> Floats:
    """Squares of `side` x `side` pixels: from rgb rgb ... to rr ... gg ... bb ..., as ggml takes images apart."""
    return values.reshape(-1, side, side, 3).transpose(0, 3, 1, 2).reshape(-1)


def axes_first(positions: int, values: Floats) -> Floats:
    """Embeddings of a position on either axis: from both axes of each position to all positions of each axis."""
    return values.reshape(positions, 2, -1).transpose(1, 0, 2).reshape(-1)


def softplus(values: Floats) -> Floats:
    """log(1 + e^x), rounded once; above 20 it is x, as in torch, which is off by a last bit here and there."""
    wide = values.astype(np.float64)
    return np.where(wide > 20, wide, np.log1p(np.exp(np.minimum(wide, 20)))).astype(np.float32)
