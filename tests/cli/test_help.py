"""What `--help` says."""

import re
import shlex
from typing import Any

import pytest

from g4local.cli import manual
from g4local.cli.commands import COMMANDS
from tests.commands import commands


def context(name: str) -> Any:
    return commands()[name].make_context(name, [], resilient_parsing=True)


def told(name: str) -> str:
    return str(commands()[name].get_help(context(name)))


def test_every_command_has_examples() -> None:
    assert set(manual.EXAMPLES) == set(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_it_says_itself(name: str) -> None:
    _, summary = COMMANDS[name]
    assert commands()[name].get_short_help_str(limit=len(summary)) == summary


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
