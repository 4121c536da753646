"""What the rest of g4local asks of a model; anything that turns segments into pieces is an Engine."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal, Protocol

from g4local.core.progress import Report
from g4local.core.prompt import Segment

KvType = Literal["f16", "q8_0"]
"""How keys and values are kept."""
DraftKind = Literal["auto", "ngram", "mtp", "off"]
"""What drafts: an assistant if there is one, what was said before, an assistant in any case, nothing."""
MOST_THREADS = 512
"""GGML_MAX_N_THREADS; with more, ggml waits for ever."""
MOST_DRAFTS = 15
"""Most drafts of one batch, beside the last token: from some rows on, ggml's matrix kernels take over."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a model is loaded."""

    path: Path
    """The GGUF."""
    context: int | Literal["max"] = 4096
    """Tokens of context, rounded up to a multiple of 256; 0 takes all that the model was trained for, `max` as many of
    them as fit into memory with ease."""
    threads: int = 0
    """Threads of the CPU; 0 takes what `g4local bench --tune` found, or what suits here."""
    batch_threads: int = 0
    """Threads that read a prompt; 0: as many."""
    gpu_layers: int | None = None
    """Layers on the GPU, if llama.cpp was built for one; -1 is all, None as many as fit, experts last."""
    kv_type: KvType = "f16"
    """How keys and values are kept. q8_0 halves their memory; it needs flash attention, which makes reuse inexact."""
    lazy_ple: Literal["auto", "on", "off"] = "auto"
    """Whether rows of the per-layer embeddings are read when they are needed."""
    extra_buffers: bool | None = None
    """llama.cpp's repacked weights: faster, but some machines fault in them; None takes what the start probe found."""
    draft: DraftKind = "auto"
    """What guesses the tokens that come next, so that several can be checked at once; it changes no answer."""
    drafter: Path | None = None
    """The GGUF of an assistant. With `auto`, one that can't be used is only a warning."""
    force: bool = False
    """Load it even if there seems to be too little memory."""
    snapshots: Path | None = None
    """The folder of states that outlive the process; None keeps none."""
    snapshot_bytes: int = 4 << 30
    """What all of them may take."""
    vocabulary_only: bool = False
    """Read no weights: such an engine can be started and tokenizes, and nothing more."""


RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 1000.0),
    "top_k": (0, 2**31 - 1),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repeat_penalty": (0.01, 1000.0),
    "seed": (0, 2**32 - 2),
}
"""What each field of Sampling may be. A top_k of 0 is no limit; 2**32 - 1 would be a random seed to llama.cpp."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is picked; the defaults are Google's for Gemma 4 (generation_config.json)."""

    temperature: float = 1.0
    """0 takes the most likely token."""
    top_k: int = 64
    top_p: float = 0.95
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    """1 is none; Gemma 4 is not meant to have one."""
    seed: int | None = None
    """None draws one, which Completion tells."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a text must be."""

    kind: Literal["schema", "regex", "lark"]
    text: str
    """A JSON Schema, a regular expression for all of it, or a Lark grammar in llguidance's dialect."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """What holds a reply within bounds, beside the odds of its tokens."""

    answer: Constraint | None = None
    """What the answer must be; thoughts before it, and tool calls instead of it, are free of it."""
    calls: str = ""
    """A Lark grammar of what follows `<|tool_call>`, up to and with `<tool_call|>`; empty where no tool is offered."""
    thinking: bool = False
    """Whether a constrained reply may begin with a thought."""
    in_thought: bool = False
    """Whether the prompt has opened a thought already."""
    think_budget: int = 0
    """Most tokens of thoughts in a reply, after which they are closed; 0 is without limit."""
    loop_guard: bool = True
    """Whether a reply that only repeats itself is ended."""
    endless: bool = False
    """Whether end tokens are never drawn, so that a reply has `max_tokens` of them; for measuring."""


FREE = Guidance()


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is known of a loaded model."""

    path: Path
    name: str
    """The file's own `general.name`, or its stem."""
    architecture: str
    context: int
    """Tokens of context that it was loaded with; 0 where only the vocabulary was."""
    trained_context: int
    vocab_size: int
    special_tokens: Mapping[str, int] = field(repr=False)
    """Control and user-defined tokens by name, such as `<|turn>`."""
    end_tokens: frozenset[int]
    """Tokens that end a reply: `<eos>`, `<turn|>`, `<|tool_response>`."""
    per_layer_embeddings: bool
    """True for E2B and E4B, whose template differs."""
    template: str = field(default="", repr=False)
    """The chat template inside the file; ours is used, this one only tells the file's age."""
    warnings: tuple[str, ...] = ()
    """What is not as it was wished when it was loaded."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One token and the text that became whole with it (empty in the middle of a character, and for control tokens)."""

    token: int
    text: str


EndReason = Literal["stop", "length", "context", "loop", "cancelled"]
"""Why a generation ended: an end token, max_tokens, no room left, endless repetition, or a wish to stop."""


@dataclass(frozen=True, slots=True)
class Completion:
    """How a generation ended, and what it cost; always the last thing that `generate` yields."""

    reason: EndReason
    end_token: int | None
    """The token that ended it, when the reason is `stop`."""
    prompt_tokens: int
    reused_tokens: int
    completion_tokens: int
    prefill_seconds: float
    decode_seconds: float
    seed: int
    thought_cut: bool = False
    """Whether a thought was closed because its budget was spent."""
    drafted_tokens: int = 0
    """Tokens that were guessed."""
    accepted_tokens: int = 0
    """Of these, tokens that were then said."""
    warnings: tuple[str, ...] = ()
    """What the user should know: snapshots that could not be used."""


class Engine(Protocol):
    """A model that is or can be loaded, for one conversation at a time."""

    def start(self, report: Report, cancel: Event) -> EngineInfo:
        """Load the model if it is not loaded, and tell what it is.

        Cancelled, ModelNotFound, BadGguf, UsageError (options that the model can't have), DoesNotFit, EngineError or
        EngineDied when it can't be loaded.
        """

    def tokenize(self, prompt: Sequence[Segment], cancel: Event) -> list[int]:
        """The ids of a prompt; EngineError for a special token that the vocabulary lacks, Cancelled."""

    def generate(
        self,
        prompt: Sequence[Segment],
        sampling: Sampling,
        max_tokens: int,
        report: Report,
        cancel: Event,
        guidance: Guidance = FREE,
    ) -> Generator[Piece | Completion, None, None]:
        """Continue the prompt until an end token, `max_tokens` (0: as long as there is room) or `cancel`.

        The end token itself is yielded as a Piece. Raises ContextFull when the prompt leaves no room, UsageError for a
        constraint that is none, EngineDied when the child dies.
        """

    def read(self, prompt: Sequence[Segment]) -> None:
        """Let a loaded model read how the next prompt will begin, while nobody asks; any request ends that at once."""

    def close(self) -> None:
        """Free the model; the next start loads it again."""
