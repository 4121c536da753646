"""A model and its drafter in llama.cpp, in a process of their own: plain greedy tokens, and those with drafts.

    python -m tests.convert.drafting MODEL DRAFTER

Prints both as JSON, with the drafts that were made and how many of them held.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROMPT, TOKENS, DRAFTS = list(range(30, 70)), 24, 3


def of_llama_cpp(model: Path, drafter: Path) -> dict[str, Any]:
    """`plain` and `drafted` tokens, all `drafts`, and the number `held`."""
    command = [sys.executable, "-m", "tests.convert.drafting", str(model), str(drafter)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Pair:
    """A target's context and its drafter's, which looks into the target's cache."""

    def __init__(self, model: str, drafter: str) -> None:
        import llama_cpp
        from llama_cpp import llama_cpp_ext

        self.api, self.ext = llama_cpp, llama_cpp_ext
        self.target_model, self.draft_model = (self._loaded(path) for path in (model, drafter))
        self.target = self._context(self.target_model, outputs=1 + DRAFTS)
        self.draft = self._context(self.draft_model, outputs=1, other=self.target)
        llama_cpp_ext.llama_set_embeddings_nextn(self.target, True, False)
        llama_cpp_ext.llama_set_embeddings_nextn(self.draft, True, True)
        self.width = llama_cpp.llama_model_n_embd(self.target_model)
        self.vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.target_model))
        self.tokens = llama_cpp.llama_batch_init(64, 0, 1)
        self.states = llama_cpp.llama_batch_init(1, self.width, 1)
        self.drafted_from = (llama_cpp.llama_token * 1)()
        self.states.token = self.drafted_from

    def forget(self) -> None:
        self.api.llama_memory_clear(self.api.llama_get_memory(self.target), True)

    def keep(self, count: int) -> None:
        assert self.api.llama_memory_seq_rm(self.api.llama_get_memory(self.target), 0, count, -1)

    def read(self, tokens: Sequence[int], first: int) -> tuple[list[int], list[NDArray[np.float32]]]:
        """The likeliest token after each of the last ones, and the states that drafts are made from."""
        self.tokens.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            self.tokens.token[place], self.tokens.pos[place] = token, first + place
            self.tokens.n_seq_id[place], self.tokens.seq_id[place][0] = 1, 0
            self.tokens.logits[place] = place >= len(tokens) - 1 - DRAFTS
        assert self.api.llama_decode(self.target, self.tokens) == 0
        told = range(max(0, len(tokens) - 1 - DRAFTS), len(tokens))
        best = [self._best(self.target, place) for place in told]
        return best, [self._state(self.target, place) for place in told]

    def drafts(self, token: int, position: int, state: NDArray[np.float32]) -> list[int]:
        """What the drafter expects after a token, given the target's state before it."""
        found = []
        for _ in range(DRAFTS):
            self.states.n_tokens, self.drafted_from[0], self.states.pos[0] = 1, token, position
            self.states.n_seq_id[0], self.states.seq_id[0][0], self.states.logits[0] = 1, 0, 1
            ctypes.memmove(self.states.embd, state.ctypes.data, state.nbytes)
            assert self.api.llama_decode(self.draft, self.states) == 0
            token, state = self._best(self.draft, 0), self._state(self.draft, 0)
            found.append(token)
        return found

    def _loaded(self, path: str) -> Any:
        settings = self.api.llama_model_default_params()
        settings.use_extra_bufts, settings.n_gpu_layers = False, 0
        model = self.api.llama_model_load_from_file(os.fsencode(path), settings)
        assert model
        return model

    def _context(self, model: Any, outputs: int, other: Any = None) -> Any:
        params = self.api.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_outputs_max = 256, 64, 64, outputs
        params.n_threads = params.n_threads_batch = 1
        params.swa_full, params.flash_attn_type = False, 0
        params.type_k = params.type_v = 0
        if other:
            params.ctx_type, params.ctx_other = 1, other
        context = self.api.llama_init_from_model(model, params)
        assert context
        return context

    def _best(self, context: Any, row: int) -> int:
        logits = np.ctypeslib.as_array(self.api.llama_get_logits_ith(context, row), (self.vocab,))
        assert np.isfinite(logits).all()
        return int(logits.argmax())

    def _state(self, context: Any, row: int) -> NDArray[np.float32]:
        values = self.ext.llama_get_embeddings_nextn_ith(context, row)
        state: NDArray[np.float32] = np.ctypeslib.as_array(values, (self.width,)).copy()
        return state


def main(model: str, drafter: str) -> None:
    """The child's work."""
    pair = Pair(model, drafter)
    best, _ = pair.read(PROMPT, 0)
    plain = [best[-1]]
    while len(plain) < TOKENS:
        best, _ = pair.read(plain[-1:], len(PROMPT) + len(plain) - 1)
        plain.append(best[-1])
    pair.forget()
    best, states = pair.read(PROMPT, 0)
    drafted, state, made, held = [best[-1]], states[-1], [], 0
    while len(drafted) < TOKENS:
        position = len(PROMPT) + len(drafted) - 1
        drafts = pair.drafts(drafted[-1], position, state)
        made.append(drafts)
        best, states = pair.read([drafted[-1], *drafts], position)
        good = next((place for place, draft in enumerate(drafts) if draft != best[place]), len(drafts))
        held += good
        drafted += best[: good + 1]
        state = states[good]
        pair.keep(position + 1 + good)
    print(json.dumps({"plain": plain, "drafted": drafted[:TOKENS], "drafts": made, "held": held}))


if __name__ == "__main__":
    main(*sys.argv[1:])
