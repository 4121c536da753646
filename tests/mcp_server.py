"""An MCP server written with the reference SDK: `python -m tests.mcp_server [http [PORT [TOKEN]]]`.

Over HTTP it prints its port. With a token it lets in who has it, and wants others to sign in, as servers with OAuth do.
"""

import os
import socket
import sys
from typing import Annotated, Any

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

server = MCPServer("reference", log_level="ERROR")


@server.tool()
def add(left: Annotated[int, Field(description="One.")], right: int = 0) -> int:
    """Add two numbers."""
    return left + right


@server.tool()
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@server.tool()
def environment() -> list[str]:
    """Tell the names of the variables that it was started with."""
    return sorted(os.environ)


@server.tool()
def picture() -> CallToolResult:
    """Draw."""
    there = "file:///tea.bin"
    return CallToolResult(
        content=[
            TextContent(type="text", text="Here:"),
            ImageContent(type="image", data="AAAA", mime_type="image/png"),
            AudioContent(type="audio", data="A" * 4000, mime_type="audio/wav\nof tea"),
            EmbeddedResource(type="resource", resource=TextResourceContents(uri="file:///tea.txt", text="Tea.")),
            EmbeddedResource(type="resource", resource=BlobResourceContents(uri=there, blob="AAAA")),
            ResourceLink(type="resource_link", name="tea", uri=there),
        ]
    )


@server.tool()
def echo(text: str) -> str:
    """Say the same."""
    return text


def serve_http(port: str = "0", token: str = "") -> None:
    """Serve on a port of loopback, a free one without it."""
    listening = socket.create_server(("127.0.0.1", int(port)))
    print(listening.getsockname()[1], flush=True)
    app = guarded(server.streamable_http_app(), token) if token else server.streamable_http_app()
    web = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
    anyio.run(web.serve, [listening])


def guarded(app: Any, token: str) -> Any:
    """The same server for those who have the token."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        is_known = (b"authorization", f"Bearer {token}".encode()) in scope.get("headers", [])
        if scope["type"] != "http" or is_known:
            await app(scope, receive, send)
            return
        where = b'Bearer resource_metadata="http://127.0.0.1/.well-known/oauth-protected-resource"'
        await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", where)]})
        await send({"type": "http.response.body", "body": b""})

    return answer


if __name__ == "__main__":
    serve_http(*sys.argv[2:]) if sys.argv[1:2] == ["http"] else server.run("stdio")
