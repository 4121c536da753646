"""`g4local tools`: what models can ask for, what it costs to tell them, and whether it may run."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from g4local.cli import completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import Cancelled, G4Error, UsageError
from g4local.core.messages import Json
from g4local.settings import SHELL_SECONDS, paths
from g4local.tools.permissions import Permission

if TYPE_CHECKING:
    from g4local.tools.tool import Tool

Name = Annotated[str, typer.Argument(metavar="NAME", help="A tool.", autocompletion=completion.tools)]
_SERVED = "__"
"""In the name of a tool that an MCP server offers, behind the server's; such a name is known only while it runs."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Which tools there are, and what holds for them; each field is a flag."""

    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="What the file tools may see.", exists=True, file_okay=False)
    ] = Path()
    mcp: options.Mcp = None
    mcp_config: options.McpFile = None
    shell_limit: options.ShellLimit = SHELL_SECONDS


tools = typer.Typer(invoke_without_command=True)


@tools.callback()
def _listed(context: typer.Context) -> None:
    """List, show, run, allow or deny the tools that models can use."""
    if context.invoked_subcommand is None:
        with _known(Offer()) as known:
            _list(known, Path(), None, as_json=False)


@tools.command()
@options.takes(Offer)
def ls(
    offer: Offer,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Whose tokens to count: what it costs in each prompt to tell it of a tool.",
            autocompletion=completion.models,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the tools; `--tools` offers all but those that change something, which are named with `--tool`."""
    with _known(offer) as known:
        _list(known, offer.folder, model, as_json=as_json)


def _list(known: Mapping[str, "Tool"], folder: Path, model: str | None, *, as_json: bool) -> None:
    costs = _costs(model, known) if model is not None else {}
    if as_json:
        listed: list[Json] = [_object(tool, folder, costs.get(tool.name)) for tool in known.values()]
        total: Json = sum(costs.values()) if model is not None else None
        output.json_line({"schema": "g4local.tools.ls/1", "model": model, "tokens": total, "tools": listed})
        return
    rows = [
        [
            tool.name,
            _permission(tool, folder),
            "changes" if tool.changes else "",
            *([str(costs[tool.name])] if costs else []),
            output.shortened(tool.description),
        ]
        for tool in known.values()
    ]
    output.table(["NAME", "MAY RUN", "", *(["TOKENS"] if costs else []), "DESCRIPTION"], rows, ("DESCRIPTION",))
    if costs:
        output.note(f"All of them: {sum(costs.values()):,} tokens of each prompt.")


@tools.command()
@options.takes(Offer)
def show(
    offer: Offer,
    name: Name,
    as_json: options.AsJson = False,
) -> None:
    """Show what a tool does and takes."""
    with _known(offer) as known:
        tool = _named(name, known)
    if as_json:
        parameters = cast(Json, tool.parameters)
        output.json_line(
            {"schema": "g4local.tools.show/1", **_object(tool, offer.folder, None), "parameters": parameters}
        )
        return
    output.fields(
        {
            "tool": tool.name,
            "does": tool.description,
            "may run": _permission(tool, offer.folder),
            "changes": "something, so it is offered only where it is named" if tool.changes else "nothing",
            "from": tool.source,
            **_parameters(tool),
        }
    )


@tools.command()
@options.takes(Offer)
def call(
    offer: Offer,
    name: Name,
    arguments: Annotated[str, typer.Argument(metavar="JSON", help='An object: {"path": "notes.txt"}')] = "{}",
    as_json: options.AsJson = False,
) -> None:
    """Run a tool yourself, as a model would; you are not asked, and rules are for models."""
    from g4local.chat.calls import WRONG_ARGUMENTS, outcome
    from g4local.core.messages import ToolCall

    given = ToolCall(name, _arguments(arguments))
    cancel = Event()
    with interruptible(cancel), _known(offer, cancel) as known:
        result = outcome(given, [_named(name, known)], lambda call: True, cancel)
    if cancel.is_set():
        raise Cancelled(f"{name} was stopped.")
    if as_json:
        told: dict[str, Json] = {"name": name, "arguments": cast(Json, given.arguments)}
        output.json_line({"schema": "g4local.tools.call/1", **told, "result": result.value, "ok": result.ok})
        raise typer.Exit(0 if result.ok else G4Error.exit_code)
    text = result.value if isinstance(result.value, str) else json.dumps(result.value, ensure_ascii=False)
    if not result.ok:
        is_refused = text.startswith(WRONG_ARGUMENTS.format(name))
        hint = f"`g4local tools show {name}` tells what it takes." if is_refused else "A model is told the same."
        raise G4Error(f"{name}: {text}", hint)
    output.answer(text if text.endswith("\n") else f"{text}\n")


@tools.command(name="set")
def set_(
    name: Name,
    permission: Annotated[
        Literal["allow", "ask", "deny", "default"],
        typer.Argument(help="Whether models may run it; default takes the rule back."),
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Only there, and below.", exists=True, file_okay=False),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            metavar="ID",
            help="Only in this session; the beginning of its id will do.",
            autocompletion=completion.sessions,
        ),
    ] = None,
) -> None:
    """Say whether a tool may run: everywhere, in a folder or in a session. `doctor` names the file of these rules."""
    from g4local.tools import permissions

    if folder and session is not None:
        raise UsageError("A rule is for a folder or for a session.", "Leave out --folder or --session.")
    rule = None if permission == "default" else permission
    if rule:
        _expect_tool(name)
    held = None if session is None else _session(session)
    permissions.remember(paths(environ).permissions, name, rule, folder=folder, session=held)
    where = folder.absolute() if folder else held and f"session {held}"
    output.line(f"{name}: {permission}" + (f" in {where}" if where else ""))


def _expect_tool(name: str) -> None:
    """UsageError for a tool that there is not; one of an unknown server is a warning, since that may come yet."""
    server, is_served, _ = name.partition(_SERVED)
    if not is_served:
        with _known(Offer()) as known:
            _named(name, known)
        return
    from g4local.tools.mcp import config

    file = paths(environ).mcp
    if server not in config.names(file):
        output.warning(f"{file} names no MCP server {server!r}, so the rule waits for one.")


def _session(name: str) -> str:
    """The id of the session whose id begins so."""
    from g4local.store.store import Store

    path = paths(environ).sessions
    if not path.exists():
        raise UsageError("There is no session yet.", "g4local chat demo begins one.")
    with Store(path) as store:
        return store.find(name).id


@contextmanager
def _known(offer: Offer, cancel: Event | None = None) -> Iterator[Mapping[str, "Tool"]]:
    """The tools that there are, by name, with those of the MCP servers asked for, all of which must be usable."""
    from g4local.opening.offering import served
    from g4local.tools.registry import available

    local, warnings = available(offer.folder, offer.shell_limit, [offer.mcp_config] if offer.mcp_config else ())
    for warning in warnings:
        output.warning(warning)
    asked, stop = (offer.mcp, offer.mcp_config), cancel or Event()
    with output.Bar() as bar, served(*asked, bar.report, stop, output.warning, are_needed=True) as tools:
        bar.stop()
        yield {tool.name: tool for tool in (*local, *tools)}


def _named(name: str, known: Mapping[str, "Tool"]) -> "Tool":
    if name not in known:
        raise UsageError(f"There is no tool {name!r}.", f"Tools: {', '.join(known)}.")
    return known[name]


def _costs(model: str, known: Mapping[str, "Tool"]) -> dict[str, int]:
    """The tokens of each tool in the model's own vocabulary."""
    from g4local.chat import toolcosts
    from g4local.opening.conversation import tokenizer

    cancel = Event()
    with (
        output.Bar() as bar,
        interruptible(cancel),
        tokenizer(model, bar.report, cancel) as opened,
    ):
        opened.start(bar.report, cancel)
        return {
            name: toolcosts.cost(tool, lambda told: len(opened.tokenize(told, cancel))) for name, tool in known.items()
        }


def _permission(tool: "Tool", folder: Path) -> Permission:
    from g4local.tools import permissions

    return permissions.read(paths(environ).permissions).permission(tool.name, folder)


def _object(tool: "Tool", folder: Path, tokens: int | None) -> dict[str, Json]:
    return {
        "name": tool.name,
        "description": tool.description,
        "permission": _permission(tool, folder),
        "changes": tool.changes,
        "source": tool.source,
        "tokens": tokens,
    }


def _parameters(tool: "Tool") -> dict[str, str]:
    """What a tool takes, by name, as a person reads it."""
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    told: dict[str, str] = {}
    for name, schema in (properties if isinstance(properties, dict) else {}).items():
        words = schema if isinstance(schema, dict) else {}
        may = "" if isinstance(required, list) and name in required else ", may be left out"
        told[f"  {name}"] = f"{words.get('type', 'any')}{may}. {words.get('description', '')}".rstrip()
    return told


def _arguments(text: str) -> dict[str, Json]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"The arguments are no JSON: {error}.", """Give an object: '{"path": "notes.txt"}'"""
        ) from error
    if not isinstance(value, dict):
        raise UsageError("The arguments are no JSON object.", """They look like '{"path": "notes.txt"}'.""")
    return value
