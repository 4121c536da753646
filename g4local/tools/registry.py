"""Which tools there are: the built-in ones, and those that installed packages offer.

A package offers a Tool, or a tuple of them, as an entry point of the group `g4local.tools`.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from os import environ
from pathlib import Path

from g4local.settings import SHELL_SECONDS, paths
from g4local.tools import calculator, clock, files, shell
from g4local.tools.tool import Tool, ToolError, declaration, tool, validate

__all__ = ["Tool", "ToolError", "available", "builtin", "declaration", "harmless", "tool", "validate"]

GROUP = "g4local.tools"
"""The entry points by which a package offers tools."""

_NAME = re.compile(r"(?!.*__)[\w.-]{1,64}")
"""What a tool may be called, so that its name can't pass for something else in a prompt, on a screen or in a rule."""


def builtin(root: Path, seconds: float = SHELL_SECONDS, kept: Iterable[Path] = ()) -> tuple[Tool, ...]:
    """The tools that come with g4local; those for files see nothing but the folder `root`.

    `seconds`: how long a command may take. `kept`: what none of those writes, beside all that is g4local's own.
    """
    own = (*paths(environ).own, *kept)
    return (calculator.calculate, clock.clock, *files.tools(root, own), shell.shell(root, seconds))


def harmless(tools: Iterable[Tool]) -> tuple[Tool, ...]:
    """Those that change nothing, which may be offered without being named."""
    return tuple(tool for tool in tools if not tool.changes)


def available(
    root: Path, seconds: float = SHELL_SECONDS, kept: Iterable[Path] = ()
) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """All tools, and a warning for each entry point that could not be used; the parameters are those of `builtin`."""
    found = {each.name: each for each in builtin(root, seconds, kept)}
    warnings: list[str] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        for offered in _offered(point, warnings):
            if offered.name in found:
                warnings.append(f"The tool {offered.name!r} of {point.value!r} is left out: there is one of that name.")
            else:
                found[offered.name] = offered
    return tuple(found.values()), tuple(warnings)


def _offered(point: EntryPoint, warnings: list[str]) -> tuple[Tool, ...]:
    """The usable tools of an entry point; importing one runs another package's code, so anything may be raised."""
    from jsonschema import Draft202012Validator

    try:
        loaded = point.load()
        offered = loaded if isinstance(loaded, tuple) else (loaded,)
        for each in offered:
            if not isinstance(each, Tool):
                warnings.append(f"The entry point {point.value!r} is no tool but a {type(each).__name__}.")
                return ()
            if not _NAME.fullmatch(each.name):
                warnings.append(f"The tool {each.name!r} of {point.value!r} is left out: that is no name for a tool.")
                return ()
            Draft202012Validator.check_schema(each.parameters)
    except Exception as error:
        warnings.append(f"The tools of {point.value!r} can't be used: {type(error).__name__}: {error}")
        return ()
    return tuple(replace(each, source=point.value) for each in offered)
