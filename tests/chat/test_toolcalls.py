import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.chat.template import markup
from g4local.chat.toolcalls import MAX_DEPTH, QUOTE, parse, write, write_value
from g4local.core.errors import UsageError
from g4local.core.messages import Json, ToolCall
from g4local.core.prompt import Segment, joined

names = st.text(st.characters(codec="utf-8", exclude_characters="{\0"), min_size=1).filter(
    lambda name: not any(map(str.isspace, name))
)
keys = st.text(st.characters(codec="utf-8", exclude_characters=":}\0"), min_size=1).filter(
    lambda key: key == key.strip()
)
strings = st.text(st.characters(codec="utf-8")) | st.sampled_from(
    ['<|"|>', "<|tool_call>", "<tool_call|>", "\0", "}", ""]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
calls = st.builds(ToolCall, names, st.dictionaries(keys, values, max_size=4))


def read(text: str) -> ToolCall | None:
    return parse(markup(text, [QUOTE.text]))


@given(calls)
def test_a_written_call_reads_as_the_same_call(call: ToolCall) -> None:
    assert parse(write(call)) == call


@given(st.lists(st.sampled_from([QUOTE, Segment("<|channel>", special=True), *map(Segment, '{}[],:-1.e" \0')])))
def test_any_text_reads_as_a_call_or_as_none(segments: list[Segment]) -> None:
    call = parse([Segment("call:f{a:"), *segments, Segment("}")])
    assert call is None or parse(write(call)) == call


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("call:f{}", {}),
        (" call: f { } ", {}),
        ("call:f{ a : 1 , b : [ 1 , {c:2} ] }", {"a": 1, "b": [1, {"c": 2}]}),
        ("call:f{a:-0.5e-3,b:0}", {"a": -0.0005, "b": 0}),
        ('call:f{a:<|"|><|"|>}', {"a": ""}),
        ('call:f{<|"|>a:b<|"|>:true}', {"a:b": True}),
        ('call:f{a:<|"|>{"x": [1, 2]}\n}<|"|>}', {"a": '{"x": [1, 2]}\n}'}),
        ("call:f{some key:null}", {"some key": None}),
        ("call:f{a:1,a:2}", {"a": 2}),
    ],
)
def test_a_call_is_read_with_any_whitespace_between_its_parts(text: str, arguments: dict[str, Json]) -> None:
    assert read(text) == ToolCall("f", arguments)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f{}",
        "call:{}",
        "call:f",
        "call:f{",
        "call:f{}}",
        "call:f{} and more",
        "call:f{a}",
        "call:f{:1}",
        "call:f{ :1}",
        "call:f{a:}",
        "call:f{a:1,}",
        "call:f{a:1 b:2}",
        "call:f{a:[1,]}",
        "call:f{a:[1}",
        "call:f{a:truex}",
        "call:f{a:word}",
        'call:f{a:"json"}',
        "call:f{a:01}",
        "call:f{a:1.}",
        "call:f{a:NaN}",
        "call:f{a:1e999}",
        'call:f{a:<|"|>x}',
        'call:f{a:<|"|>x<|"|><|"|>}',
        "call:f{a:" + "1" * 5000 + "}",
    ],
)
def test_what_is_no_call_is_not_read(text: str) -> None:
    assert read(text) is None


def test_a_quote_token_that_is_only_spelled_out_delimits_nothing() -> None:
    assert parse([Segment('call:f{a:<|"|>x<|"|>}')]) is None
    string = [QUOTE, Segment('<|"|>,b:<|"|>'), QUOTE]
    assert parse([Segment("call:f{a:"), *string, Segment("}")]) == ToolCall("f", {"a": '<|"|>,b:<|"|>'})


def test_another_special_token_inside_makes_a_call_unreadable() -> None:
    string = [QUOTE, Segment("<|image|>", special=True), QUOTE]
    assert parse([Segment("call:f{a:"), *string, Segment("}")]) is None


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a:", "}")])
def test_hostile_nesting_is_unreadable_and_not_a_recursion_error(opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return "call:f{a:" + opening * depth + "1" + closing * depth + "}"

    deepest = read(nested(MAX_DEPTH - 1))
    assert deepest is not None
    assert joined(write(deepest)) == nested(MAX_DEPTH - 1)
    assert read(nested(MAX_DEPTH)) is None
    assert read(nested(100 * sys.getrecursionlimit())) is None
    assert read("call:f{a:" + opening * 100 * sys.getrecursionlimit()) is None


def test_a_value_too_deep_to_be_read_back_is_not_written() -> None:
    value: Json = 1
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(UsageError, match="nested"):
        write_value(value)


def test_numbers_words_and_keys_are_written_as_jinja_wrote_them() -> None:
    call = ToolCall("f", {"b": [1e16, 10.0, 1, 1e-07, True, False, None], "A": {"z": "q", "Y": -0.0}})
    assert joined(write(call)) == 'call:f{A:{Y:-0.0,z:<|"|>q<|"|>},b:[1e+16,10.0,1,1e-07,true,false,null]}'
    assert joined(write_value({"k": {"l": 1}}, quoted_keys=True)) == '{<|"|>k<|"|>:{<|"|>l<|"|>:1}}'
