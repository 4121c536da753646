"""What a context remembers of one sequence of tokens, and the ways back to earlier points of it."""

import ctypes
from collections import OrderedDict
from collections.abc import Sequence

import llama_cpp.llama_cpp as llama

from g4local.backend import prefix
from g4local.backend.memory import BATCH, CHECKPOINT_BYTES
from g4local.core.errors import EngineError

_SEQUENCE = 0
_SLIDING_ONLY = llama.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
"""A state of the sliding layers alone: the full layers' part is still in the cache when a state is restored."""
_ABORTED = 2
"""llama_decode's answer when the abort callback said so."""


class Cache:
    """The tokens in a context's memory; the context belongs to the caller and outlives this."""

    def __init__(self, context: int, window: int, checkpoint_bytes: int = CHECKPOINT_BYTES) -> None:
        self.tokens: list[int] = []
        """What the memory holds, position by position."""
        self.checkpoints: OrderedDict[int, ctypes.Array[ctypes.c_uint8]] = OrderedDict()
        """States by the length at which they were saved, the least recently used first."""
        self._context = context
        self._memory = llama.llama_get_memory(context)
        self._window = window
        self._budget = checkpoint_bytes
        self._batch = llama.llama_batch_init(BATCH, 0, 1)

    def close(self) -> None:
        """Free what belongs to the cache itself."""
        llama.llama_batch_free(self._batch)
        self.checkpoints.clear()

    def keep(self, prompt: Sequence[int]) -> int:
        """Cut the memory back to the longest beginning of the prompt that can be continued exactly; its length."""
        reuse = prefix.reuse(self.tokens, prompt, self._oldest(), self._window, self.checkpoints)
        shared = prefix.common(self.tokens, prompt)
        if reuse.checkpoint is not None and not self._restore(reuse.checkpoint):
            reuse = prefix.Reuse(0)
        if reuse.length == 0:
            self.clear()
            return 0
        self.cut(reuse.length)
        for saved in [saved for saved in self.checkpoints if saved > shared]:
            del self.checkpoints[saved]
        return reuse.length

    def decode(self, tokens: Sequence[int], *, logits: int) -> bool:
        """Append at most BATCH tokens, the last so many of them with logits; False when the stop flag ended it.

        What was stopped leaves the memory, and so do its tokens.
        """
        batch, start = self._batch, len(self.tokens)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = start + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = _SEQUENCE
            batch.logits[i] = i >= len(tokens) - logits
        code = llama.llama_decode(self._context, batch)
        if code == 0:
            self.tokens += tokens
            return True
        if code == _ABORTED:
            self.tokens += tokens
            del self.tokens[llama.llama_memory_seq_pos_max(self._memory, _SEQUENCE) + 1 :]
            return False
        self.clear()
        raise EngineError(
            f"llama.cpp could not compute the next tokens (code {code}).", "Ask again; its log says more."
        )

    def cut(self, length: int) -> None:
        """Forget what is behind the first `length` tokens; the caller knows that they can be continued exactly."""
        llama.llama_memory_seq_rm(self._memory, _SEQUENCE, length, -1)
        del self.tokens[length:]

    def save(self, later: int = 0) -> None:
        """Keep a checkpoint of this point, unless `later` ones of the same prompt will fill the room."""
        length = len(self.tokens)
        if length in self.checkpoints:
            self.checkpoints.move_to_end(length)
            return
        nbytes = llama.llama_state_seq_get_size_ext(self._context, _SEQUENCE, _SLIDING_ONLY)
        if self._window == 0 or nbytes * (later + 1) > self._budget:
            return
        while self.checkpoints and sum(map(len, self.checkpoints.values())) + nbytes > self._budget:
            self.checkpoints.popitem(last=False)
        state = (ctypes.c_uint8 * nbytes)()
        if llama.llama_state_seq_get_data_ext(self._context, state, nbytes, _SEQUENCE, _SLIDING_ONLY) == nbytes:
            self.checkpoints[length] = state

    def clear(self) -> None:
        """Forget everything."""
        llama.llama_memory_clear(self._memory, True)
        self.tokens.clear()
        self.checkpoints.clear()

    def _oldest(self) -> int:
        """The oldest position in the sliding layers' cache; -1 when the memory is empty."""
        position: int = llama.llama_memory_seq_pos_min(self._memory, _SEQUENCE)
        return position

    def _restore(self, length: int) -> bool:
        state = self.checkpoints[length]
        self.checkpoints.move_to_end(length)
        read = llama.llama_state_seq_set_data_ext(self._context, state, len(state), _SEQUENCE, _SLIDING_ONLY)
        return bool(read == len(state))
