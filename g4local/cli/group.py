"""The group of all commands."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from g4local.cli import manual
from g4local.cli.commands import COMMANDS, ELSEWHERE
from g4local.core.errors import UsageError

_EVERYWHERE = "offline"
"""The option of the program that each command takes, too."""


class Group(TyperGroup):
    """The commands, listed as they are in the table, and imported only when they are called.

    `--offline` means the same before and behind their names.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is called, and what is left for it."""
        if args and args[0] not in self.commands and args[0] in ELSEWHERE:
            raise UsageError(f"There is no command {args[0]!r}.", ELSEWHERE[args[0]])
        name, _, rest = super().resolve_command(ctx, args)
        return name, self.imported(name) if name else None, rest

    def imported(self, name: str) -> Any:
        """A command, with all that it takes."""
        module, _, called = COMMANDS[name][0].partition(":")
        command = getattr(import_module(f"g4local.cli.{module}"), called)
        holder = typer.Typer(rich_markup_mode=None)
        if isinstance(command, typer.Typer):
            manual.furnish(command, name)
            holder.add_typer(command, name=name, epilog=manual.epilog(name))
        else:
            holder.command(name)(command)
        manual.furnish(holder)
        made = get_group(holder).commands[name]
        [option] = [each for each in self.params if each.name == _EVERYWHERE]
        for each in (made, *made.commands.values()) if isinstance(made, TyperGroup) else (made,):
            each.params.append(option)
        return made
