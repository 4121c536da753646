"""What goes to and fro between us and an MCP server, within bounds whatever the server sends.

The SDK's own transport for programs keeps a line of any length; this one hangs up on a server that floods it. What a
server prints on stderr is kept in part, for the sentence that says why it can't be used.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

import anyio
import httpx2
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import (
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)

from g4local.tools.mcp.config import Address, Program, Server
from g4local.tools.mcp.mending import Mended, answered, mended
from g4local.tools.shell import environment
from g4local.tools.supervisor import KILLING_SECONDS, Lifeline, end_rest, lifeline, supervised, wake

MOST_BYTES = 8 << 20
"""That a server may send for each message that it gets."""
MOST_JUNK = 100
"""Lines that are no messages."""

_TAIL = 2000
"""Bytes of what it prints on stderr that are kept."""
LEAVE_SECONDS = 1.0
"""How long a server may take to end by itself, and again to end when it is asked to."""
_MOMENT = 0.01
_TIMEOUT = 30.0

Incoming = SessionMessage | Exception
Streams = tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]

_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream, OSError)


class Talk:
    """What is known of the talk with one server."""

    def __init__(self) -> None:
        self.printed = b""
        """The end of what it printed on stderr."""
        self.received = 0
        """Bytes since something was sent."""
        self.flooded = False
        """Whether it sent more than anybody asked for."""
        self.over = False
        """Whether it hears or says nothing more."""
        self.status = 0
        """Of the last answer over HTTP to what it was asked."""
        self.waiting: list[int | str] = []
        """The requests to a program that it has not answered."""


@asynccontextmanager
async def opened(server: Server, talk: Talk) -> AsyncGenerator[Streams, None]:
    """The streams of the SDK's client to and from a server; OSError when its program can't be started."""
    if isinstance(server, Program):
        async with _program(server, talk) as streams:
            yield streams
    else:
        async with _address(server, talk) as http_streams:
            yield http_streams


@asynccontextmanager
async def _program(server: Program, talk: Talk) -> AsyncGenerator[Streams, None]:
    with lifeline() as line:
        process = await anyio.open_process(
            supervised(server.command, line.given),
            env={**environment(os.environ), **server.env},
            cwd=server.folder,
            start_new_session=True,
            pass_fds=[line.given],
        )
        line.pass_on()
        async with _streams(process, line, talk) as streams:
            yield streams


@asynccontextmanager
async def _streams(process: Process, line: Lifeline, talk: Talk) -> AsyncGenerator[Streams, None]:
    assert process.stdin and process.stdout and process.stderr
    heard, incoming = anyio.create_memory_object_stream[Incoming](0)
    outgoing, said = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_listen, process.stdout, heard, talk)
        tasks.start_soon(_speak, process.stdin, said, heard, talk)
        tasks.start_soon(_overhear, process.stderr, talk)
        try:
            yield incoming, outgoing
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process, line, 0.0 if talk.flooded else LEAVE_SECONDS)
            tasks.cancel_scope.cancel()
            for stream in (incoming, outgoing, heard, said):
                stream.close()


async def _listen(stdout: ByteReceiveStream, heard: MemoryObjectSendStream[Incoming], talk: Talk) -> None:
    """Pass on the messages of a server, one a line, until it ends or says too much."""
    rest, junk = b"", 0
    with heard, suppress(*_GONE):
        async for chunk in stdout:
            talk.received += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in filter(bytes.strip, lines):
                messages = _messages(line, talk.waiting)
                junk += not messages
                for message in messages:
                    if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id in talk.waiting:
                        talk.waiting.remove(message.id)
                    await heard.send(SessionMessage(message))
            if talk.received > MOST_BYTES or junk > MOST_JUNK:
                talk.flooded = True
                break
    talk.over = True


def _messages(line: bytes, waiting: Sequence[int | str]) -> Sequence[JSONRPCMessage]:
    """The message in a line; of an answer that can't be read, an error for each request that waits for it."""
    try:
        return [jsonrpc_message_adapter.validate_json(mended(line), by_name=False)]
    except ValueError:
        error = ErrorData(code=PARSE_ERROR, message="its answer can't be read")
        return [JSONRPCError(jsonrpc="2.0", id=each, error=error) for each in answered(line, waiting)]


async def _speak(
    stdin: ByteSendStream,
    said: MemoryObjectReceiveStream[SessionMessage],
    heard: MemoryObjectSendStream[Incoming],
    talk: Talk,
) -> None:
    try:
        async for each in said:
            talk.received = 0
            if isinstance(each.message, JSONRPCRequest):
                talk.waiting.append(each.message.id)
            await stdin.send(each.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
    except _GONE:
        talk.over = True
        heard.close()


async def _overhear(stderr: ByteReceiveStream, talk: Talk) -> None:
    with suppress(*_GONE):
        async for chunk in stderr:
            talk.printed = (talk.printed + chunk)[-_TAIL:]


async def _end(process: Process, line: Lifeline, patience: float) -> None:
    """Let a server end, then make it, with all that it started."""
    assert process.stdin
    with suppress(*_GONE):
        await process.stdin.aclose()
    for make_it in (process.terminate, line.cut, process.kill):
        with anyio.move_on_after(KILLING_SECONDS if make_it == process.kill else patience):
            while process.returncode is None:
                if make_it == process.kill:
                    wake(process.pid)
                await anyio.sleep(_MOMENT)
        if process.returncode is None:
            make_it()
    line.cut()
    await anyio.to_thread.run_sync(end_rest, process.pid)
    with anyio.move_on_after(LEAVE_SECONDS), suppress(*_GONE):
        await process.aclose()


@asynccontextmanager
async def _address(server: Address, talk: Talk) -> AsyncGenerator[Streams, None]:
    async def answered(response: httpx2.Response) -> None:
        if response.request.method == "POST":
            talk.status = response.status_code

    async with (
        httpx2.AsyncClient(
            headers={**server.headers, "accept-encoding": "identity"},
            timeout=httpx2.Timeout(_TIMEOUT, read=None),
            event_hooks={"response": [answered, _bounded]},
        ) as client,
        streamable_http_client(server.url, http_client=client) as streams,
    ):
        yield cast(Streams, streams)


async def _bounded(response: httpx2.Response) -> None:
    """Let a body be read only as far as it is no flood, nor something small that becomes one."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.DecodingError("the body is packed, which was not asked for", request=response.request)
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """The bytes of a body, up to a limit, and mended."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        nbytes, pieces = 0, Mended()
        async for chunk in self._body:
            nbytes += len(chunk)
            if nbytes > MOST_BYTES:
                raise httpx2.ReadError("the body is too long")
            yield pieces.take(chunk)
        yield pieces.rest()

    async def aclose(self) -> None:
        await self._body.aclose()
