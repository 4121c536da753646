"""Rows of logits as numpy's arrays: the likeliest tokens, and candidates for llama.cpp's samplers.

Importing it loads numpy, which takes longer than loading a small model; so it is imported where it is needed, and a
small vocabulary with nothing to refuse never needs it.
"""

import ctypes

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""llama_token_data."""
_FEW = 4096
"""Candidates that need no choice among them beforehand."""


def row(context: int, index: int, size: int) -> npt.NDArray[np.float32]:
    """A row of the last decode's logits, until the next decode."""
    return np.ctypeslib.as_array(llama.llama_get_logits_ith(context, index), (size,))


def likeliest(logits: npt.NDArray[np.float32], count: int, block: int) -> npt.NDArray[np.int32]:
    """The `count` likeliest tokens and some more, by their ids; what is no number is left out.

    The largest logit of each block is among all of them, so the count-th of these is not above the count-th of all.
    There must be so many blocks.
    """
    blocks = len(logits) // block
    maxima = logits[: blocks * block].reshape(blocks, block).max(axis=1)
    least = np.partition(maxima, blocks - count)[blocks - count]
    return np.flatnonzero(logits >= least).astype(np.int32)


def among(
    logits: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_], count: int, block: int
) -> npt.NDArray[np.int32]:
    """The `count` likeliest of the allowed tokens and some more, or all of these; all where the count is 0."""
    if count and np.count_nonzero(allowed) > _FEW:
        tokens = likeliest(np.where(allowed, logits, -np.inf), count, block)
        if tokens.size and allowed[tokens].all():
            return tokens
    return np.flatnonzero(allowed).astype(np.int32)


def pick(chain: object, logits: npt.NDArray[np.float32], tokens: npt.NDArray[np.int32]) -> int:
    """The token that a chain of samplers picks among these."""
    candidates = np.zeros(len(tokens), _CANDIDATE)
    candidates["id"] = tokens
    candidates["logit"] = logits[tokens]
    data = candidates.ctypes.data_as(ctypes.POINTER(llama.llama_token_data))
    array = llama.llama_token_data_array(data=data, size=len(tokens), selected=-1, sorted=False)
    llama.llama_sampler_apply(chain, ctypes.byref(array))
    token: int = array.data[array.selected].id
    return token
