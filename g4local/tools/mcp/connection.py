"""MCP servers that are spoken to: their tools are Tools, and their failures are sentences.

The SDK is asynchronous, so it runs in a thread of its own; a call waits for it, and for a wish to stop.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager, suppress
from threading import Event
from threading import Event as Wish
from time import monotonic
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp_types import CallToolResult, TextContent
from mcp_types import Tool as Described

from g4local.core.errors import Cancelled, G4Error, reason
from g4local.core.messages import Json
from g4local.tools.mcp.config import Server
from g4local.tools.mcp.described import as_tool
from g4local.tools.mcp.transport import Talk, opened
from g4local.tools.tool import Tool, ToolError

START_SECONDS = 60.0
"""How long a server may take to be ready; some download themselves first."""
CALL_SECONDS = 120.0
"""How long a call may take."""
LEAVE_SECONDS = 5.0
MOST_TOLD = 16 * 1024
"""Characters of a result that are told."""
MOST_TOOLS = 100
"""Of one server."""

_MOST_PAGES = 20
_MOMENT = 0.05


@contextmanager
def connected(servers: Sequence[Server], cancel: Wish) -> Iterator[tuple[tuple[Tool, ...], tuple[str, ...]]]:
    """The tools of these servers while the block runs, and a warning for what of them can't be used.

    Cancelled when the person stops it.
    """
    logging.getLogger("mcp").disabled = True  # it prints what servers say, on a terminal perhaps
    for name in ("mcp.client.stdio", "mcp.client.streamable_http", "mcp.client.session"):
        logging.getLogger(name).disabled = True
    with start_blocking_portal() as portal, ExitStack() as stack:
        connections = [_Connection(server, portal) for server in servers]
        for connection in connections:
            stack.callback(connection.close)
        tools: dict[str, Tool] = {}
        warnings: list[str] = []
        for connection in connections:
            found, complaints = connection.tools(cancel)
            warnings += complaints
            tools |= {tool.name: tool for tool in found}
        yield tuple(tools.values()), tuple(warnings)


class _Connection:
    """One server, from its start to its end."""

    def __init__(self, server: Server, portal: BlockingPortal) -> None:
        self._server = server
        self._portal = portal
        self._talk = Talk()
        self._ready = Event()
        self._client: Client | None = None
        self._described: list[Described] = []
        self._leave = portal.call(anyio.Event)
        self._task: Future[None] = portal.start_task_soon(self._spoken_to)

    def tools(self, cancel: Wish) -> tuple[list[Tool], list[str]]:
        """Its tools, and why some or all can't be used."""
        end = monotonic() + START_SECONDS
        while not (self._ready.wait(_MOMENT) or self._task.done()):
            if cancel.is_set():
                raise Cancelled(f"Starting the MCP server {self._server.name} was cancelled.")
            if monotonic() > end:
                self._task.cancel()
                return [], [self._unusable(f"it is not ready after {START_SECONDS:g} seconds")]
        if not self._ready.is_set():
            return [], [self._unusable(_reason(self._task.exception()))]
        tools: list[Tool] = []
        warnings: list[str] = []
        for described in self._described[:MOST_TOOLS]:
            try:
                tools.append(as_tool(self._server.name, described, self._call))
            except G4Error as error:
                warnings.append(error.message)
        if len(self._described) > MOST_TOOLS:
            warnings.append(f"The MCP server {self._server.name} has more than {MOST_TOOLS} tools; the first are used.")
        return tools, warnings

    def close(self) -> None:
        """Leave the server, and end it if it was started for us."""
        if self._ready.is_set():
            self._portal.call(self._leave.set)
        else:
            self._task.cancel()
        with suppress(TimeoutError, CancelledError):
            self._task.exception(timeout=LEAVE_SECONDS)
        self._task.cancel()

    async def _spoken_to(self) -> None:
        async with Client(opened(self._server, self._talk), cache=None) as client:
            self._described = await _listed(client)
            self._client = client
            self._ready.set()
            await self._leave.wait()

    def _call(self, name: str, arguments: Mapping[str, Json], cancel: Wish) -> Json:
        if self._client is None or self._task.done():
            raise ToolError(f"the MCP server {self._server.name} is gone")
        call: Future[CallToolResult] = self._portal.start_task_soon(self._answer, name, dict(arguments))
        while not call.done():
            if cancel.is_set():
                call.cancel()
                raise ToolError("stopped by the user")
            with suppress(TimeoutError, CancelledError):
                call.exception(timeout=_MOMENT)
        error = CancelledError("it is being left") if call.cancelled() else call.exception()
        if isinstance(error, TimeoutError):
            raise ToolError(f"the MCP server {self._server.name} did not answer in {CALL_SECONDS:g} seconds")
        if error is not None:
            raise ToolError(f"the MCP server {self._server.name} failed: {self._flood() or _reason(error)}") from error
        result = call.result()
        if result.is_error:
            raise ToolError(_text(result) or "it failed without a word")
        return _text(result) or result.structured_content

    async def _answer(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        assert self._client is not None
        with anyio.fail_after(CALL_SECONDS):
            return await self._client.call_tool(name, arguments)

    def _unusable(self, why: str) -> str:
        printed = self._talk.printed.decode("utf-8", "replace").strip().rpartition("\n")[2][-200:]
        said = f" (it said: {printed})" if printed else ""
        return f"The MCP server {self._server.name} can't be used: {self._flood() or why}{said}."

    def _flood(self) -> str:
        return "it sent far more than it was asked for" if self._talk.flooded else ""


async def _listed(client: Client) -> list[Described]:
    """All tools of a server, page by page."""
    described: list[Described] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        described += page.tools
        cursor = page.next_cursor
        if not cursor or len(described) > MOST_TOOLS:
            break
    return described


def _text(result: CallToolResult) -> str:
    """What a result says; what is no text is named."""
    parts = [each.text if isinstance(each, TextContent) else f"[{each.type} left out]" for each in result.content]
    text = "\n".join(parts)
    return text if len(text) <= MOST_TOLD else f"{text[:MOST_TOLD]}\n[cut: the first {MOST_TOLD:,} characters]"


def _reason(error: BaseException | None) -> str:
    """What went wrong, in the words of the first error in a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    words = reason(error) if isinstance(error, Exception) else ""
    return words.strip().partition("\n")[0][:200] or type(error).__name__
