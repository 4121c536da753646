"""MCP servers, as an `mcp.json` names them that other programs use, too.

{"mcpServers": {"files": {"command": "npx", "args": ["-y", "some-server"], "env": {"KEY": "${env:KEY}"}},
                "notes": {"url": "http://127.0.0.1:8000/mcp", "headers": {"Authorization": "Bearer ${TOKEN:-none}"}}}}

VS Code's files have `servers` instead. Words in `${}` are filled in (`placeholders`) where a server is asked for.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from g4local.core.addresses import is_address
from g4local.core.errors import UsageError, reason
from g4local.tools.mcp import placeholders

_NAME = re.compile(r"(?!.*__)[A-Za-z0-9_-]{0,31}[A-Za-z0-9-]")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STRING = r'("(?:\\.|[^"\\])*+"?)'
"""One that is not closed goes on to the end, so that it is read once only."""
_COMMENT = re.compile(_STRING + r"|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_LAST_COMMA = re.compile(_STRING + r"|,(?=\s*[\]}])", re.DOTALL)
_EXAMPLE = '{"mcpServers": {"notes": {"url": "http://127.0.0.1:8000/mcp"}}}'
_TYPES = {
    "stdio": "command", "http": "url", "streamable-http": "url", "streamableHttp": "url", "streamable_http": "url",
}  # fmt: skip
"""What `type` may be, in the spellings that there are, and what an entry of that type has."""


@dataclass(frozen=True, slots=True)
class Program:
    """A server that is started here, and spoken to over its stdin and stdout."""

    name: str
    command: tuple[str, ...] = field(repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that it gets beside the few that every command gets."""
    folder: str | None = None
    """Where it is started; here if it is None."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server that runs already, and is spoken to over HTTP."""

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Server = Program | Address
Fill = Callable[[str], str]
"""Fills in placeholders."""


def names(file: Path) -> tuple[str, ...]:
    """The names of a file's servers, but those that are disabled; UsageError when it can't be understood."""
    return tuple(name for name, entry in _entries(file).items() if not _is_disabled(entry))


def named(file: Path, wanted: Sequence[str], environ: Mapping[str, str]) -> tuple[Server, ...]:
    """The servers of these names, with their placeholders filled in from the environment.

    UsageError for a name that the file does not have, or has disabled, and for an entry that can't be used.
    """
    entries = _entries(file)
    for name in wanted:
        if name not in entries:
            known = f"Servers there: {', '.join(entries)}." if entries else f"It looks like {_EXAMPLE}."
            raise UsageError(f"{file} names no MCP server {name!r}.", known)
    return tuple(_server(file, name, entries[name], environ) for name in dict.fromkeys(wanted))


def _entries(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(_plain(file.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} can't be read: {reason(error)}.", f"It looks like {_EXAMPLE}.") from error
    groups = [content[key] for key in ("servers", "mcpServers") if key in content] if isinstance(content, dict) else []
    if not groups or not all(isinstance(group, dict) for group in groups):
        raise UsageError(f"{file} has no mcpServers.", f"It looks like {_EXAMPLE}.")
    return {name: entry for group in groups for name, entry in group.items()}


def _plain(text: str) -> str:
    """JSON without the comments and the commas before a bracket that VS Code allows."""
    for what in (_COMMENT, _LAST_COMMA):
        text = what.sub(lambda found: found[1] or "", text)
    return text


def _is_disabled(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry.get("disabled"))


def _server(file: Path, name: str, entry: Any, environ: Mapping[str, str]) -> Server:
    if not _NAME.fullmatch(name):
        hint = "Letters, digits, - and single _ within make one: __ parts it from a tool's in the names of its tools."
        raise UsageError(f"{file}: {name!r} is no name for an MCP server.", hint)
    if _is_disabled(entry):
        raise UsageError(f"The MCP server {name} is disabled in {file}.", "Take `disabled` out of its entry.")

    def filled(text: str) -> str:
        return placeholders.filled(text, environ, f"{file}: the MCP server {name}")

    kind = _kind(file, name, entry)
    server = (
        _program(file, name, entry, filled)
        if kind == "command"
        else _address(file, name, entry, filled)
        if kind
        else None
    )
    if server is None:
        raise UsageError(
            f"{file}: the MCP server {name} has neither a command (with args and env) nor a url (with headers).",
            f"It looks like {_EXAMPLE}.",
        )
    return server


def _kind(file: Path, name: str, entry: Any) -> str | None:
    """Whether the entry is that of a command or of a url; None when it is neither."""
    if not isinstance(entry, dict):
        return None
    if "envFile" in entry:
        raise UsageError(f"{file}: the MCP server {name} has an envFile, which is not read.", "Write it into env.")
    if "type" not in entry:
        return next((key for key in ("command", "url") if key in entry), None)
    kind = str(entry["type"])
    if kind == "sse":
        raise UsageError(
            f"{file}: the MCP server {name} is of the type sse, which g4local does not speak.",
            "Many such servers speak streamable HTTP, too, at an address that often ends in /mcp.",
        )
    if kind not in _TYPES:
        raise UsageError(
            f"{file}: the MCP server {name} has the unknown type {kind!r}.", f"Types: {', '.join(_TYPES)}."
        )
    return _TYPES[kind]


def _program(file: Path, name: str, entry: Mapping[str, Any], filled: Fill) -> Program | None:
    arguments, folder = entry.get("args", []), entry.get("cwd")
    variables = _texts(entry.get("env", {}))
    if not isinstance(arguments, list) or variables is None:
        return None
    given = [entry.get("command"), *arguments]
    command = [each for each in given if _is_text(each)]
    if len(command) < len(given):
        return None
    if wrong := [variable for variable in variables if not variable or set(variable) & set("=\0")]:
        raise UsageError(
            f"{file}: the MCP server {name} has {wrong[0]!r} in its env, which is no name of a variable.",
            'An entry is "NAME": "value".',
        )
    env = {variable: filled(value) for variable, value in variables.items()}
    return Program(name, tuple(map(filled, command)), env, filled(folder) if _is_text(folder) else None)


def _address(file: Path, name: str, entry: Mapping[str, Any], filled: Fill) -> Address | None:
    url, headers = entry.get("url"), _texts(entry.get("headers", {}))
    if not _is_text(url) or headers is None:
        return None
    address = Address(name, filled(url), {header: filled(value) for header, value in headers.items()})
    for header, value in address.headers.items():
        if not (_HEADER.fullmatch(header) and value.isascii() and value.isprintable()):
            raise UsageError(
                f"{file}: the MCP server {name} has the header {header!r}, which can't be sent.",
                "Names and values of headers are one line of ASCII; look whether a variable ends with a line break.",
            )
    if not is_address(address.url):
        raise UsageError(
            f"{file}: the MCP server {name} has the url {url!r}, which is no address.",
            "It looks like http://127.0.0.1:8000/mcp or https://example.org/mcp.",
        )
    return address


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value) and "\0" not in value and value.isascii() | value.isprintable()


def _texts(value: Any) -> dict[str, str] | None:
    """A table of texts; None for what is none."""
    is_table = isinstance(value, dict) and all(isinstance(each, str) and "\0" not in each for each in value.values())
    return dict(value) if is_table else None
