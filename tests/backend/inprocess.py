"""An Engine without a child, whose every reply is held to what a context says that has never seen anything."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Event

import llama_cpp.llama_cpp as llama
import numpy as np
from numpy.typing import NDArray

from g4local.backend.engine import FREE, Completion, EngineInfo, Guidance, Piece, Sampling
from g4local.backend.llama import LlamaEngine
from g4local.backend.state import prefix
from g4local.core.progress import Report
from g4local.core.prompt import Segment
from tests.backend.prompts import completion, ids


def logits(engine: LlamaEngine) -> NDArray[np.float32]:
    """Those of the last row of the last decode."""
    row = llama.llama_get_logits_ith(engine._context, -1)
    return np.ctypeslib.as_array(row, (engine.info.vocab_size,)).copy()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply was, and what it cost."""

    prompt: list[int]
    said: list[int]
    end: Completion
    shared: int
    """Tokens that the prompt begins with in common with what was in the memory before."""
    most: int
    """The most tokens that were allowed; 0: as many as there is room for."""
    guidance: Guidance
    """What it was held to."""
    logits: NDArray[np.float32]
    """Of its first token."""

    @property
    def processed(self) -> int:
        """Tokens of the prompt that were decoded."""
        return self.end.prompt_tokens - self.end.reused_tokens


@dataclass
class InProcess:
    """Passes everything on to an engine of this process, which may be replaced between two replies."""

    engine: LlamaEngine
    edge: bool | None = None
    """Whether to be asked as E2B and E4B are; None: as the model is."""
    stopped_after: int | None = None
    """Tokens after which the next reply is stopped."""
    replies: list[Reply] = field(default_factory=list)

    def start(self, report: Report, cancel: Event) -> EngineInfo:
        info = self.engine.info
        return info if self.edge is None else replace(info, per_layer_embeddings=self.edge)

    def tokenize(self, prompt: Sequence[Segment], cancel: Event) -> list[int]:
        return self.engine.tokenize(prompt)

    def generate(
        self,
        prompt: Sequence[Segment],
        sampling: Sampling,
        max_tokens: int,
        report: Report,
        cancel: Event,
        guidance: Guidance = FREE,
    ) -> Generator[Piece | Completion, None, None]:
        tokens = self.engine.tokenize(prompt)
        shared = prefix.common(self.engine._cache.tokens, tokens)
        reply = self.engine.generate(prompt, sampling, max_tokens, report, guidance)
        said = [next(reply)]
        first = logits(self.engine)
        said += self._rest(reply)
        self.replies.append(Reply(tokens, ids(said), completion(said), shared, max_tokens, guidance, first))
        yield from said

    def _rest(self, reply: Iterator[Piece | Completion]) -> Iterator[Piece | Completion]:
        for count, item in enumerate(reply, 2):
            if count == self.stopped_after:
                self.engine._stop.set()
            yield item
        self.stopped_after = None
        self.engine._stop.clear()

    def read(self, prompt: Sequence[Segment]) -> None:
        self.engine.read(prompt)

    def close(self) -> None:
        self.engine.close()
