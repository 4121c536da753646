"""An Engine without a child, whose every reply is held to what a context says that has never seen anything."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from threading import Event

from g4local.backend.engine import FREE, Completion, EngineInfo, Guidance, Piece, Sampling
from g4local.backend.llama import LlamaEngine
from g4local.backend.state import prefix
from g4local.core.progress import Report
from g4local.core.prompt import Segment
from tests.backend.prompts import completion, ids


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply was, and what it cost."""

    prompt: list[int]
    said: list[int]
    end: Completion
    shared: int
    """Tokens that the prompt begins with in common with what was in the memory before."""

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
        said = list(self.engine.generate(prompt, sampling, max_tokens, report, guidance))
        self.replies.append(Reply(tokens, ids(said), completion(said), shared))
        yield from said

    def read(self, prompt: Sequence[Segment]) -> None:
        self.engine.read(prompt)

    def close(self) -> None:
        self.engine.close()
