"""What `--help` says."""

import re
import shlex
from typing import Any

import pytest
from typer.testing import CliRunner

from g4local.cli import app, manual
from g4local.cli.commands import COMMANDS, ELSEWHERE
from g4local.core.errors import UsageError
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


@pytest.mark.parametrize("word", [*ELSEWHERE])
def test_what_other_programs_call_it_leads_to_what_it_is_called_here(word: str) -> None:
    assert word not in COMMANDS
    named = re.findall(r"`g4local (-*\w+)", ELSEWHERE[word])
    assert named and {*named} <= {*COMMANDS, "--help", "--version"}
    finished = CliRunner().invoke(app, [word, "x"])
    assert isinstance(finished.exception, UsageError) and finished.exception.hint == ELSEWHERE[word]


@pytest.mark.parametrize("words", [["run", "-m", "demo", "hi"], ["chat", "--model", "demo"]])
def test_who_names_the_model_by_a_flag_is_told_where_it_stands(words: list[str]) -> None:
    finished = CliRunner().invoke(app, words)
    assert isinstance(finished.exception, UsageError) and "first argument" in finished.exception.message
    assert f"g4local {words[0]} demo" in finished.exception.hint
