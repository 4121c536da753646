"""An MCP server written with the reference SDK: `python -m tests.mcp_server [http]`; over HTTP it prints its port."""

import os
import socket
import sys
from typing import Annotated

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp_types import CallToolResult, ImageContent, TextContent
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
    parts = [TextContent(type="text", text="Here:"), ImageContent(type="image", data="AAAA", mime_type="image/png")]
    return CallToolResult(content=parts)


@server.tool()
def echo(text: str) -> str:
    """Say the same."""
    return text


def serve_http() -> None:
    """Serve on a free port of loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    app = server.streamable_http_app()
    web = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on"))
    anyio.run(web.serve, [listening])


if __name__ == "__main__":
    serve_http() if sys.argv[1:] == ["http"] else server.run("stdio")
