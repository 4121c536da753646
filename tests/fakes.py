"""An engine that says what a script tells it to: real pieces, tokens and prompts, without a model."""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from threading import Event

from g4local.backend.engine import FREE, Completion, EndReason, EngineInfo, Guidance, Piece, Sampling
from g4local.core.errors import Cancelled, ContextFull, EngineDied, G4Error
from g4local.core.progress import Progress, Report
from g4local.core.prompt import Segment, joined

SPECIAL_TOKENS = {
    "<pad>": 0,
    "<eos>": 1,
    "<bos>": 2,
    "<|tool>": 46,
    "<tool|>": 47,
    "<|tool_call>": 48,
    "<tool_call|>": 49,
    "<|tool_response>": 50,
    "<tool_response|>": 51,
    '<|"|>': 52,
    "<|think|>": 98,
    "<|channel>": 100,
    "<channel|>": 101,
    "<|turn>": 105,
    "<turn|>": 106,
}
"""Gemma 4's."""

INFO = EngineInfo(
    path=Path("scripted.gguf"),
    name="scripted",
    architecture="gemma4",
    context=1000,
    trained_context=2000,
    vocab_size=0x110000 + 1000,
    special_tokens=SPECIAL_TOKENS,
    end_tokens=frozenset(SPECIAL_TOKENS[name] for name in ("<eos>", "<turn|>", "<|tool_response>")),
    per_layer_embeddings=False,
)

_SPECIAL = re.compile("|".join(re.escape(name) for name in SPECIAL_TOKENS))


@dataclass(frozen=True)
class Reply:
    """One generation of a script."""

    text: str
    """With Gemma 4's markup, without the token that ends it."""
    reason: EndReason = "stop"
    thought_cut: bool = False
    dies_after: int | None = None
    """Pieces after which the engine dies."""
    cancels_after: int | None = None
    """Pieces after which somebody cancels."""
    no_room: bool = False
    """The prompt is as long as the context."""


@dataclass
class ScriptedEngine:
    """An Engine whose generations are the replies of a script, in order; a text stands for a Reply that stops."""

    replies: list[Reply | str]
    info: EngineInfo = INFO
    start_error: G4Error | None = None
    """What `start` raises."""
    prompts: list[str] = field(default_factory=list)
    """The prompts that it was sent, joined."""
    prompt_segments: list[list[Segment]] = field(default_factory=list)
    requests: list[tuple[Sampling, int]] = field(default_factory=list)
    """Sampling and max_tokens of each generation."""
    guidance: list[Guidance] = field(default_factory=list)
    """What each generation was held to."""
    has_limits: bool = False
    """Whether a prompt that is longer than the context is refused."""
    starts: int = 0
    """Loads: one, and one more after each death."""
    is_open: bool = False
    read_ahead: list[str] = field(default_factory=list)
    """Beginnings of prompts that it was given to read, joined."""
    _cache: list[int] = field(default_factory=list)

    def start(self, report: Report, cancel: Event) -> EngineInfo:
        """Load, if it is not loaded."""
        if cancel.is_set():
            raise Cancelled("The load was cancelled.")
        if self.start_error:
            raise self.start_error
        if not self.is_open:
            report(Progress("load", 1, 1))
            self.starts += 1
            self.is_open = True
        return self.info

    def tokenize(self, prompt: Sequence[Segment], cancel: Event) -> list[int]:
        """A token for each special token and each character."""
        if cancel.is_set():
            raise Cancelled("Reading the text was cancelled.")
        return [token for segment in prompt for token in _tokens(segment, self.info.special_tokens)]

    def generate(
        self,
        prompt: Sequence[Segment],
        sampling: Sampling,
        max_tokens: int,
        report: Report,
        cancel: Event,
        guidance: Guidance = FREE,
    ) -> Generator[Piece | Completion, None, None]:
        """The next reply of the script."""
        assert self.is_open, "generate before start"
        tokens = self.tokenize(prompt, Event())
        if self.has_limits and len(tokens) >= self.info.context:
            raise ContextFull(f"The conversation has {len(tokens)} tokens.", "Start a new one.")
        assert self.replies, f"the script has no reply to {joined(prompt)!r}"
        self.prompts.append(joined(prompt))
        self.prompt_segments.append(list(prompt))
        self.requests.append((sampling, max_tokens))
        self.guidance.append(guidance)
        reply = self.replies.pop(0)
        reply = Reply(reply) if isinstance(reply, str) else reply
        if reply.no_room:
            raise ContextFull("The conversation is longer than the context.", "Start a new one.")
        yield from self._play(reply, tokens, sampling, cancel)

    def read(self, prompt: Sequence[Segment]) -> None:
        """Note what is read ahead."""
        self.read_ahead.append(joined(prompt))

    def close(self) -> None:
        """Forget everything."""
        self.is_open = False
        self._cache = []

    def _play(self, reply: Reply, prompt: list[int], sampling: Sampling, cancel: Event) -> Iterator[Piece | Completion]:
        reused = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, self._cache, strict=False)))
        said: list[Piece] = []

        def completion(reason: EndReason) -> Completion:
            self._cache = [*prompt, *(piece.token for piece in said)]
            end = said[-1].token if reason == "stop" else None
            seed = 42 if sampling.seed is None else sampling.seed
            return Completion(reason, end, len(prompt), reused, len(said), 0.25, 0.5, seed, reply.thought_cut)

        for piece in (*self._pieces(reply), None):
            if len(said) == reply.dies_after:
                self.close()
                raise EngineDied("The engine died.", "Ask again.", signal=11, log=("last words",))
            if len(said) == reply.cancels_after:
                cancel.set()
            if cancel.is_set():
                yield completion("cancelled")
                return
            if piece:
                said.append(piece)
                yield piece
        yield completion(reply.reason)

    def _pieces(self, reply: Reply) -> list[Piece]:
        names = self.info.special_tokens
        pieces = [
            Piece(names[text], "") if text in names else Piece(1000 + ord(text[0]), text)
            for text in re.findall(rf"{_SPECIAL.pattern}|\s?\w+|.", reply.text, re.DOTALL)
        ]
        if reply.reason == "stop":
            end = "<|tool_response>" if reply.text.endswith("<tool_call|>") else "<turn|>"
            pieces.append(Piece(names[end], ""))
        return pieces


def approve_all(call: object) -> bool:
    """Let every tool run."""
    return True


def _tokens(segment: Segment, names: Mapping[str, int]) -> list[int]:
    return [names[segment.text]] if segment.special else [1000 + ord(character) for character in segment.text]
