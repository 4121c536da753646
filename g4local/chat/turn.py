"""What one turn has cost so far: its tokens, its seconds, and the calls that it has made."""

import json
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from threading import Event as Wish
from time import perf_counter

from g4local.backend.engine import Completion, Piece, Sampling
from g4local.core.events import FinishReason, Timing, TurnFinished, Usage
from g4local.core.messages import ToolCall
from g4local.core.progress import Report


@dataclass(slots=True)
class Turn:
    """The account of a turn, over all its rounds."""

    report: Report
    cancel: Wish
    usage: Usage = field(default_factory=Usage)
    timing: Timing = field(default_factory=Timing)
    seed: int | None = None
    completion: Completion | None = None
    """How the last generation ended; None while it goes on, and when it broke off."""
    generations: int = 0
    """Generations that came to an end."""
    filled: int = 0
    """Tokens in the context at the end of the last generation."""
    counts: bool = False
    """Whether its question is kept: once the model is loaded, or if that was stopped or died, and may do next time."""
    _asked_at: float = field(default_factory=perf_counter)
    _calls: Counter[str] = field(default_factory=Counter)

    @property
    def cancelled(self) -> bool:
        """Whether the last generation was stopped by the user."""
        return self.completion is not None and self.completion.reason == "cancelled"

    def sampling(self, asked: Sampling) -> Sampling:
        """How the next round is sampled: with the seed that the first has drawn, which so repeats the whole turn."""
        return asked if self.seed is None else replace(asked, seed=self.seed)

    def loaded(self) -> None:
        """Note that the model is ready."""
        self.counts = True
        self.timing = replace(self.timing, load=perf_counter() - self._asked_at)

    def watch(self, pieces: Generator[Piece | Completion, None, None]) -> Generator[Piece, None, None]:
        """The pieces of a generation, while its cost is added up."""
        self.completion = None
        with closing(pieces):
            for piece in pieces:
                if isinstance(piece, Completion):
                    self._add(piece)
                    continue
                if self.timing.ttft is None:
                    self.timing = replace(self.timing, ttft=perf_counter() - self._asked_at)
                yield piece

    def thought(self, tokens: int) -> None:
        """Note how many of the tokens were thoughts."""
        self.usage = replace(self.usage, thought=self.usage.thought + tokens)

    def times_called(self, call: ToolCall) -> int:
        """How often this turn has seen the same call with the same arguments, now included."""
        key = json.dumps([call.name, call.arguments], sort_keys=True)
        self._calls[key] += 1
        return self._calls[key]

    def finished(self, reason: FinishReason, *, context_full: bool = False, unsatisfied: bool = False) -> TurnFinished:
        """The event that ends the turn."""
        return TurnFinished(reason, self.usage, self.timing, self.seed, context_full, unsatisfied, self.filled)

    def _add(self, completion: Completion) -> None:
        self.completion = completion
        if self.generations == 0:
            self.seed = completion.seed
        self.generations += 1
        if not completion.completion_tokens:  # stopped in its prompt, of which nobody knows how much was read
            return
        self.filled = completion.prompt_tokens + completion.completion_tokens
        self.usage = replace(
            self.usage,
            prompt=self.usage.prompt + completion.prompt_tokens,
            reused=self.usage.reused + completion.reused_tokens,
            completion=self.usage.completion + completion.completion_tokens,
            drafted=self.usage.drafted + completion.drafted_tokens,
            accepted=self.usage.accepted + completion.accepted_tokens,
        )
        self.timing = replace(
            self.timing,
            prefill=self.timing.prefill + completion.prefill_seconds,
            decode=self.timing.decode + completion.decode_seconds,
        )
