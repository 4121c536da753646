"""The JSON Schemas that are shipped: whole, valid, and one for whatever a command prints for scripts."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.core import TyperGroup

from g4local import schemas
from g4local.cli.schema import PRINTED_BY
from tests.cli.conftest import Run
from tests.commands import commands
from tests.outputs import checked

ROOT = Path(__file__).parents[2]
_FLAGS = {"--json", "--stream-json"}
_FILES = {"g4local.pulled/1", "g4local.pack/1"}
"""Formats of files that no command prints."""


@pytest.mark.parametrize("name", schemas.names())
def test_a_schema_is_one_and_names_itself(name: str) -> None:
    schema = schemas.schema(name)
    Draft202012Validator.check_schema(schema)
    assert re.fullmatch(rf"g4local\.{re.escape(name)}/\d+", schema["title"])
    assert "$ref" not in json.dumps(schema).replace('{"$ref": "#/$defs/', "")


def test_every_flag_for_scripts_has_a_schema_and_the_other_way_round() -> None:
    """Words of flags that choose what is printed (`ls --remote --json`) stand between."""
    printed = {command for name in schemas.names() for command in schemas.schema(name)[PRINTED_BY]}
    flags = {
        name: {flag for each in command.params for flag in each.opts}
        for name, command in commands().items()
        if not isinstance(command, TyperGroup)
    }
    for command, known in flags.items():
        for flag in _FLAGS & known:
            assert f"{command} {flag}" in printed
    for said in printed:
        command = max((each for each in flags if f"{said} ".startswith(f"{each} ")), key=len)
        assert {word for word in said.split() if word.startswith("--")} <= flags[command], said


def test_every_name_in_the_sources_is_that_of_a_schema() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "g4local").rglob("*.py"))
    named = set(re.findall(r'"(g4local\.[a-z._]+/\d+)"', sources))
    named -= _FILES
    titles = {schemas.schema(name)["title"] for name in schemas.names()}
    assert "g4local.run/1" in named and named <= titles


def test_a_key_less_and_a_key_more_are_seen() -> None:
    whole = {"schema": "g4local.sessions.backup/1", "path": "x", "bytes": 1}
    assert checked(json.dumps(whole)) == whole
    for wrong in ({**whole, "more": 1}, {**whole, "bytes": "1"}, {key: whole[key] for key in ("schema", "path")}):
        with pytest.raises(AssertionError):
            checked(json.dumps(wrong))


def test_a_schema_is_printed_by_its_name_and_by_its_command(g4local: Run) -> None:
    for words, name in (("run", "run"), ("sessions ls", "sessions.ls"), ("sessions show", "session"), ("plan", "plan")):
        assert json.loads(g4local("schema", *words.split()).stdout) == schemas.schema(name)
    listed = g4local("schema").stdout.splitlines()[1:]
    assert [line.split()[0] for line in listed] == schemas.names()
    unknown = g4local("schema", "teleport")
    assert (unknown.returncode, unknown.stdout) == (2, "") and "g4local schema" in unknown.stderr
