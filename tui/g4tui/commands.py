"""What can be typed behind a slash in the chat."""

from dataclasses import dataclass
from typing import Literal

from g4local.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Command:
    """A command by its name."""

    name: str
    says: str
    argument: str = ""
    """What stands behind it; empty: nothing."""


COMMANDS = (
    Command("new", "begin a new conversation"),
    Command("retry", "ask the last question again"),
    Command("continue", "go on with a turn that broke off before its answer"),
    Command("undo", "take back the last question and its answer, to change it"),
    Command("model", "answer with another model from now on", "NAME"),
    Command("ctx", "load the model with another context", "N|max"),
    Command("think", "think before answering, or not", "on|off"),
    Command("tools", "choose tools", "on|off|NAMES"),
    Command("set", "change a setting, or show it", "NAME VALUE"),
    Command("drop", "make room: take out what tools answered"),
    Command("compact", "make room: let the model summarise the older turns"),
    Command("copy", "copy the last answer"),
    Command("export", "write the conversation to a file: .md, .json or .jsonl", "FILE"),
    Command("help", "show the keys"),
    Command("bye", "leave"),
)
_ALIASES = {"clear": "new", "exit": "bye", "quit": "bye", "?": "help", "load": "model"}


def parsed(text: str) -> tuple[Command, str]:
    """The command that a text means, and what stands behind it; UsageError when there is none of that name."""
    name, _, argument = text.removeprefix("/").strip().partition(" ")
    name = _ALIASES.get(name, name)
    command = next((each for each in COMMANDS if each.name == name), None)
    if command is None:
        raise UsageError(f"There is no command /{name}.", "Type / to see the commands.")
    if argument and not command.argument:
        raise UsageError(f"/{name} stands alone.", f"Type /{name} and nothing behind it.")
    return command, argument.strip()


def completions(before: str) -> list[Command]:
    """The commands that what was typed so far may become; none behind a space."""
    if not before.startswith("/") or any(each.isspace() for each in before):
        return []
    return [command for command in COMMANDS if command.name.startswith(before[1:])]


def context(argument: str) -> int | Literal["max"]:
    """Tokens of context in words; UsageError for what are none."""
    if argument == "max":
        return "max"
    if not argument.isdecimal() or int(argument) < 1:
        raise UsageError(f"{argument!r} is no number of tokens.", "/ctx 8192, or /ctx max for what fits into memory.")
    return int(argument)
