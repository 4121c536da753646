"""Drafts by an assistant (multi-token prediction): a small model that looks into the large one's cache and state."""

import ctypes
from collections.abc import Sequence

import llama_cpp.llama_cpp as llama

from g4local.backend.llamacpp import nextn

MOST = 3
"""Most drafts of an assistant: each is made from the last, and fewer and fewer of them hold."""

_SEQUENCE = 0
_FLOAT = 4


class Mtp:
    """An assistant at work.

    It is given a token and the state that the token was picked from, and gives the likeliest next token and a state to
    go on from. It writes no keys and values, so all of its drafts are made for the position of the last token.
    """

    def __init__(self, context: int, target: int, width: int, vocab_size: int) -> None:
        """`context` is the assistant's, made for the `target` context, whose states are so many numbers wide."""
        self._context = context
        self._target = target
        self._vocab_size = vocab_size
        self._nbytes = width * _FLOAT
        self._last, self._length = 0, 0
        self._tokens = (llama.llama_token * 1)()
        batch = self._batch = llama.llama_batch_init(1, width, 1)
        batch.token = self._tokens  # a batch of states has none of its own
        batch.n_tokens = batch.n_seq_id[0] = batch.logits[0] = 1
        batch.seq_id[0][0] = _SEQUENCE
        self._api = nextn.functions()
        assert self._api is not None, "whoever opens an assistant has looked"
        nextn.tell_states(target, wanted=True)
        nextn.tell_states(context, wanted=True)

    def close(self) -> None:
        """Free what belongs to the drafter itself."""
        self._batch.token = None
        llama.llama_batch_free(self._batch)

    def begin(self, text: Sequence[int]) -> None:
        """Start anew with a prompt."""
        self._last, self._length = text[-1], len(text)

    def feed(self, token: int) -> None:
        """Note a token that was said."""
        self._last, self._length = token, self._length + 1

    def draft(self, row: int, most: int) -> list[int]:
        """What the assistant expects after the last token, which was picked from this row of the target's batch."""
        from g4local.backend.llamacpp import logits

        assert self._api is not None
        drafts: list[int] = []
        token, state = self._last, self._api.llama_get_embeddings_nextn_ith(self._target, row)
        while state and len(drafts) < min(most, MOST):
            self._tokens[0], self._batch.pos[0] = token, self._length - 1
            ctypes.memmove(self._batch.embd, state, self._nbytes)
            if llama.llama_decode(self._context, self._batch) != 0:  # stopped
                break
            token = int(logits.row(self._context, 0, self._vocab_size).argmax())
            drafts.append(token)
            state = self._api.llama_get_embeddings_nextn_ith(self._context, 0)
        return drafts
