"""Flags that several commands share, so that they have one name, one meaning and one help text."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from g4local.cli import completion
from g4local.core import units
from g4local.settings import SHELL_LEAST, SHELL_MOST, SHELL_SECONDS, SHELL_VARIABLE

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="demo, a name that `ls` shows, a GGUF, or a checkpoint folder.",
        autocompletion=completion.models,
    ),
]
Quant = Annotated[
    str | None,
    typer.Option(
        "--quant",
        "-q",
        metavar="NAME",
        help="Quantization of a checkpoint folder, such as Q4_K_M.",
        autocompletion=completion.quants,
    ),
]
Continue = Annotated[bool, typer.Option("--continue", "-c", help="Go on with the last session.")]
SessionId = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="ID",
        help="Go on with this session; the beginning of its id will do.",
        autocompletion=completion.sessions,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")]

Mcp = Annotated[
    list[str] | None,
    typer.Option(
        "--mcp",
        metavar="NAME",
        help="Offer the tools of this server in mcp.json (repeatable).",
        autocompletion=completion.mcp_servers,
    ),
]
McpFile = Annotated[
    Path | None,
    typer.Option("--mcp-config", metavar="FILE", help="Another mcp.json.", exists=True, dir_okay=False),
]


def seconds(value: Any) -> float:
    """A parser of times: 30s, 5m, 1h; 0 and forever, too."""
    if isinstance(value, float):
        return value
    try:
        return units.seconds(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is no time such as 30s, 5m, 1h, 0 or forever.") from None


def _shell_seconds(value: Any) -> float:
    """A parser of times that a command may take."""
    limit = seconds(value)
    if not SHELL_LEAST <= limit <= SHELL_MOST:
        raise typer.BadParameter(f"{value!r} is no time from {SHELL_LEAST:g} second to {SHELL_MOST / 3600:g} hour.")
    return limit


ShellLimit = Annotated[
    Any,
    typer.Option(
        "--shell-limit",
        metavar="TIME",
        envvar=SHELL_VARIABLE,
        parser=_shell_seconds,
        show_default=False,
        help=f"How long a command of run_shell may take, {SHELL_SECONDS:g}s without it; an hour at most.",
    ),
]


def takes(
    request: type[Any], options: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command whose first parameter is such a dataclass one that Typer gives fields of it as flags.

    `options`: what Typer is to know of these fields, in the order of `--help`; None: all of them, as annotated.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(request, include_extras=True) if options is None else {}
        known = {field.name: hints[field.name] for field in fields(request)} if options is None else options
        defaults = {field.name: field.default for field in fields(request)}
        flags = [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=Parameter.empty if defaults[name] is MISSING else defaults[name],
                annotation=annotation,
            )
            for name, annotation in known.items()
        ]
        own_hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=own_hints[parameter.name])
            for parameter in list(signature(command).parameters.values())[1:]
        ]

        @wraps(command)
        def with_flags(**values: Any) -> None:
            given = request(**{flag.name: values.pop(flag.name) for flag in flags})
            command(given, **values)

        with_flags.__signature__ = signature(command).replace(parameters=[*flags, *own])  # type: ignore[attr-defined]
        with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in [*flags, *own]}
        return with_flags

    return decorated
