"""From the flags of `run` and `chat` to the session that a conversation goes on with, or begins."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import environ
from pathlib import Path

from g4local.chat.recording import Recording
from g4local.core.errors import UsageError
from g4local.core.messages import Json, Message
from g4local.library import DEMO
from g4local.opening.request import Request
from g4local.settings import paths
from g4local.tools.mcp import config as mcp
from g4local.tools.registry import available


@dataclass(frozen=True, slots=True)
class Opened:
    """What a conversation begins with."""

    request: Request
    """The flags, with what the session knows where they say nothing."""
    messages: Sequence[Message]
    recording: Recording | None
    """None where nothing is to be kept."""
    session: str | None = None
    """The id of the session that is gone on with, whose rules for tools hold also where nothing is kept."""


@contextmanager
def opened(request: Request, *, raw: bool) -> Iterator[Opened]:
    """The session that the flags ask for, or a new one; UsageError or StoreError when it can't be gone on with."""
    going_on = request.go_on or request.session is not None
    if request.go_on and request.session is not None:
        raise UsageError("--continue goes on with the last session, --session with another.", "Give one of them.")
    if raw:
        if going_on:
            raise UsageError("A raw prompt goes on with no session.", "Write all of it into the prompt.")
        yield Opened(request, (), None)
        return
    recording = Recording(paths(environ).sessions)
    try:
        messages: Sequence[Message] = ()
        if going_on:
            request, messages = _gone_on_with(request, recording)
        yield Opened(request, messages, recording if request.save else None, recording.session)
    finally:
        recording.close()


def settings(request: Request, gguf: Path) -> dict[str, Json]:
    """What a turn's settings say of the model: by a name that means the same from every folder, and its file."""
    path = Path(request.model).expanduser()
    name = str(path.absolute()) if request.model != DEMO and path.exists() else request.model
    loaded: dict[str, Json] = {"quant": request.quant, "ctx": request.ctx, "kv_type": request.kv_type}
    return {"model": name, "file": gguf.name, **loaded, "mcp": list[Json](request.mcp or [])}


def _gone_on_with(request: Request, recording: Recording) -> tuple[Request, Sequence[Message]]:
    session, messages = recording.resume(request.session)
    if not request.model:
        if not session.setting("model"):
            raise UsageError(f"Session {session.id} does not tell its model.", "Name one: g4local chat MODEL -c")
        quant = request.quant or session.setting("quant") or None
        request = replace(request, model=session.setting("model"), quant=quant)
    return _as_before(request, session.settings), messages


def _as_before(request: Request, settings: Mapping[str, Json]) -> Request:
    """What the flags leave open as it was in the session."""
    system, thinking, ctx, tools = (settings.get(name) for name in ("system", "thinking", "ctx", "tools"))
    if not request.system and isinstance(system, str):
        request = replace(request, system=system)
    if request.think is None:
        request = replace(request, think=thinking is True)
    if request.ctx is None and isinstance(ctx, int):
        request = replace(request, ctx=ctx)
    if request.ctx is None and ctx == "max":
        request = replace(request, ctx="max")
    if not (request.tools or request.tool) and isinstance(tools, list):
        known = {tool.name for tool in available(request.folder)[0]}
        request = replace(request, tool=[name for name in tools if isinstance(name, str) and name in known])
    return replace(request, mcp=_servers(request, settings.get("mcp")))


def _servers(request: Request, before: Json) -> list[str] | None:
    """The MCP servers that are asked for, or those of before that there still are."""
    if request.mcp or not isinstance(before, list) or not before:
        return request.mcp
    known = mcp.names(request.mcp_config or paths(environ).mcp)
    return [name for name in before if isinstance(name, str) and name in known]
