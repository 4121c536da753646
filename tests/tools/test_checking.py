"""Arguments held to schemas of others: what JSON Schema says, and an end to it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from g4local.tools.checking import complaint
from tests.core.test_messages import JSON

TOO_MUCH = "its schema makes too much of them to be checked"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 1},
        "names": {"type": "array", "items": {"$ref": "#/$defs/name"}, "uniqueItems": True, "maxItems": 3},
        "either": {"anyOf": [{"type": "null"}, {"enum": ["a", 1]}]},
        "one": {"oneOf": [{"type": "number"}, {"multipleOf": 2, "type": "integer"}], "not": {"const": 3}},
    },
    "required": ["count"],
    "$defs": {"name": {"type": "string", "minLength": 1}},
}


def chain(word: str, levels: int) -> dict[str, Any]:
    """A schema in which each level leads twice to the next one."""

    def both(level: int) -> dict[str, Any]:
        leads = {"$ref": f"#/$defs/{level}"}
        return {"if": leads, "then": leads, "else": leads} if word == "if" else {word: [leads, leads]}

    last = {"type": "string"} if word != "oneOf" else {}
    return {"$defs": {**{str(level): both(level + 1) for level in range(levels)}, str(levels): last}, **both(0)}


@pytest.mark.parametrize("levels", [13, 40])
@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf", "if"])
def test_a_schema_that_doubles_comes_to_an_end(word: str, levels: int) -> None:
    assert complaint(chain(word, levels), 1) == TOO_MUCH


def test_complaints_that_repeat_what_they_complain_of_come_to_an_end() -> None:
    schema = {"properties": {"c": {"anyOf": [{"$ref": "#"}] * 20}, "e": {"type": "integer"}}}
    assert complaint(schema, {"c": {"c": {"e": "x" * 100_000}}}) == TOO_MUCH


def test_long_lists_are_checked() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert complaint(schema, list(range(5000))) is None
    assert complaint(schema, [*range(5000), "x"]) == "5000: 'x' is not of type 'integer'"


@pytest.mark.parametrize("reference", ["#/nowhere", "#/$defs/loop"])
def test_references_that_lead_nowhere_are_told(reference: str) -> None:
    schema = {"$defs": {"loop": {"$ref": "#/$defs/loop"}}, "properties": {"a": {"$ref": reference}}}
    assert "refers to what there is not" in (complaint(schema, {"a": 1}) or "")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["count", "names", "either", "one", "other"]), JSON))
def test_what_is_complained_of_is_what_json_schema_forbids(value: dict[str, Any]) -> None:
    assert (complaint(SCHEMA, value) is None) == Draft202012Validator(SCHEMA).is_valid(value)
