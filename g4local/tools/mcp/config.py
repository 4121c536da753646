"""MCP servers, as an `mcp.json` names them that other programs use, too.

{"mcpServers": {"files": {"command": "npx", "args": ["-y", "some-server"], "env": {"KEY": "value"}},
                "notes": {"url": "http://127.0.0.1:8000/mcp", "headers": {"Authorization": "Bearer ..."}}}}
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from g4local.core.errors import UsageError, reason

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_EXAMPLE = '{"mcpServers": {"notes": {"url": "http://127.0.0.1:8000/mcp"}}}'


@dataclass(frozen=True, slots=True)
class Program:
    """A server that is started here, and spoken to over its stdin and stdout."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that it gets beside the few that every command gets."""
    folder: str | None = None
    """Where it is started; here if it is None."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server that runs already, and is spoken to over HTTP."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Server = Program | Address


def names(file: Path) -> tuple[str, ...]:
    """The names of a file's servers; UsageError when it can't be understood."""
    return tuple(_entries(file))


def named(file: Path, wanted: Sequence[str]) -> tuple[Server, ...]:
    """The servers of these names; UsageError for a name that the file does not have, and for a bad entry."""
    entries = _entries(file)
    for name in wanted:
        if name not in entries:
            known = f"Servers there: {', '.join(entries)}." if entries else f"It looks like {_EXAMPLE}."
            raise UsageError(f"{file} names no MCP server {name!r}.", known)
    return tuple(_server(file, name, entries[name]) for name in dict.fromkeys(wanted))


def _entries(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} can't be read: {reason(error)}.", f"It looks like {_EXAMPLE}.") from error
    entries = content.get("mcpServers") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise UsageError(f"{file} has no mcpServers.", f"It looks like {_EXAMPLE}.")
    return entries


def _server(file: Path, name: str, entry: Any) -> Server:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{file}: {name!r} is no name for an MCP server.", "Letters, digits, _ and - make one.")
    if isinstance(entry, dict) and _is_text(entry.get("command")):
        arguments, folder = entry.get("args", []), entry.get("cwd")
        variables = _texts(entry.get("env", {}))
        if isinstance(arguments, list) and all(map(_is_text, arguments)) and variables is not None:
            command = (str(entry["command"]), *map(str, arguments))
            return Program(name, command, variables, str(folder) if _is_text(folder) else None)
    if isinstance(entry, dict) and _is_text(entry.get("url")):
        url, headers = str(entry["url"]), _texts(entry.get("headers", {}))
        if url.startswith(("http://", "https://")) and headers is not None:
            return Address(name, url, headers)
    raise UsageError(
        f"{file}: the MCP server {name} has neither a command (with args and env) nor a url (with headers).",
        f"It looks like {_EXAMPLE}.",
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value and value.isascii() | value.isprintable()


def _texts(value: Any) -> dict[str, str] | None:
    """A table of texts; None for what is none."""
    is_table = isinstance(value, dict) and all(isinstance(each, str) and "\0" not in each for each in value.values())
    return dict(value) if is_table else None
