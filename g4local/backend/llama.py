"""One loaded model: llama.cpp's low-level functions behind load, tokenize and generate.

It knows nothing of chats, of processes and of how anything is shown.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from time import perf_counter

import llama_cpp.llama_cpp as llama

from g4local.backend.draft import drafting
from g4local.backend.draft.drafts import Drafts, Pace
from g4local.backend.engine import FREE, Completion, EndReason, Guidance, LoadOptions, Piece, Sampling
from g4local.backend.fit.memory import BATCH, PIECE
from g4local.backend.generation.account import Account
from g4local.backend.generation.constraint import Grammars
from g4local.backend.generation.decoding import Speaker
from g4local.backend.generation.guide import Guide
from g4local.backend.generation.sampling import PENALIZED, Sampler, prepare
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.model import header, loading, tokenizer
from g4local.backend.model.vocabulary import Utf8Text, Vocabulary
from g4local.backend.state import fingerprint, prefix
from g4local.backend.state.cache import Cache
from g4local.backend.state.resumption import Place, Resumption
from g4local.core.errors import ContextFull, UsageError
from g4local.core.progress import Progress, Report, silent
from g4local.core.prompt import Segment

_SHORTER = "Load the model with a larger context (--ctx), begin anew, or make room in a chat (/compact)."

NO_GPU = "llama.cpp has found no GPU here, so --gpu-layers changes nothing."
"""A warning for who asks for something that this machine has not."""

LONG_SECONDS = 20.0
"""A prompt that took so long is worth a snapshot before its answer is said."""


class LlamaEngine:
    """A model in this process; whoever raises the stop flag ends what it does."""

    def __init__(self, options: LoadOptions, stop: StopFlag, report: Report) -> None:
        """Load it: ModelNotFound, BadGguf, UsageError (its options), DoesNotFit, EngineError, or Cancelled."""
        self._stop = stop
        self._closing = ExitStack()
        with ExitStack() as undo:
            undo.callback(self.close)
            loading.check(options)
            head = header.read(options.path)
            prepare(head.model.shape.vocab_size)
            there = loading.resources()
            choice, fit = drafting.settle(options, head.model, there)
            model = loading.load(options, head, fit, stop, report)
            self._closing.callback(llama.llama_model_free, model)
            self._vocabulary = Vocabulary(model)
            self._grammars = Grammars(self._vocabulary)
            self._closing.callback(self._grammars.close)
            target = loading.open_context(model, options, head, fit)
            self._context = target.handle
            self._closing.callback(llama.llama_free, self._context)
            stop.watch(self._context)
            self._piece = BATCH if fit.placement.layers else min(BATCH, PIECE)
            self._cache = Cache(self._context, llama.llama_model_n_swa(model), fit.checkpoint_bytes, target.threads)
            self._closing.callback(self._cache.close)
            opened = drafting.opened(choice, options, fit, target, stop)
            self._drafter, choice = self._closing.enter_context(opened)
            self._draft_cost = drafting.cost(choice, head.model, repacked=options.extra_buffers is not False)
            folder = options.snapshots
            place = None if folder is None else Place(folder, options.snapshot_bytes, fit.copy_bytes, options.path)
            self._states = Resumption(
                self._cache, llama.llama_n_ctx(self._context), place, lambda: fingerprint.key(options, head, fit)
            )
            undo.pop_all()
        warnings = tuple(filter(None, (choice.warning, NO_GPU if options.gpu_layers and not there.gpus else "")))
        self.info = tokenizer.info(options, head, self._vocabulary, llama.llama_n_ctx(self._context), warnings)

    def close(self) -> None:
        """Free the model."""
        self._closing.close()

    def wait(self, seconds: float) -> None:
        """Let snapshots come to the disk that are being written, for so long at most."""
        self._states.wait(seconds)

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
        unwanted = self._vocabulary.suppressed() | (self.info.end_tokens if guidance.endless else frozenset())
        sampler = Sampler(sampling, self._vocabulary.size, unwanted)
        try:
            sampler.accept(tokens[-PENALIZED:])
            guide = Guide(guidance, sampler, self._vocabulary, self._grammars)
            account = Account(len(tokens), sampler.seed, self._drafts(tokens))
            yield from self._generate(account, tokens, marks, guide, max_tokens, report)
        finally:
            sampler.close()
        self._states.save(max(marks, default=0))

    def read(self, prompt: Sequence[Segment]) -> None:
        """Decode how the next prompt will begin, as far as the cache lacks it and the stop flag lets it come."""
        tokens, marks = self._vocabulary.tokenize(prompt)
        lacking = len(tokens) - self._cache.keepable(tokens).length
        if lacking > prefix.CLOSE and len(tokens) < self.info.context:
            kept = self._states.keep(tokens, silent)
            self._prefill(tokens, marks, silent)
            self._states.save(max((length for length in self._cache.checkpoints if length <= kept), default=0))

    def _generate(
        self,
        account: Account,
        tokens: Sequence[int],
        marks: set[int],
        guide: Guide,
        max_tokens: int,
        report: Report,
    ) -> Iterator[Piece | Completion]:
        account.reused = self._states.keep(tokens, report)
        account.warnings = tuple(self._states.complaints())
        whole = self._prefill(tokens, marks, report)
        account.prefilled()
        if not whole:
            yield account.completion("cancelled")
            return
        text = Utf8Text(self._vocabulary)
        speaker = Speaker(self._context, self._cache, guide, account.drafts)
        room = self.info.context - len(tokens)
        most = min(room, max_tokens or room)
        reason: EndReason | None = None
        while reason is None:
            token = speaker.say()
            account.said += 1
            yield Piece(token, text.feed(token))
            if token in self._vocabulary.end_tokens:
                reason = "stop"
            elif account.said == most:
                reason = "length" if most == max_tokens else "context"
            elif guide.loops:
                reason = "loop"
            elif self._stop.is_set() or not speaker.go_on(token, most - account.said):
                reason = "cancelled"
        speaker.settle()
        account.thought_cut = guide.thought_cut
        yield account.completion(reason, token if reason == "stop" else None)

    def _prefill(self, tokens: Sequence[int], marks: set[int], report: Report) -> bool:
        """Decode what the cache lacks of the prompt; False when it was stopped."""
        start, started = len(self._cache.tokens), perf_counter()
        stops = prefix.stops(start, len(tokens), marks, BATCH)
        if start in stops:
            self._cache.save(later=len(stops) - 1)
        for end in prefix.cuts(start, len(tokens), stops, self._piece):
            done = len(self._cache.tokens)
            report(Progress("prefill", done - start, len(tokens) - start, "tokens"))
            if self._stop.is_set() or not self._cache.decode(tokens[done:end], logits=end == len(tokens)):
                return False
            if end in stops:
                self._cache.save(later=sum(stop > end for stop in stops), logits=end == len(tokens))
        report(Progress("prefill", len(tokens) - start, len(tokens) - start, "tokens"))
        seconds = perf_counter() - started
        self._states.paced(len(tokens) - start, seconds)
        if seconds >= LONG_SECONDS:
            self._states.save(max(marks, default=0))
        return True

    def _drafts(self, tokens: Sequence[int]) -> Drafts | None:
        """What drafts the reply to a prompt; each reply begins without knowing how the last ones went."""
        if self._drafter is None:
            return None
        self._drafter.begin(tokens)
        return Drafts(self._drafter, Pace(self._draft_cost))
