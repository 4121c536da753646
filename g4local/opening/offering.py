"""From the flags to the tools that a model is told of: ours, those of packages, and those of MCP servers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import environ
from pathlib import Path
from threading import Event

from g4local.chat.toolcosts import told
from g4local.core import offline
from g4local.core.errors import UsageError
from g4local.core.progress import Progress, Report
from g4local.opening.request import Request
from g4local.settings import paths
from g4local.tools import permissions
from g4local.tools.registry import Tool, available, harmless

Warn = Callable[[str], None]


@contextmanager
def offered(
    request: Request, report: Report, cancel: Event, warn: Warn, session: str | None = None
) -> Iterator[tuple[Tool, ...]]:
    """The tools that the model is told of while the block runs, without those that the rules deny.

    `session`: the id of the one that is gone on with. UsageError for a tool or a server that there is not, NetworkError
    offline for one that is spoken to over HTTP; a server that can't be used is a warning.
    """
    ours = named(request, warn, session)
    with served(request.mcp, request.mcp_config, report, cancel, warn) as tools:
        rules = permissions.read(paths(environ).permissions)
        yield (*ours, *(tool for tool in tools if rules.permission(tool.name, request.folder, session) != "deny"))


def local(request: Request) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """All tools that are no server's, and a warning for each package whose tools can't be used."""
    return available(request.folder, request.shell_limit, [request.mcp_config] if request.mcp_config else ())


def chosen(words: str, known: Sequence[Tool]) -> tuple[Tool, ...]:
    """Those of the tools that a person means: by their names, `on` for all that change nothing, `off` for none.

    UsageError for a name that is none.
    """
    names = {"on": [tool.name for tool in harmless(known)], "off": list[str]()}.get(words, words.split())
    if unknown := [name for name in names if name not in {tool.name for tool in known}]:
        raise UsageError(f"There is no tool {unknown[0]!r}.", f"Tools: {', '.join(tool.name for tool in known)}.")
    return tuple(tool for tool in known if tool.name in names)


def named(request: Request, warn: Warn, session: str | None = None) -> tuple[Tool, ...]:
    """Those of them that are no server's."""
    if not (request.tools or request.tool):
        return ()
    known, warnings = local(request)
    for warning in warnings:
        warn(warning)
    names = {tool.name for tool in known}
    named = dict.fromkeys(request.tool or ())
    if unknown := [name for name in named if name not in names]:
        raise UsageError(f"There is no tool {unknown[0]!r}.", f"Tools: {', '.join(sorted(names))}.")
    file = paths(environ).permissions
    rules = permissions.read(file)
    denied = {name for name in names if rules.permission(name, request.folder, session) == "deny"}
    for name in named:
        if name in denied:
            warn(f"{name} is not offered, since it is denied in {file}.")
    wanted = {*named, *(tool.name for tool in (harmless(known) if request.tools else ()))} - denied
    return tuple(tool for tool in known if tool.name in wanted)


@contextmanager
def served(
    names: Sequence[str] | None,
    file: Path | None,
    report: Report,
    cancel: Event,
    warn: Warn,
    *,
    are_needed: bool = False,
) -> Iterator[tuple[Tool, ...]]:
    """The tools of the MCP servers of these names, which are left again at the end; the errors of `connected`."""
    if not names:
        yield ()
        return
    from g4local.tools.mcp import config

    servers = config.named(file or paths(environ).mcp, names, environ)
    for server in servers:
        if isinstance(server, config.Address):
            offline.expect_network(f"The MCP server {server.name}")
    from g4local.tools.mcp.connection import connected

    report(Progress("start MCP servers", 0, 0))
    with connected(servers, cancel, warn, are_needed=are_needed) as tools:
        yield tuple(tool for tool in tools if _can_be_told(tool, warn))


def _can_be_told(tool: Tool, warn: Warn) -> bool:
    try:
        told(tool)
    except UsageError as error:
        warn(f"{tool.name} is left out. {error.message}")
        return False
    return True
