"""Answers of a certain form on the command line: real processes and the built-in model."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Finished, Run

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
ASK = ("run", "demo", "Who are you?", "--temp", "1.5", "--seed", "1")


def refused(finished: Finished) -> str:
    """The sentence of a request that was refused before anything was said."""
    assert finished.returncode == 2 and finished.stdout == "", finished.stderr
    assert [line.split(":")[0] for line in finished.stderr.splitlines()] == ["error", "hint"]
    return finished.stderr.splitlines()[0]


def test_an_answer_in_json_and_its_value(g4local: Run, tmp_path: Path) -> None:
    file = tmp_path / "person.json"
    file.write_text(json.dumps(SCHEMA), encoding="utf-8")
    shown = g4local(*ASK, "--schema", str(file))
    assert shown.returncode == 0, shown.stderr
    value = json.loads(shown.stdout)
    assert set(value) == {"name", "age"} and 0 <= value["age"] <= 99 and len(value["name"]) <= 12
    told = g4local(*ASK, "--json", "--schema", json.dumps(SCHEMA))
    assert told.returncode == 0
    result = json.loads(told.stdout)
    assert result["value"] == value == json.loads(result["text"])


def test_an_answer_that_was_cut_off_has_no_value(g4local: Run) -> None:
    finished = g4local(*ASK, "--json", "-n", "3", "--schema", json.dumps(SCHEMA))
    result = json.loads(finished.stdout)
    assert (finished.returncode, result["finish_reason"], result["value"]) == (6, "length", None)
    assert len(result["warnings"]) == 1


def test_an_expression_and_a_grammar(g4local: Run, tmp_path: Path) -> None:
    finished = g4local(*ASK, "--regex", "(yes|no) [0-9]{3}")
    assert finished.returncode == 0 and re.fullmatch("(yes|no) [0-9]{3}\n", finished.stdout)
    grammar = tmp_path / "list.lark"
    grammar.write_text('start: item (", " item)~2\nitem: "a" | "b"\n', encoding="utf-8")
    finished = g4local(*ASK, "--grammar", str(grammar))
    assert finished.returncode == 0 and re.fullmatch("([ab], ){2}[ab]\n", finished.stdout)


def test_a_thought_has_a_budget(g4local: Run) -> None:
    finished = g4local("run", "demo", "Who are you?", "--temp", "0", "--think", "--think-budget", "4", "--json")
    result = json.loads(finished.stdout)
    assert finished.returncode == 0 and 0 < result["usage"]["thought"] <= 6
    assert result["warnings"] == ["The thought was ended at its budget of 4 tokens."]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--schema", '{"type": "array", "uniqueItems": true}'], "uniqueItems"),
        (["--schema", "{"], "no JSON"),
        (["--schema", "no such file"], "can't be read"),
        (["--schema", '{"$ref": "https://localhost:1/a.json"}'], "nothing is fetched"),
        (["--regex", "("], "unclosed group"),
        (["--regex", "a", "--schema", "{}"], "one of --schema, --regex and --grammar"),
        (["--grammar", "no such file"], "can't be read"),
        (["--regex", "a", "--raw"], "--raw|raw"),
        (["--think-budget", "5", "--raw"], "raw"),
    ],
)
def test_what_cannot_be_held_is_refused_before_anything_is_said(g4local: Run, flags: list[str], told: str) -> None:
    assert re.search(told, refused(g4local(*ASK, *flags)))


def test_a_chat_holds_every_answer(g4local: Run) -> None:
    finished = g4local("chat", "demo", "--regex", "[0-9]{2}", stdin="Hi\nWell?\n/set think_budget 9\n/set\n")
    assert re.fullmatch("([0-9]{2}\n){2}", finished.stdout)
    assert re.search(r"think_budget +9", finished.stderr)
