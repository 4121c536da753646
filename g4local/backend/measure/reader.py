"""A model that reads a text in chunks, for what is measured on the way; runs in a child."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np
from numpy.typing import NDArray

from g4local.backend.engine import LoadOptions
from g4local.backend.fit import fitting
from g4local.backend.fit.memory import BATCH
from g4local.backend.host import machine
from g4local.backend.llamacpp.log import listen
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.measures import FEWEST_TOKENS, Reading
from g4local.backend.model import header, loading
from g4local.backend.model.header import Header
from g4local.backend.model.vocabulary import Vocabulary
from g4local.core.errors import AGAIN, Cancelled, EngineError, UsageError
from g4local.core.progress import Report

Floats = NDArray[np.float32]

SCORED = 64
"""Tokens that are given logits at once: 64 MiB with Gemma 4's vocabulary."""


class Reader:
    """A loaded model and a context of one chunk; closed by `close`."""

    def __init__(self, path: Path, reading: Reading, stop: StopFlag, report: Report, watch: object = None) -> None:
        """Load it on the CPU, without repacked weights; the errors of an engine's start.

        `watch` is llama.cpp's callback of each node of its graph.
        """
        self._stop = stop
        self._closing = ExitStack()
        with ExitStack() as undo:
            undo.callback(self.close)
            head = header.read(path)
            _check(reading, head)
            # A mapped file need not fit into memory: it is only slower then.
            options = LoadOptions(path, reading.chunk_tokens, gpu_layers=0, extra_buffers=False, force=True)
            fit = fitting.settle(options, head.model, loading.resources())
            model = loading.load(options, head, fit, stop, report)
            self._closing.callback(llama.llama_model_free, model)
            self._vocabulary = Vocabulary(model)
            self._context = _open_context(model, reading, watch)
            self._closing.callback(llama.llama_free, self._context)
            stop.watch(self._context)
            self._batch = llama.llama_batch_init(BATCH, 0, 1)
            self._closing.callback(llama.llama_batch_free, self._batch)
            undo.pop_all()
        self._name = path.name
        self._reading = reading
        self._length = 0

    def close(self) -> None:
        """Free the model."""
        self._closing.close()

    def chunks(self, text: str) -> list[list[int]]:
        """The text's tokens in chunks; UsageError when they are too few for one."""
        size = self._reading.chunk_tokens
        tokens = self._vocabulary.document(text, parse_special=self._reading.parse_special)
        if len(tokens) < size:
            raise UsageError(
                f"The text has too few tokens, {len(tokens)}: a chunk has {size}.",
                "Give more text; `imatrix` and `compare` also take smaller chunks (--ctx).",
            )
        return [tokens[start : start + size] for start in range(0, len(tokens) - size + 1, size)]

    def begin(self, chunk: Sequence[int]) -> list[int]:
        """The chunk as it is to be read, after all that was read before is forgotten."""
        llama.llama_memory_clear(llama.llama_get_memory(self._context), True)
        self._length = 0
        first = self._vocabulary.first
        return [*chunk] if first is None else [first, *chunk[1:]]

    def read(self, tokens: Sequence[int]) -> None:
        """Read more of a chunk, BATCH tokens at a time."""
        for start in range(0, len(tokens), BATCH):
            self._decode(tokens[start : start + BATCH], logits=False)

    def logits(self, tokens: Sequence[int]) -> Floats:
        """Read at most SCORED more tokens; [tokens, vocabulary], which lasts until more is read."""
        self._decode(tokens, logits=True)
        logits = np.ctypeslib.as_array(llama.llama_get_logits(self._context), (len(tokens), self._vocabulary.size))
        if not np.isfinite(logits).all():
            raise EngineError(f"{self._name} computes values that are no numbers.", AGAIN)
        return logits

    def _decode(self, tokens: Sequence[int], *, logits: bool) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = self._length + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = logits
        code = llama.llama_decode(self._context, batch)
        if self._stop.is_set():
            raise Cancelled("Stopped.")
        if code:
            raise EngineError(f"llama.cpp could not read the text (code {code}).", "Its log says more.")
        self._length += len(tokens)


def _check(reading: Reading, head: Header) -> None:
    longest = head.model.shape.trained_context
    if not FEWEST_TOKENS <= reading.chunk_tokens <= longest:
        raise UsageError(
            f"Chunks of {reading.chunk_tokens} tokens were asked for.",
            f"{head.name} takes {FEWEST_TOKENS} to {longest}.",
        )


def _open_context(model: int, reading: Reading, watch: object) -> int:
    params = llama.llama_context_default_params()
    params.n_ctx = reading.chunk_tokens
    params.n_batch = params.n_ubatch = BATCH
    params.n_outputs_max = SCORED
    params.n_threads = params.n_threads_batch = reading.threads or machine.threads()
    params.swa_full = False
    params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
    # A weight that is lent to a GPU for a product has another name there.
    params.op_offload = params.offload_kqv = False
    if watch is not None:
        params.cb_eval = watch
    context: int | None = llama.llama_init_from_model(model, params)
    if context is None:
        raise EngineError(
            f"llama.cpp can't make a context of {reading.chunk_tokens} tokens: "
            f"{listen().complaint() or 'it does not say why'}.",
            "Try a smaller chunk (--ctx).",
        )
    return context
