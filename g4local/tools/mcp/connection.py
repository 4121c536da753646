"""MCP servers that are spoken to: their tools are Tools, and their failures are sentences.

The SDK is asynchronous, so it runs in a thread of its own; a call waits for it, and for a wish to stop.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager, suppress
from threading import Event
from threading import Event as Wish
from time import monotonic
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult
from mcp_types import Tool as Described

from g4local.core.errors import Cancelled, G4Error, NetworkError, reason
from g4local.core.messages import Json
from g4local.tools.mcp.config import Program, Server
from g4local.tools.mcp.described import as_tool
from g4local.tools.mcp.results import text_of
from g4local.tools.mcp.transport import Talk, opened
from g4local.tools.tool import Tool, ToolError

START_SECONDS = 60.0
"""How long a server may take to be ready; some download themselves first."""
CALL_SECONDS = 120.0
"""How long a call may take."""
LEAVE_SECONDS = 5.0
MOST_STARTS = 3
"""How often a server that does not answer is started again."""
MOST_TOOLS = 100
"""Of one server."""

Warn = Callable[[str], None]

_MOST_PAGES = 20
_CLOSED = (CONNECTION_CLOSED, "Connection closed")
_ERROR = 400
_SIGN_IN, _GONE, _NO_STREAMABLE = (401, 403), 404, (404, 405)
"""Statuses of HTTP."""
_TOKEN_HINT = 'a token goes into its headers in mcp.json: {"Authorization": "Bearer ${env:TOKEN}"}'
_MOMENT = 0.05


@contextmanager
def connected(
    servers: Sequence[Server], cancel: Wish, warn: Warn, *, are_needed: bool = False
) -> Iterator[tuple[Tool, ...]]:
    """The tools of these servers while the block runs; `warn` is told what of them can't be used.

    A server that has ended is started again by the next call of a tool of its. Cancelled when the person stops it.
    Where all `are_needed`, one that can't be used is a NetworkError if it has an address, else a G4Error.
    """
    logging.getLogger("mcp").disabled = True  # it prints what servers say, on a terminal perhaps
    for name in ("mcp.client.stdio", "mcp.client.streamable_http", "mcp.client.session"):
        logging.getLogger(name).disabled = True
    with start_blocking_portal() as portal, ExitStack() as stack:
        services = [_Service(server, portal, warn) for server in servers]
        for service in services:
            stack.callback(service.close)
        yield tuple(tool for service in services for tool in service.tools(cancel, is_needed=are_needed))


class _Service:
    """One server, also when it is started again."""

    def __init__(self, server: Server, portal: BlockingPortal, warn: Warn) -> None:
        self._server = server
        self._portal = portal
        self._warn = warn
        self._connection = _Connection(server, portal)
        self._unanswered_starts = 0
        """How often it was started again since it last answered."""
        self._known: list[Described] = []
        """The tools that the conversation knows."""

    def tools(self, cancel: Wish, *, is_needed: bool) -> list[Tool]:
        """Its tools; why some or all can't be used is a warning, or an error where it is needed."""
        if why := self._connection.unusable(cancel):
            self._complain(_unusable(self._server, why), is_needed=is_needed)
            return []
        self._known = self._connection.described
        tools: dict[str, Tool] = {}
        repeated: list[str] = []
        for each in self._known[:MOST_TOOLS]:
            if cancel.is_set():
                raise Cancelled(f"Starting the MCP server {self._server.name} was cancelled.")
            try:
                tool = as_tool(self._server.name, each, self._call)
            except G4Error as error:
                self._warn(error.message)
                continue
            if tools.setdefault(tool.name, tool) is not tool:
                repeated.append(tool.name)
        if repeated:
            self._warn(f"The MCP server {self._server.name} has more than one tool {repeated[0]}; the first is used.")
        if len(self._known) > MOST_TOOLS:
            self._warn(f"The MCP server {self._server.name} has more than {MOST_TOOLS} tools; the first are used.")
        return [*tools.values()]

    def _complain(self, error: G4Error, *, is_needed: bool) -> None:
        if is_needed:
            raise error
        self._warn(error.message)

    def close(self) -> None:
        """Leave the server, and end it if it was started for us."""
        self._connection.close()

    def _call(self, name: str, arguments: Mapping[str, Json], cancel: Wish) -> Json:
        note = self._started_again(name, cancel) if self._connection.is_over else ""
        result = self._connection.answer(name, arguments, cancel)
        self._unanswered_starts = 0
        text = "\n".join(filter(None, (note, text_of(result))))
        if result.is_error:
            raise ToolError(text or "it failed without a word")
        return text or result.structured_content

    def _started_again(self, name: str, cancel: Wish) -> str:
        """Start it anew, if that may help: what the model is told of that; ToolError when the tool is no more."""
        server = f"MCP server {self._server.name}"
        if self._connection.flooded or self._unanswered_starts >= MOST_STARTS:
            raise ToolError(f"the {server} is gone")
        self._unanswered_starts += 1
        self._connection.close()
        self._connection = _Connection(self._server, self._portal)
        try:
            why = self._connection.unusable(cancel)
        except Cancelled as error:
            raise ToolError("stopped by the user") from error
        again = "started again" if isinstance(self._server, Program) else "connected again"
        if why:
            raise ToolError(f"the {server} had ended and can't be {again}: {why}")
        now = self._connection.described
        others = "" if now == self._known else "; its tools have changed, and this chat knows those of before"
        self._warn(f"The {server} had ended and was {again}{others}.")
        if name not in {each.name for each in now}:
            raise ToolError(f"the {server} had ended and was {again}, and has no tool {name} any more")
        return f"[the server had ended and was {again}]"


class _Connection:
    """One talk with a server, from its start to its end."""

    def __init__(self, server: Server, portal: BlockingPortal) -> None:
        self.described: list[Described] = []
        """The tools that it says it has."""
        self._server = server
        self._portal = portal
        self._talk = Talk()
        self._ready = Event()
        self._client: Client | None = None
        self._leave = portal.call(anyio.Event)
        self._task: Future[None] = portal.start_task_soon(self._spoken_to)

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked."""
        return not self._ready.is_set() or self._task.done() or self._talk.over or self._talk.status == _GONE

    @property
    def flooded(self) -> bool:
        """Whether it is over because the server sent far more than it was asked for."""
        return self._talk.flooded

    def unusable(self, cancel: Wish) -> str:
        """Wait until the server is ready; why it can't be used, or nothing. Cancelled when the person stops it."""
        end = monotonic() + START_SECONDS
        while not (self._ready.wait(_MOMENT) or self._task.done()):
            if cancel.is_set():
                raise Cancelled(f"Starting the MCP server {self._server.name} was cancelled.")
            if monotonic() > end:
                self._task.cancel()
                return self._why(f"it is not ready after {START_SECONDS:g} seconds")
        return "" if self._ready.is_set() else self._why(_reason(self._task.exception()))

    def close(self) -> None:
        """Leave the server, and end it if it was started for us."""
        if self._ready.is_set():
            self._portal.call(self._leave.set)
        else:
            self._task.cancel()
        with suppress(TimeoutError, CancelledError):
            self._task.exception(timeout=LEAVE_SECONDS)
        self._task.cancel()

    def answer(self, name: str, arguments: Mapping[str, Json], cancel: Wish) -> CallToolResult:
        """Call a tool; ToolError when no answer comes."""
        call: Future[CallToolResult] = self._portal.start_task_soon(self._asked, name, dict(arguments))
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
            self._talk.over = self._talk.over or _is_end(error)
            raise ToolError(f"the MCP server {self._server.name} failed: {self._why(_reason(error))}") from error
        return call.result()

    async def _spoken_to(self) -> None:
        async with Client(opened(self._server, self._talk), cache=None) as client:
            self.described = await _listed(client)
            self._client = client
            self._ready.set()
            await self._leave.wait()

    async def _asked(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        assert self._client is not None
        with anyio.fail_after(CALL_SECONDS):
            return await self._client.call_tool(name, arguments)

    def _why(self, error: str) -> str:
        """What is known of why it failed, in more words than the error has."""
        if self._talk.flooded:
            return "it sent far more than it was asked for"
        if self._talk.status in _SIGN_IN:
            return f"it wants a sign-in (HTTP status {self._talk.status}), which g4local can't do; {_TOKEN_HINT}"
        status = f" (HTTP status {self._talk.status})" if self._talk.status >= _ERROR else ""
        if self._ready.is_set():
            return f"{error}{status}"
        older = "; servers of the older type sse can't be used" if self._talk.status in _NO_STREAMABLE else ""
        printed = self._talk.printed.decode("utf-8", "replace").strip().rpartition("\n")[2][-200:]
        said = f" (it said: {printed})" if printed else ""
        return f"{error}{status}{older}{said}"


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


def _is_end(error: BaseException) -> bool:
    """Whether a call failed because the talk is over, in the SDK's words, which come before its task has ended."""
    return isinstance(error, MCPError) and (error.error.code, error.error.message) == _CLOSED


def _unusable(server: Server, why: str) -> G4Error:
    told = f"The MCP server {server.name} can't be used: {why.removesuffix('.')}."
    if isinstance(server, Program):
        return G4Error(told, "Check its entry in mcp.json, and start it by hand to see what it says.")
    return NetworkError(told, "Check its url in mcp.json, and whether it runs.")


def _reason(error: BaseException | None) -> str:
    """What went wrong, in the words of the first error in a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    words = reason(error) if isinstance(error, Exception) else ""
    return words.strip().partition("\n")[0][:200] or type(error).__name__
