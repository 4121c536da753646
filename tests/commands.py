"""Every command of the command line, imported."""

from functools import cache
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from g4local.cli import app
from g4local.cli.group import Group


@cache
def commands() -> dict[str, Any]:
    """Each command by its name, as it is typed; groups, too."""
    group = get_command(app)
    assert isinstance(group, Group)
    found: dict[str, Any] = {}
    for name in group.commands:
        found[name] = group.imported(name)
        if isinstance(found[name], TyperGroup):
            found |= {f"{name} {below}": command for below, command in found[name].commands.items()}
    return found
