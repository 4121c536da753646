"""The flags of `run` and `chat`, and of commands that load a model likewise."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from g4local.backend.engine import RANGES, DraftKind, KvType
from g4local.cli import completion, options
from g4local.opening.request import CONTEXT, Request

MOST_TOKENS = 2**31 - 1
"""The largest number of tokens that a flag takes."""


def _number_or(word: str, meaning: Any, low: int, high: int) -> Callable[[Any], Any]:
    """A parser of flags that take a whole number in a range, or one word with a meaning of its own."""

    def parsed(value: Any) -> Any:
        if value in (word, meaning):
            return meaning
        try:
            number = int(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise typer.BadParameter(f"{value!r} is neither {word} nor a whole number from {low} to {high}.")
        return number

    return parsed


Context = Annotated[
    Any,
    typer.Option(
        "--ctx",
        metavar="N|max",
        parser=_number_or("max", "max", 0, MOST_TOKENS),
        show_default=False,
        help=f"Tokens of context, {CONTEXT} without it, in steps of 256; max is what fits into memory, "
        "0 all that the model can.",
    ),
]
KvKind = Annotated[
    KvType,
    typer.Option("--kv-type", help="How the context is kept; q8_0 halves it and is a little less exact."),
]
LazyPle = Annotated[
    Literal["auto", "on", "off"],
    typer.Option("--lazy-ple", help="Read E2B's and E4B's per-layer embeddings from the disk when they are needed."),
]
Draft = Annotated[
    DraftKind,
    typer.Option("--draft", help="Guess tokens that come next, to check several at once; no answer changes."),
]
DraftModel = Annotated[
    str | None,
    typer.Option(
        "--draft-model",
        metavar="MODEL",
        help="The model's own assistant, a GGUF or a checkpoint folder; one beside the model is found.",
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        "-t",
        metavar="N",
        min=0,
        max=512,
        help="CPU threads; 0 is what suits here, or what bench --tune found.",
    ),
]
GpuLayers = Annotated[
    int | None,
    typer.Option(
        "--gpu-layers",
        metavar="N|auto",
        parser=_number_or("auto", None, -1, 512),
        help="Layers on the GPU; -1 is all, auto as many as fit, experts last.",
    ),
]
ForceLoad = Annotated[
    bool, typer.Option("--force-load", help="Load the model even if there seems to be too little memory.")
]


def _sampling(field: str, *names: str, says: str) -> Any:
    """The flag for a field of Sampling, with the field's range."""
    low, high = RANGES[field]

    def finite(value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise typer.BadParameter(f"{value} is no number.")
        return value

    return typer.Option(*names, metavar="N", min=low, max=high, callback=finite, help=says)


FLAGS: dict[str, Any] = {
    "model": options.Model,
    "system": Annotated[str, typer.Option("--system", "-s", metavar="TEXT", help="System prompt.")],
    "think": Annotated[bool | None, typer.Option("--think/--no-think", help="Let the model think before it answers.")],
    "tools": Annotated[bool, typer.Option("--tools", help="Offer every tool that changes nothing.")],
    "tool": Annotated[
        list[str] | None,
        typer.Option(
            "--tool",
            "-T",
            metavar="NAME",
            help="Offer this tool (repeatable).",
            autocompletion=completion.tools,
        ),
    ],
    "folder": Annotated[
        Path,
        typer.Option("--folder", metavar="DIR", help="What the file tools may see.", exists=True, file_okay=False),
    ],
    "mcp": options.Mcp,
    "mcp_config": options.McpFile,
    "shell_limit": options.ShellLimit,
    "yes": Annotated[
        bool, typer.Option("--yes", "-y", help="Run tools without asking, but those that the rules deny.")
    ],
    "temperature": Annotated[
        float, _sampling("temperature", "--temperature", "--temp", says="0 always takes the likeliest token.")
    ],
    "top_k": Annotated[int, _sampling("top_k", "--top-k", says="Choose among so many of the likeliest tokens.")],
    "top_p": Annotated[float, _sampling("top_p", "--top-p", says="... that make up this probability.")],
    "min_p": Annotated[float, _sampling("min_p", "--min-p", says="... at least so likely as the first.")],
    "repeat_penalty": Annotated[
        float, _sampling("repeat_penalty", "--repeat-penalty", says="1 is none; Gemma 4 needs none.")
    ],
    "seed": Annotated[int | None, _sampling("seed", "--seed", says="Makes an answer repeatable.")],
    "max_tokens": Annotated[
        int,
        typer.Option(
            "--max-tokens",
            "-n",
            metavar="N",
            min=0,
            max=MOST_TOKENS,
            help="Longest reply; 0 is as long as there is room.",
        ),
    ],
    "think_budget": Annotated[
        int,
        typer.Option(
            "--think-budget",
            metavar="N",
            min=0,
            max=MOST_TOKENS,
            help="Longest thought in tokens; 0 is as long as it takes.",
        ),
    ],
    "schema": Annotated[
        str | None,
        typer.Option("--schema", metavar="FILE|JSON", help="Answer in JSON that this JSON Schema allows."),
    ],
    "regex": Annotated[
        str | None, typer.Option("--regex", metavar="RE", help="Answer with what this regular expression matches.")
    ],
    "grammar": Annotated[
        Path | None,
        typer.Option(
            "--grammar", metavar="FILE", help="Answer in the language of this Lark or GBNF grammar.", dir_okay=False
        ),
    ],
    "loop_guard": Annotated[
        bool, typer.Option("--loop-guard/--no-loop-guard", help="Stop an answer that only repeats itself.")
    ],
    "ctx": Context,
    "threads": Threads,
    "gpu_layers": GpuLayers,
    "kv_type": KvKind,
    "lazy_ple": LazyPle,
    "draft": Draft,
    "draft_model": DraftModel,
    "force_load": ForceLoad,
    "snapshots": Annotated[
        bool,
        typer.Option("--snapshots/--no-snapshots", help="Keep on the disk what the model has read, to go on quickly."),
    ],
    "quant": options.Quant,
    "go_on": options.Continue,
    "session": options.SessionId,
    "save": Annotated[
        bool, typer.Option("--save/--no-save", envvar="G4LOCAL_SAVE", help="Keep what is said as a session.")
    ],
    "stats": Annotated[bool, typer.Option("--stats", "--verbose", help="Tokens and speeds, on stderr at the end.")],
}
"""The flag of each field of a Request that both `run` and `chat` have."""

RUN_FLAGS: dict[str, Any] = {
    **FLAGS,
    "batch": Annotated[
        str | None,
        typer.Option(
            "--batch",
            metavar="FILE",
            help="Ask what is on each line of a JSONL file (- is stdin) and answer in JSON lines; no session is kept.",
        ),
    ],
    "target": Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A file for what stdout would get; it appears when it is whole."
        ),
    ],
    "force": Annotated[bool, typer.Option("--force", "-f", help="Write over the file of --output.")],
    "retry_failed": Annotated[
        bool,
        typer.Option("--retry-failed", help="Ask what failed in a batch's file again, and keep the other answers."),
    ],
}
"""Those of `run`, for a RunRequest."""

CHAT_FLAGS: dict[str, Any] = {
    **FLAGS,
    "model": Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="As of `run`; without it, that of the session that is gone on with. The app asks for one.",
            autocompletion=completion.models,
        ),
    ],
    "keep_alive": Annotated[
        Any,
        typer.Option(
            "--keep-alive",
            "--keepalive",
            metavar="TIME",
            parser=options.seconds,
            show_default=False,
            help="Free the memory after so long without a question, 30m without it; 0 is after each answer, "
            "-1 or forever never.",
        ),
    ],
    "plain": Annotated[
        bool, typer.Option("--plain", envvar="G4LOCAL_PLAIN", help="Talk line by line, without the app.")
    ],
}
"""Those of `chat`."""


@dataclass(frozen=True, slots=True)
class RunRequest(Request):
    """How `run` is told what to ask, and where the answer goes."""

    batch: str | None = None
    """A file of questions; `-` is stdin."""
    target: Path | None = None
    """A file for what stdout would get."""
    force: bool = False
    """Whether that file may be there already."""
    retry_failed: bool = False
    """Whether what failed in a file of answers is asked again."""


@dataclass(frozen=True, slots=True)
class ChatRequest(Request):
    """How `chat` is told so: a session that it goes on with knows its model."""

    model: str = ""
    plain: bool = False
    """Line by line also where the app could be shown."""
