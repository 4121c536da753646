"""What `--help` says."""

import re
import shlex
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from g4local.cli import app, manual


def commands() -> dict[str, Any]:
    """Each command by its name, as it is typed."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    found = dict[str, Any](group.commands)
    for name, each in group.commands.items():
        if isinstance(each, TyperGroup):
            found |= {f"{name} {below}": command for below, command in each.commands.items()}
    return found


def context(name: str) -> Any:
    return commands()[name].make_context(name, [], resilient_parsing=True)


def told(name: str) -> str:
    return str(commands()[name].get_help(context(name)))


def test_every_command_has_examples() -> None:
    assert set(manual.EXAMPLES) == set(commands())


@pytest.mark.parametrize("name", manual.EXAMPLES)
def test_help_ends_with_examples_and_exit_codes(name: str) -> None:
    assert " ".join(told(name).split()).endswith(manual.EXIT_CODES)
    for example in manual.EXAMPLES[name]:
        assert f"g4local {example.rpartition('g4local ')[2]}\n" in told(name), "it stays on one line"


@pytest.mark.parametrize("name", [name for name in manual.EXAMPLES if name not in ("sessions", "tools")])
def test_examples_have_flags_that_there_are(name: str) -> None:
    for example in manual.EXAMPLES[name]:
        words = shlex.split(example.rpartition("g4local ")[2])
        command, arguments = words[: len(name.split())], words[len(name.split()) :]
        while arguments[-2:-1] in (["<"], [">"]):
            arguments = arguments[:-2]
        assert command == name.split()
        commands()[name].make_parser(context(name)).parse_args(arguments)


@pytest.mark.parametrize("name", manual.EXAMPLES)
def test_values_have_names_and_no_types_of_python(name: str) -> None:
    text = told(name).partition("Examples:")[0]
    assert not re.search(r"<\w+|\[\[|default: \(|<=|range", text), text


def test_only_a_chat_can_be_idle() -> None:
    assert "--keep-alive" in told("chat") and "--keep-alive" not in told("run")
