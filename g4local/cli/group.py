"""The group of all commands."""

from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup

_EVERYWHERE = "offline"
"""The option of the program that each command takes, too."""


class Group(TyperGroup):
    """Commands to which `--offline` means the same before and behind their names."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        [option] = [each for each in self.params if each.name == _EVERYWHERE]
        for command in _below(self):
            command.params.append(option)


def _below(group: TyperGroup) -> Iterator[Any]:
    """The commands of a group and of its groups."""
    for command in group.commands.values():
        yield command
        if isinstance(command, TyperGroup):
            yield from _below(command)
