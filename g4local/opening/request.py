"""What a person asks for: which model, and how it is to be asked; a front end fills it in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from g4local.backend.engine import DraftKind, KvType
from g4local.settings import SHELL_SECONDS

CONTEXT = 4096
"""Tokens of context where nobody says how many."""

KEEP_ALIVE = 1800.0
"""Seconds after which an idle model is freed: longer than a person thinks, shorter than a lunch."""


def is_json(schema: str) -> bool:
    """Whether this is a JSON Schema itself, and not the name of its file."""
    return schema.lstrip().startswith(("{", "["))


@dataclass(frozen=True, slots=True)
class Request:
    """How a conversation is asked for. Its fields are flags of `run` and `chat`, whose help tells what they mean."""

    model: str
    """A name, a GGUF or a checkpoint folder; empty is that of the session that is gone on with."""
    system: str = ""
    think: bool | None = None
    """None: as in the session that is gone on with."""
    tools: bool = False
    """Every tool that changes nothing."""
    tool: list[str] | None = None
    """Tools by their names."""
    folder: Path = Path()
    """What the file tools may see."""
    mcp: list[str] | None = None
    """MCP servers by their names in `mcp_config`."""
    mcp_config: Path | None = None
    shell_limit: float = SHELL_SECONDS
    """Seconds that a command may take."""
    yes: bool = False
    """Tools run without being asked for, but those that the rules deny."""
    temperature: float = 1.0
    top_k: int = 64
    top_p: float = 0.95
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    seed: int | None = None
    max_tokens: int = 0
    think_budget: int = 0
    schema: str | None = None
    """A JSON Schema, or its file."""
    regex: str | None = None
    grammar: Path | None = None
    loop_guard: bool = True
    ctx: int | Literal["max"] | None = None
    """Tokens of context; None: as in the session that is gone on with, or CONTEXT."""
    threads: int = 0
    gpu_layers: int | None = None
    kv_type: KvType = "f16"
    lazy_ple: Literal["auto", "on", "off"] = "auto"
    draft: DraftKind = "auto"
    draft_model: str | None = None
    force_load: bool = False
    snapshots: bool = True
    quant: str | None = None
    """Of a checkpoint folder."""
    go_on: bool = False
    """With the last session."""
    session: str | None = None
    """The id, or the beginning of one, of the session to go on with."""
    save: bool = True
    """Whether a session is kept."""
    stats: bool = False
    """Whether tokens and speeds are shown."""
    keep_alive: float = KEEP_ALIVE
    """Seconds without a question after which the memory is freed."""

    @property
    def constrained(self) -> bool:
        """Whether an answer must be of a certain form."""
        return any(each is not None for each in (self.schema, self.regex, self.grammar))
