"""How the next token is picked: llama.cpp's samplers, chained in an order that stays quick with 262144 tokens."""

import ctypes
import math
import secrets
from collections.abc import Iterable
from contextlib import ExitStack
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

import llama_cpp.llama_cpp as llama

from g4local.backend.engine import RANGES, Sampling
from g4local.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

WIDEST = 4096
"""Tokens left by a top-k of 0, "no limit": the samplers after it sort what is left, which takes 17 ms over all."""
PENALIZED = 64
"""Newest tokens that a repeat penalty counts."""
_BLOCK = 1024
"""Tokens of which the likeliest is looked at first, where a few are wanted of many."""


class Sampler:
    """The chain for one generation: suppressed tokens, [repeat penalty], top-k, top-p, min-p, temperature, dice.

    top-k comes first of those that sort. A temperature of 0 or less takes the most likely token instead.
    """

    def __init__(self, sampling: Sampling, vocab_size: int, suppressed: Iterable[int]) -> None:
        check(sampling)
        self.suppressed = frozenset(suppressed)
        self.remembers = sampling.repeat_penalty != 1.0
        """Whether what was said bears on what comes."""
        self.seed = secrets.randbelow(int(RANGES["seed"][1]) + 1) if sampling.seed is None else sampling.seed
        self._vocab_size = vocab_size
        few = len(self.suppressed) + (1 if sampling.temperature <= 0 else sampling.top_k or WIDEST)
        self._few = 0 if self.remembers or few > vocab_size // _BLOCK else few
        """Likeliest tokens of which the chain takes one; 0: it has to see them all."""
        self._closing = ExitStack()
        self._chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        self._closing.callback(llama.llama_sampler_free, self._chain)
        for sampler in self._samplers(sampling, vocab_size, sorted(self.suppressed)):
            llama.llama_sampler_chain_add(self._chain, sampler)

    def sample(self, context: int, row: int) -> int:
        """The next token, from the logits of a row of the last decode's batch; -1 is the last row that has any.

        llama.cpp makes a candidate of each token first, which takes a millisecond or two with Gemma 4's vocabulary;
        the chain's choice among the likeliest is the same, and takes a tenth of that.
        """
        if self._few:
            from g4local.backend.llamacpp import logits

            values = logits.row(context, row, self._vocab_size)
            tokens = logits.likeliest(values, self._few, _BLOCK)
            if tokens.size:
                return self._accepted(logits.pick(self._chain, values, tokens))
        token: int = llama.llama_sampler_sample(self._chain, context, row)
        return token

    def sample_among(self, context: int, row: int, allowed: "npt.NDArray[np.bool_]") -> int:
        """The next token, if only some are allowed."""
        from g4local.backend.llamacpp import logits

        values = logits.row(context, row, self._vocab_size)
        tokens = logits.among(values, allowed, self._few, _BLOCK)
        return self._accepted(logits.pick(self._chain, values, tokens))

    def accept(self, tokens: Iterable[int]) -> None:
        """Count tokens of the prompt as said, for the repeat penalty."""
        for token in tokens:
            llama.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain."""
        self._closing.close()

    def _accepted(self, token: int) -> int:
        llama.llama_sampler_accept(self._chain, token)
        return token

    def _samplers(self, sampling: Sampling, vocab_size: int, suppressed: list[int]) -> Iterable[object]:
        bias = (llama.llama_logit_bias * len(suppressed))(*((token, -math.inf) for token in suppressed))
        yield llama.llama_sampler_init_logit_bias(vocab_size, len(suppressed), bias)
        if sampling.repeat_penalty != 1.0:
            yield llama.llama_sampler_init_penalties(vocab_size, PENALIZED, sampling.repeat_penalty, 0.0, 0.0)
        if sampling.temperature <= 0:
            yield llama.llama_sampler_init_greedy()
            return
        yield llama.llama_sampler_init_top_k(sampling.top_k or min(WIDEST, vocab_size))
        if sampling.top_p < 1:
            yield llama.llama_sampler_init_top_p(ctypes.c_float(sampling.top_p), 1)
        if sampling.min_p > 0:
            yield llama.llama_sampler_init_min_p(ctypes.c_float(sampling.min_p), 1)
        yield llama.llama_sampler_init_temp(ctypes.c_float(sampling.temperature))
        yield llama.llama_sampler_init_dist(self.seed)


def prepare(vocab_size: int) -> None:
    """Load numpy beside what comes next, if tokens of so many will be picked with it."""
    if vocab_size >= _BLOCK:
        Thread(target=import_module, args=("g4local.backend.llamacpp.logits",), daemon=True).start()


def check(sampling: Sampling) -> None:
    """UsageError for values that mean nothing (some of them would end llama.cpp's process)."""
    for name, (low, high) in RANGES.items():
        value = getattr(sampling, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"{name} is {value}.", f"It must be from {low:g} to {high:g}.")
