"""What the shell offers when Tab is pressed: models, quants and tools by name, and paths where a model may be one."""

import os
from collections.abc import Iterable
from contextlib import suppress
from os import environ
from pathlib import Path


def models(incomplete: str) -> list[str]:
    """Names of models here, then GGUFs and folders on the disk."""
    from g4local import library
    from g4local.settings import paths

    named = _beginning(incomplete, (model.name for model in library.listed(paths(environ))))
    return [*named, *_beginning(incomplete, _paths(incomplete[: incomplete.rfind(os.sep) + 1]))]


def removable(incomplete: str) -> list[str]:
    """Names of what lies in the models folder, links that lead nowhere included."""
    from g4local import library
    from g4local.settings import paths

    places = paths(environ)
    names = (model.name for model in library.listed(places) if model.kind == "gguf")
    return _beginning(incomplete, [*names, *(link.stem for link in library.away(places))])


def models_and_sizes(incomplete: str) -> list[str]:
    """The family's sizes, which need no file, then what `models` offers."""
    from g4local.planner import SIZES

    return [*_beginning(incomplete, SIZES), *models(incomplete)]


def pullable(incomplete: str) -> list[str]:
    """What can be pulled by name."""
    from g4local import catalog

    return _beginning(incomplete, catalog.names())


def quants(incomplete: str) -> list[str]:
    """Names of recipes, in capitals or not, as they are begun."""
    from g4convert.recipes import RECIPES

    return _beginning(incomplete, [*RECIPES, *map(str.lower, RECIPES)] if incomplete else RECIPES)


def tools(incomplete: str) -> list[str]:
    """Names of tools."""
    from g4local.tools.registry import available

    return _beginning(incomplete, (tool.name for tool in available(Path())[0]))


def mcp_servers(incomplete: str) -> list[str]:
    """Names of the servers in mcp.json; none where it can't be used."""
    from g4local.core.errors import UsageError
    from g4local.settings import paths
    from g4local.tools.mcp import config

    with suppress(UsageError):
        return _beginning(incomplete, config.names(paths(environ).mcp))
    return []


def sessions(incomplete: str) -> list[tuple[str, str]]:
    """Ids of sessions, the newest first, with their titles; none where the store can't be used."""
    from g4local.cli.output import in_one_line
    from g4local.core.errors import StoreError
    from g4local.settings import paths
    from g4local.store.store import Store

    path = paths(environ).sessions
    if not path.exists():
        return []
    with suppress(StoreError), Store(path) as store:
        return [(each.id, in_one_line(each.title)) for each in store.sessions() if each.id.startswith(incomplete)]
    return []


def schemas(incomplete: str) -> list[str]:
    """Names of JSON Schemas."""
    from g4local.schemas import names

    return _beginning(incomplete, names())


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _paths(folder: str) -> Iterable[str]:
    """What a model may be in a folder, as it would be typed; the folder ends in a slash, or is empty."""
    with suppress(OSError, RuntimeError):
        for entry in sorted(os.scandir(Path(folder or ".").expanduser()), key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield folder + entry.name + os.sep
            elif entry.name.endswith(".gguf"):
                yield folder + entry.name
