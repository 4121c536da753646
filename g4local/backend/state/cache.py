"""What a context remembers of one sequence of tokens, and the ways back to earlier points of it."""

import ctypes
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import llama_cpp.llama_cpp as llama

from g4local.backend.fit.memory import BATCH, CHECKPOINT_BYTES
from g4local.backend.llamacpp.crowd import Threads
from g4local.backend.state import prefix
from g4local.backend.state.snapshots import State
from g4local.core.errors import EngineError

_SEQUENCE = 0
_SLIDING_ONLY = llama.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
"""A state of the sliding layers alone: the full layers' part is still in the cache when a state is restored."""
_EVERYTHING = 0
"""A state of all layers."""
_ABORTED = 2
"""llama_decode's answer when the abort callback said so."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A way back to one length of what is in the memory."""

    state: State
    """The sliding layers'; it can be continued from that length and from the one before."""
    logits: bytes | None = None
    """What is said at that length, as 32-bit floats, where it was the end of a prompt."""

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return len(self.state) + len(self.logits or b"")


class Cache:
    """The tokens in a context's memory; the context belongs to the caller and outlives this."""

    def __init__(
        self, context: int, window: int, checkpoint_bytes: int = CHECKPOINT_BYTES, threads: Threads | None = None
    ) -> None:
        self.tokens: list[int] = []
        """What the memory holds, position by position."""
        self.checkpoints: OrderedDict[int, Checkpoint] = OrderedDict()
        """By the length at which they were saved, the least recently used first."""
        self._context = context
        self._memory = llama.llama_get_memory(context)
        self._window = window
        self._budget = checkpoint_bytes
        self._threads = threads
        self._batch = llama.llama_batch_init(BATCH, 0, 1)
        self._has_logits = False
        """Whether the last decode left a row of logits, which is the place for those of a checkpoint."""
        self._row_bytes = 4 * llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(llama.llama_get_model(context)))

    def close(self) -> None:
        """Free what belongs to the cache itself."""
        llama.llama_batch_free(self._batch)
        self.checkpoints.clear()

    def keepable(self, prompt: Sequence[int]) -> prefix.Reuse:
        """The longest beginning of the prompt that can be continued exactly, and how."""
        end = self.checkpoints.get(len(prompt))
        is_answered = self._has_logits and end is not None and end.logits is not None
        return prefix.reuse(self.tokens, prompt, self._oldest(), self._window, self.checkpoints, is_answered)

    def keep(self, prompt: Sequence[int]) -> int:
        """Cut the memory back to the longest beginning of the prompt that can be continued exactly; its length.

        If that is all of the prompt, its logits are those of the last decode now.
        """
        reuse = self.keepable(prompt)
        shared = prefix.common(self.tokens, prompt)
        if reuse.checkpoint is not None and not self._restore(reuse.checkpoint):
            reuse = prefix.Reuse(0)
        if reuse.length == 0:
            self.clear()
            return 0
        self.cut(reuse.length)
        for saved in [saved for saved in self.checkpoints if saved > shared]:
            del self.checkpoints[saved]
        if reuse.length == len(prompt):
            ctypes.memmove(self._row(), self.checkpoints[reuse.length].logits or b"", self._row_bytes)
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
        with self._threads.watched(len(tokens)) if self._threads else nullcontext():
            code = llama.llama_decode(self._context, batch)
        self._has_logits = code == 0 and logits > 0
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

    def save(self, later: int = 0, *, logits: bool = False) -> None:
        """Keep a checkpoint of this point, unless `later` ones of the same prompt will fill the room.

        With the last decode's logits, if wished.
        """
        length = len(self.tokens)
        if length in self.checkpoints:
            self.checkpoints.move_to_end(length)
            return
        nbytes = llama.llama_state_seq_get_size_ext(self._context, _SEQUENCE, _SLIDING_ONLY)
        if self._window == 0 or nbytes * (later + 1) > self._budget:
            return
        row = ctypes.string_at(self._row(), self._row_bytes) if logits and self._has_logits else None
        self._make_room(nbytes + len(row or b""))
        state = self._state(_SLIDING_ONLY, nbytes)
        if state is not None:
            self.checkpoints[length] = Checkpoint(state, row)

    def nbytes(self) -> int:
        """Bytes of all that the memory holds."""
        nbytes: int = llama.llama_state_seq_get_size_ext(self._context, _SEQUENCE, _EVERYTHING)
        return nbytes

    def whole(self, most: int) -> State | None:
        """All that the memory holds, for an `adopt` of any context like this one; None for more than `most` bytes."""
        nbytes = self.nbytes()
        return self._state(_EVERYTHING, nbytes) if nbytes <= most else None

    def adopt(self, tokens: Sequence[int], state: State, checkpoints: Mapping[int, Checkpoint]) -> bool:
        """Hold what another context held, with ways back to earlier points of it; False, and empty, if it can't be."""
        shared = prefix.common(self.tokens, tokens)
        kept = {length: checkpoint for length, checkpoint in self.checkpoints.items() if length <= shared}
        self.clear()
        if not self._has_logits:  # a context that has said nothing has no place for logits
            self.decode(tokens[:1], logits=1)
            self.clear()
        if llama.llama_state_seq_set_data_ext(self._context, state, len(state), _SEQUENCE, _EVERYTHING) != len(state):
            self.clear()
            return False
        self.tokens += tokens
        self.checkpoints.update(kept)
        self._make_room(sum(checkpoint.nbytes for checkpoint in checkpoints.values()))
        self.checkpoints.update(checkpoints)
        return True

    def clear(self) -> None:
        """Forget everything."""
        llama.llama_memory_clear(self._memory, True)
        self.tokens.clear()
        self.checkpoints.clear()

    def _oldest(self) -> int:
        """The oldest position in the sliding layers' cache; -1 when the memory is empty."""
        position: int = llama.llama_memory_seq_pos_min(self._memory, _SEQUENCE)
        return position

    def _make_room(self, nbytes: int) -> None:
        """Drop checkpoints, the least recently used first, until there is room for more bytes."""
        while self.checkpoints and sum(each.nbytes for each in self.checkpoints.values()) + nbytes > self._budget:
            self.checkpoints.popitem(last=False)

    def _state(self, kind: int, nbytes: int) -> State | None:
        state = (ctypes.c_uint8 * nbytes)()
        copied = llama.llama_state_seq_get_data_ext(self._context, state, nbytes, _SEQUENCE, kind)
        return state if copied == nbytes else None

    def _row(self) -> "ctypes._Pointer[ctypes.c_float]":
        """Where the last decode's last row of logits lies."""
        row: ctypes._Pointer[ctypes.c_float] = llama.llama_get_logits_ith(self._context, -1)
        return row

    def _restore(self, length: int) -> bool:
        state = self.checkpoints[length].state
        self.checkpoints.move_to_end(length)
        read = llama.llama_state_seq_set_data_ext(self._context, state, len(state), _SEQUENCE, _SLIDING_ONLY)
        return bool(read == len(state))
