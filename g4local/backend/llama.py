"""One loaded model: llama.cpp's low-level functions behind load, tokenize and generate.

It knows nothing of chats, of processes and of how anything is shown.
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from time import perf_counter

import llama_cpp.llama_cpp as llama

from g4local.backend import header, machine, prefix
from g4local.backend.cache import BATCH, Cache
from g4local.backend.constraint import Grammars
from g4local.backend.engine import FREE, Completion, EndReason, EngineInfo, Guidance, LoadOptions, Piece, Sampling
from g4local.backend.guide import Guide
from g4local.backend.header import Header
from g4local.backend.log import listen
from g4local.backend.sampling import PENALIZED, Sampler
from g4local.backend.stop import StopFlag
from g4local.backend.vocabulary import Utf8Text, Vocabulary
from g4local.core.errors import BadGguf, Cancelled, ContextFull, EngineError, UsageError
from g4local.core.progress import Progress, Report
from g4local.core.prompt import Segment

PLAIN_ATTENTION_BYTES = 1 << 29
"""Attention on the CPU may take this much more than flash attention would."""
CONTEXT_STEP = 256
"""llama.cpp's contexts are multiples of this."""
MOST_THREADS = 512
"""GGML_MAX_N_THREADS; with more, ggml waits for ever."""

_SHORTER = "Start a new conversation, or load the model with a larger context (--ctx)."


class LlamaEngine:
    """A model in this process; whoever raises the stop flag ends what it does."""

    def __init__(self, options: LoadOptions, stop: StopFlag, report: Report) -> None:
        """Load it: ModelNotFound, BadGguf, UsageError (its options), EngineError or Cancelled when it can't be."""
        self._stop = stop
        self._closing = ExitStack()
        with ExitStack() as undo:
            undo.callback(self.close)
            _check(options)
            head = header.read(options.path)
            context_size = _context_size(options.context, head)
            listen().forget()
            model = _load(options, head, stop, report)
            self._closing.callback(llama.llama_model_free, model)
            self._vocabulary = Vocabulary(model)
            self._grammars = Grammars(self._vocabulary)
            self._closing.callback(self._grammars.close)
            self._context = _open_context(model, options, head, context_size)
            self._closing.callback(llama.llama_free, self._context)
            stop.watch(self._context)
            self._cache = Cache(self._context, llama.llama_model_n_swa(model))
            self._closing.callback(self._cache.close)
            undo.pop_all()
        self.info = EngineInfo(
            path=options.path,
            name=head.name,
            architecture=head.architecture,
            context=llama.llama_n_ctx(self._context),
            trained_context=head.trained_context,
            vocab_size=self._vocabulary.size,
            special_tokens=self._vocabulary.special,
            end_tokens=self._vocabulary.end_tokens,
            per_layer_embeddings=head.per_layer_embeddings,
            template=head.template,
        )

    def close(self) -> None:
        """Free the model."""
        self._closing.close()

    def tokenize(self, prompt: Sequence[Segment]) -> list[int]:
        """The ids of a prompt; EngineError for a special token that the vocabulary lacks."""
        return self._vocabulary.tokenize(prompt)[0]

    def generate(
        self,
        prompt: Sequence[Segment],
        sampling: Sampling,
        max_tokens: int,
        report: Report,
        guidance: Guidance = FREE,
    ) -> Iterator[Piece | Completion]:
        """Continue the prompt, as `Engine.generate` says."""
        if self._vocabulary.exceeds(prompt, self.info.context - 1):
            raise ContextFull(
                f"The conversation does not fit into the context of {self.info.context} tokens.", _SHORTER
            )
        tokens, marks = self._vocabulary.tokenize(prompt)
        yield from self.extend(tokens, marks, sampling, max_tokens, report, guidance)

    def extend(
        self,
        tokens: Sequence[int],
        marks: set[int],
        sampling: Sampling,
        max_tokens: int,
        report: Report,
        guidance: Guidance = FREE,
    ) -> Iterator[Piece | Completion]:
        """Continue a prompt that is tokens already; `marks` are the lengths that it should be able to come back to."""
        if not tokens:
            raise UsageError("The prompt is empty.", "Say something.")
        if len(tokens) >= self.info.context:
            raise ContextFull(f"The conversation has {len(tokens)} tokens, the context {self.info.context}.", _SHORTER)
        sampler = Sampler(sampling, self._vocabulary.size, self._vocabulary.suppressed())
        try:
            sampler.accept(tokens[-PENALIZED:])
            guide = Guide(guidance, sampler, self._vocabulary, self._grammars)
            yield from self._generate(_Account(len(tokens), sampler.seed), tokens, marks, guide, max_tokens, report)
        finally:
            sampler.close()

    def _generate(
        self,
        account: "_Account",
        tokens: Sequence[int],
        marks: set[int],
        guide: Guide,
        max_tokens: int,
        report: Report,
    ) -> Iterator[Piece | Completion]:
        account.reused = self._cache.keep(tokens)
        whole = self._prefill(tokens, marks, report)
        account.prefilled()
        if not whole:
            yield account.completion("cancelled")
            return
        text = Utf8Text(self._vocabulary)
        room = self.info.context - len(tokens)
        while True:
            token = guide.sample(self._context)
            account.thought_cut = guide.thought_cut
            account.said += 1
            yield Piece(token, text.feed(token))
            if token in self._vocabulary.end_tokens:
                yield account.completion("stop", token)
            elif account.said == max_tokens:
                yield account.completion("length")
            elif account.said == room:
                yield account.completion("context")
            elif guide.loops:
                yield account.completion("loop")
            elif self._stop.is_set() or not self._cache.decode([token], logits=True):
                yield account.completion("cancelled")
            else:
                continue
            return

    def _prefill(self, tokens: Sequence[int], marks: set[int], report: Report) -> bool:
        """Decode what the cache lacks of the prompt; False when it was stopped."""
        start = len(self._cache.tokens)
        for end in prefix.cuts(start, len(tokens), marks, BATCH):
            done = len(self._cache.tokens)
            report(Progress("prefill", done - start, len(tokens) - start, "tokens"))
            if self._stop.is_set() or not self._cache.decode(tokens[done:end], logits=end == len(tokens)):
                return False
            if end in marks:
                self._cache.save(later=sum(mark > end for mark in marks))
        report(Progress("prefill", len(tokens) - start, len(tokens) - start, "tokens"))
        return True


class _Account:
    """Counts and times one generation."""

    def __init__(self, prompt_tokens: int, seed: int) -> None:
        self.reused = 0
        self.said = 0
        self.thought_cut = False
        self._prompt_tokens = prompt_tokens
        self._seed = seed
        self._started_at = perf_counter()
        self._prefilled_at = self._started_at

    def prefilled(self) -> None:
        """Note that the prompt is decoded."""
        self._prefilled_at = perf_counter()

    def completion(self, reason: EndReason, end_token: int | None = None) -> Completion:
        """The account of a generation that ends now."""
        return Completion(
            reason=reason,
            end_token=end_token,
            prompt_tokens=self._prompt_tokens,
            reused_tokens=self.reused,
            completion_tokens=self.said,
            prefill_seconds=self._prefilled_at - self._started_at,
            decode_seconds=perf_counter() - self._prefilled_at,
            seed=self._seed,
            thought_cut=self.thought_cut,
        )


def _check(options: LoadOptions) -> None:
    for name, value, low, high in (
        ("threads", options.threads, 0, MOST_THREADS),
        ("gpu_layers", options.gpu_layers, -1, header.MOST_LAYERS),
    ):
        if not low <= value <= high:
            raise UsageError(f"{name} is {value}.", f"It must be from {low} to {high}.")


def _context_size(wanted: int, head: Header) -> int:
    """The context to ask llama.cpp for; it would round it up itself, but cut its batches to what was asked for."""
    if 0 <= wanted <= head.trained_context:
        return -(-(wanted or head.trained_context) // CONTEXT_STEP) * CONTEXT_STEP
    raise UsageError(
        f"A context of {wanted} tokens was asked for; {head.name} was trained for {head.trained_context}.",
        f"Ask for 1 to {head.trained_context} tokens, or for 0, which takes all.",
    )


def _load(options: LoadOptions, head: Header, stop: StopFlag, report: Report) -> int:
    told = -1

    def on_progress(fraction: float, user_data: int | None) -> bool:
        nonlocal told
        if (percent := int(fraction * 100)) != told:
            told = percent
            report(Progress("load", percent, 100))
        return not stop.is_set()

    params = llama.llama_model_default_params()
    params.n_gpu_layers = options.gpu_layers
    params.use_extra_bufts = options.extra_buffers is not False
    # Rows of the table of per-layer embeddings are read when they are needed; a token needs a few kilobytes of it.
    params.lazy_mode = llama.LLAMA_LAZY_MODE_ON if head.per_layer_embeddings else llama.LLAMA_LAZY_MODE_AUTO
    params.progress_callback = llama.llama_progress_callback(on_progress)
    model: int | None = llama.llama_model_load_from_file(bytes(options.path), params)
    if model is not None:
        return model
    if stop.is_set():
        raise Cancelled("Loading the model was cancelled.")
    raise BadGguf(
        f"llama.cpp can't load {options.path}: {listen().complaint() or 'it does not say why'}.",
        "Convert it or download it again.",
    )


def _open_context(model: int, options: LoadOptions, head: Header, size: int) -> int:
    threads = options.threads or machine.threads()
    params = llama.llama_context_default_params()
    params.n_ctx = size
    params.n_batch = params.n_ubatch = BATCH
    # The default reserves logits for each token of a batch: 512 MiB with Gemma 4's vocabulary.
    params.n_outputs_max = 1
    params.n_threads = params.n_threads_batch = threads
    # The default keeps sliding layers at full length: 25 GiB for 31B at 32768 tokens.
    params.swa_full = False
    params.type_k = params.type_v = llama.GGML_TYPE_F16
    params.flash_attn_type = _flash_attention(options, head, size)
    context: int | None = llama.llama_init_from_model(model, params)
    if context is None:
        raise EngineError(
            f"llama.cpp can't make a context of {size} tokens: {listen().complaint() or 'it does not say why'}.",
            "Try a smaller context (--ctx).",
        )
    return context


def _flash_attention(options: LoadOptions, head: Header, size: int) -> int:
    """Off on the CPU while that costs little memory, else as llama.cpp likes.

    On the CPU, flash attention rounds differently for long and short batches and for each place in a sliding cache.
    Without it a token's logits do not depend, or hardly, on what was reused; that is what makes reuse exact. It costs
    the scores of a batch, and a cache whose layers are all as wide as the widest.
    """
    on_gpu = llama.llama_supports_gpu_offload() and options.gpu_layers != 0
    scores = head.heads * size * BATCH * ctypes.sizeof(ctypes.c_float)
    padding = head.value_padding * size * ctypes.sizeof(ctypes.c_uint16)
    disabled: int = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
    auto: int = llama.LLAMA_FLASH_ATTN_TYPE_AUTO
    return auto if on_gpu or scores + padding > PLAIN_ATTENTION_BYTES else disabled
