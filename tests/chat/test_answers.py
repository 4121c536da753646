"""Answers that have to be of a certain form: what the engine is held to, and what is made of what came."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.backend.engine import FREE, Constraint
from g4local.chat.answers import complaint, schema, value_of
from g4local.chat.callgrammar import call_grammar
from g4local.core.errors import UsageError
from tests.chat.talk import ADD, TOOLS, conversation, finish, said, text_of, warnings
from tests.fakes import INFO, SPECIAL_TOKENS, Reply

AGE = schema('{"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}')
DIGITS = Constraint("regex", "[0-9]+")


def test_a_valid_answer_ends_the_turn_without_a_word() -> None:
    chat, engine = conversation('{"age": 7}', constraint=AGE, tools=())
    events = said(chat, "How old?")
    assert (finish(events).reason, finish(events).unsatisfied, warnings(events)) == ("stop", False, [])
    assert engine.guidance[0].answer == AGE and not engine.guidance[0].thinking


@pytest.mark.parametrize(
    ("answer", "told"), [('{"age": "7"}', r"\$\.age: '7'"), ('{"age": 7', "no JSON"), ("Seven.", "no JSON")]
)
def test_an_answer_that_the_schema_does_not_allow_is_told(answer: str, told: str) -> None:
    chat, _ = conversation(answer, constraint=AGE, tools=())
    events = said(chat, "How old?")
    assert (finish(events).reason, finish(events).unsatisfied) == ("stop", True)
    [warning] = warnings(events)
    assert re.search(told, warning)


@pytest.mark.parametrize("reason", ["length", "context", "loop"])
@pytest.mark.parametrize("constraint", [None, AGE, DIGITS])
def test_an_answer_that_was_cut_off_is_not_what_was_asked_for(reason: str, constraint: Constraint | None) -> None:
    chat, _ = conversation(Reply("12", reason=reason), constraint=constraint, tools=())  # type: ignore[arg-type]
    events = said(chat, "How old?")
    assert (finish(events).reason, finish(events).unsatisfied) == ("length", constraint is not None)
    assert finish(events).context_full is (reason == "context")
    assert len(warnings(events)) == 1


def test_a_loop_is_told() -> None:
    chat, engine = conversation(Reply("la la la", reason="loop"), tools=(), loop_guard=True)
    [warning] = warnings(said(chat, "Sing!"))
    assert "repeats itself" in warning and "--no-loop-guard" in warning
    assert engine.guidance[0].loop_guard


def test_the_guard_can_be_sent_away() -> None:
    chat, engine = conversation("la la la", tools=(), loop_guard=False)
    said(chat, "Sing!")
    assert not engine.guidance[0].loop_guard


def test_a_thought_that_was_cut_is_told() -> None:
    reply = Reply("<|channel>thought\nHm, well<channel|>Yes.", thought_cut=True)
    chat, engine = conversation(reply, tools=(), thinking=True, think_budget=3)
    events = said(chat, "Well?")
    assert warnings(events) == ["The thought was ended at its budget of 3 tokens."]
    assert finish(events).reason == "stop" and finish(events).usage.thought > 0
    assert (engine.guidance[0].think_budget, engine.guidance[0].thinking) == (3, True)


def test_tools_are_called_freely_and_only_the_answer_is_checked() -> None:
    chat, engine = conversation(ADD, '{"age": 5}', constraint=AGE)
    events = said(chat, "2 + 3?")
    assert (finish(events).unsatisfied, text_of(events)) == (False, '{"age": 5}')
    assert [each.answer for each in engine.guidance] == [AGE, AGE]
    assert engine.guidance[0].calls == call_grammar(TOOLS, SPECIAL_TOKENS) != ""


def test_a_thought_that_the_prompt_opens_is_told_to_the_engine() -> None:
    chat, engine = conversation(ADD, "Well.<channel|>Five.", thinking=True)
    said(chat, "2 + 3?")
    assert [each.in_thought for each in engine.guidance] == [False, True]


def test_a_raw_prompt_is_held_to_nothing() -> None:
    chat, engine = conversation("Yes.", raw=True)
    said(chat, "<bos>Well?")
    assert engine.guidance == [FREE]


def test_a_model_without_the_tokens_of_calls_has_no_grammar_for_them() -> None:
    chat, engine = conversation("Yes.")
    names = {name: token for name, token in INFO.special_tokens.items() if "tool_call" not in name}
    engine.info = replace(INFO, special_tokens=names)
    said(chat, "Well?")
    assert engine.guidance[0].calls == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "no JSON object"),
        ("{", "no JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1e999}', "no number"),
        ('{"type": "strin"}', "no JSON Schema.*strin"),
        ('{"properties": []}', "no JSON Schema"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested"),
    ],
)
def test_what_is_no_schema_is_refused_in_a_sentence(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        schema(text)
    assert len(refused.value.message) < 400 and refused.value.hint


def test_a_reference_to_elsewhere_is_never_fetched() -> None:
    constraint = schema('{"$ref": "http://localhost:1/schema.json"}')
    assert complaint(constraint, "1") == "the schema refers to 'http://localhost:1/schema.json', which is not in it"


@pytest.mark.parametrize("text", ["[" * 100_000, '{"age": NaN}', '{"age": 1e999}', "", "9" * 5000])
def test_answers_that_are_no_values_are_told(text: str) -> None:
    assert complaint(Constraint("schema", "{}"), text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=10))
def test_the_value_of_an_answer_is_what_its_json_means(value: object) -> None:
    assert value_of(json.dumps(value)) == value
    assert complaint(Constraint("schema", "{}"), json.dumps(value)) is None
    assert complaint(DIGITS, json.dumps(value)) is None


def test_a_schema_of_an_older_draft_is_read_as_such() -> None:
    old = schema(
        json.dumps({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True})
    )
    assert complaint(old, "3") and not complaint(old, "4")
