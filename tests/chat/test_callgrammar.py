"""Calls that are held to the tools' schemas: each one can be read, names a tool and has arguments that it takes."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from g4convert.convert import Options, convert
from g4local.backend.engine import Completion, Constraint, Guidance, LoadOptions, Piece, Sampling
from g4local.backend.generation.constraint import Grammars, Matcher
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.model.vocabulary import Vocabulary
from g4local.chat import callgrammar
from g4local.chat.callgrammar import call_grammar
from g4local.chat.stream import ReplyStream
from g4local.chat.template import render
from g4local.chat.toolcalls import write
from g4local.core.messages import Message, ToolCall
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from g4local.tools.registry import builtin
from g4local.tools.tool import Tool, declaration, validate
from tests import schemas
from tests.conftest import ROOT
from tests.fakes import SPECIAL_TOKENS

ONLY_CALLS = Constraint("lark", "start: <|tool_call>")
"""An answer that can only be a call."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    """The built-in model, in this process."""
    target = tmp_path_factory.mktemp("demo") / "demo.gguf"
    convert(ROOT / "g4local" / "demo", target, "Q4_K_M", silent, Event(), Options(threads=1))
    options = LoadOptions(target, 4096, threads=1, gpu_layers=0, extra_buffers=False)
    engine = LlamaEngine(options, StopFlag(), silent)
    yield engine
    engine.close()


def prompt(tools: tuple[Tool, ...], question: str) -> list[Segment]:
    declarations = [declaration(tool) for tool in tools]
    return render([Message("user", question)], tools=declarations, variant="edge")


def hold_to_tools(engine: LlamaEngine, seeds: range) -> int:
    """Replies that came to their end; each call of any reply must be one that can be read and that a tool takes."""
    ended = 0
    for seed in seeds:
        tools, stream = schemas.tools(seed), ReplyStream(engine.info)
        guidance = Guidance(answer=ONLY_CALLS, calls=call_grammar(tools, engine.info.special_tokens))
        *pieces, end = engine.generate(
            prompt(tools, "What is 48 times 17?"), Sampling(temperature=1.5, seed=seed), 400, silent, guidance
        )
        assert isinstance(end, Completion)
        assert not [event for piece in pieces if isinstance(piece, Piece) for event in stream.feed(piece)], seed
        by_name = {tool.name: tool for tool in tools}
        for call in stream.calls:
            assert validate(by_name[call.name], call.arguments) is None, (seed, call)
        if end.reason == "stop":
            ended += 1
            assert stream.calls and not stream.finish(), seed
    return ended


def test_calls_of_random_tools_are_valid(engine: LlamaEngine) -> None:
    assert hold_to_tools(engine, range(12)) >= 6


@pytest.mark.reference
def test_calls_of_two_hundred_sets_of_random_tools_are_valid(engine: LlamaEngine) -> None:
    assert hold_to_tools(engine, range(200)) >= 120


def test_a_grammar_changes_nothing_about_calls_that_are_valid_without_it(engine: LlamaEngine) -> None:
    tools = builtin(Path())
    grammar = call_grammar(tools, engine.info.special_tokens)
    compared = 0
    for question in ("What is 48 times 17?", "What time is it?", "Read the file notes.txt", "Who are you?"):
        free, held = (
            list(engine.generate(prompt(tools, question), Sampling(temperature=0), 120, silent, Guidance(calls=calls)))
            for calls in ("", grammar)
        )
        stream = ReplyStream(engine.info)
        broken = [stream.feed(piece) for piece in free if isinstance(piece, Piece)] and stream.finish()
        by_name = {tool.name: tool for tool in tools}
        if broken or any(validate(by_name[call.name], call.arguments) for call in stream.calls):
            continue
        compared += bool(stream.calls)
        assert [piece for piece in held if isinstance(piece, Piece)] == [p for p in free if isinstance(p, Piece)]
    assert compared >= 2


def accepts(engine: LlamaEngine, tools: tuple[Tool, ...], call: ToolCall) -> bool:
    """Whether a call, as Google's template writes it, is in the language of the tools' grammar."""
    matcher = matcher_of(engine, tools)
    for token in engine.tokenize([*write(call), Segment("<tool_call|>", special=True)]):
        if not matcher.allows(token):
            return False
        matcher.take(token)
    return matcher.is_complete


def matcher_of(engine: LlamaEngine, tools: tuple[Tool, ...]) -> Matcher:
    return engine._grammars.matcher(Constraint("lark", call_grammar(tools, engine.info.special_tokens)))


def tool(schema: schemas.Schema) -> tuple[Tool, ...]:
    return (Tool("f", "", schema, lambda arguments, cancel: None),)


OPTIONAL = {"type": "object", "properties": {name: {"type": "integer"} for name in "abc"}, "required": ["b"]}


@pytest.mark.parametrize(
    ("schema", "arguments", "accepted"),
    [
        (OPTIONAL, {"b": 1}, True),
        (OPTIONAL, {"a": 1, "b": -20}, True),
        (OPTIONAL, {"b": 1, "c": 2}, True),
        (OPTIONAL, {"a": 0, "b": 1, "c": 2}, True),
        (OPTIONAL, {"a": None, "b": 1}, True),
        (OPTIONAL, {"a": 1}, False),
        (OPTIONAL, {"b": None}, False),
        (OPTIONAL, {}, False),
        (OPTIONAL, {"b": 1, "d": 1}, False),
        (OPTIONAL, {"b": "1"}, False),
        (OPTIONAL, {"b": 1.5}, False),
        ({"type": "object", "properties": {}}, {}, True),
        ({}, {}, True),
        ({"properties": {"t": {"type": "string"}}}, {"t": 'any "thing", {here}: <|tool_call> \n ü 😀'}, True),
        ({"properties": {"t": {"type": "string"}}}, {"t": ""}, True),
        ({"properties": {"t": {"type": "string", "minLength": 2, "maxLength": 3}}}, {"t": "äöü"}, True),
        ({"properties": {"t": {"type": "string", "maxLength": 3}}}, {"t": "abcd"}, False),
        ({"properties": {"t": {"type": "number", "minimum": 0.5}}}, {"t": 0.75}, True),
        ({"properties": {"t": {"type": "number", "minimum": 0.5}}}, {"t": 0.25}, False),
        ({"properties": {"t": {"type": "integer", "exclusiveMinimum": 3, "maximum": 5}}}, {"t": 4}, True),
        ({"properties": {"t": {"type": "integer", "exclusiveMinimum": 3, "maximum": 5}}}, {"t": 3}, False),
        ({"properties": {"t": {"type": "integer", "minimum": 5, "maximum": 3}}}, {"t": 9}, True),
        ({"properties": {"t": {"enum": ["km", 'a "mile"', 3, None, {"b": 1, "A": []}]}}}, {"t": 'a "mile"'}, True),
        ({"properties": {"t": {"enum": ["km", 3, None, {"b": 1, "A": []}]}}}, {"t": {"A": [], "b": 1}}, True),
        ({"properties": {"t": {"enum": ["km", 3]}}}, {"t": "mile"}, False),
        ({"properties": {"t": {"type": ["string", "null"]}}, "required": ["t"]}, {"t": None}, True),
        ({"properties": {"t": {"type": "array", "items": {"type": "boolean"}, "minItems": 1}}}, {"t": []}, False),
        ({"properties": {"t": {"type": "array", "items": {"type": "boolean"}}}}, {"t": [True, False]}, True),
        ({"properties": {"t": {"type": "array", "maxItems": 1}}}, {"t": [1, 2]}, False),
        ({"properties": {"t": OPTIONAL}}, {"t": {"b": 1}}, True),
        ({"properties": {"t": OPTIONAL}}, {"t": {"a": 1}}, False),
        ({"properties": {"t": {"type": "object", "additionalProperties": False}}}, {"t": {"a": 1}}, False),
        ({"properties": {"t": {"additionalProperties": {"type": "null"}, "type": "object"}}}, {"t": {"x": None}}, True),
        ({"properties": {"t": {}}}, {"t": [{"deep": [[["x", 1.5, None]]]}]}, True),
        ({"properties": {"t": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"type": "null"}}}, {"t": None}, True),
        ({"properties": {"t": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"type": "boolean"}}}, {"t": 3}, False),
        ({"properties": {"t": {"$ref": "http://localhost:1/x"}}}, {"t": 3}, True),
        ({"properties": {"größe m": {"type": "integer"}}}, {"größe m": 3}, True),
        ({"properties": {"B": {}, "a": {}}}, {"a": 1, "B": 2}, True),
        ({"type": "object", "required": ["any"]}, {"any": [1]}, True),
    ],
)
def test_a_call_is_in_the_language_of_its_tool(
    engine: LlamaEngine, schema: schemas.Schema, arguments: dict[str, object], accepted: bool
) -> None:
    call = ToolCall("f", json.loads(json.dumps(arguments)))
    assert accepts(engine, tool(schema), call) is accepted


def test_another_name_than_a_tools_is_refused(engine: LlamaEngine) -> None:
    tools = builtin(Path())
    assert accepts(engine, tools, ToolCall("clock", {}))
    assert not accepts(engine, tools, ToolCall("clocks", {}))
    assert not accepts(engine, tools, ToolCall("cloc", {}))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {f"k{i}": {"type": "string", "maxLength": i} for i in range(3000)}},
        {"type": "object", "properties": {"t": {"enum": [f"value {i}" for i in range(5000)]}}},
        {"type": "object", "properties": {"t": {"$ref": "#"}}},
        {"type": "object", "properties": {"t": {"type": "string", "pattern": "(?=a)", "not": {"const": "b"}}}},
        {"type": "object", "properties": {"a:b": {}, " c ": {}, "": {}, "}": {}, "\0": {}}, "required": [""]},
        {"type": "object", "properties": {"t": {"enum": ["\ud800"]}}},
        {"properties": {"t": {"type": "whatever"}, "u": {"type": []}, "v": {"anyOf": []}, "w": True, "x": False}},
    ],
)
def test_schemas_that_no_grammar_can_hold_allow_more(engine: LlamaEngine, schema: schemas.Schema) -> None:
    matcher = matcher_of(engine, tool(schema))
    for token in engine.tokenize([Segment("call:f{")]):
        assert matcher.allows(token)
        matcher.take(token)


def test_tools_of_which_one_is_huge_keep_their_own_types(engine: LlamaEngine) -> None:
    huge = {"properties": {f"k{i}": {"type": "integer"} for i in range(callgrammar.MOST_RULES)}}
    tools = (*tool(huge), Tool("g", "", OPTIONAL, lambda arguments, cancel: None))
    assert accepts(engine, tools, ToolCall("f", {"anything": "x"}))
    assert accepts(engine, tools, ToolCall("g", {"b": 1})) and not accepts(engine, tools, ToolCall("g", {"a": 1}))


def test_there_is_no_grammar_without_tools_or_without_the_tokens_of_calls() -> None:
    assert call_grammar((), SPECIAL_TOKENS) == ""
    assert (
        call_grammar(tool({}), {name: token for name, token in SPECIAL_TOKENS.items() if name != "<|tool_call>"}) == ""
    )
    assert call_grammar((Tool("no name", "", {}, lambda arguments, cancel: None),), SPECIAL_TOKENS) == ""


def test_the_real_vocabulary_writes_calls(real: Vocabulary) -> None:
    grammars = Grammars(real)
    pick = random.Random(1)
    for seed in range(20):
        tools = schemas.tools(seed)
        matcher = grammars.matcher(Constraint("lark", call_grammar(tools, real.special)))
        for _ in range(60):
            allowed = matcher.allowed().nonzero()[0]
            matcher.take(int(pick.choice(allowed)))
            if matcher.is_complete:
                break
    grammars.close()
