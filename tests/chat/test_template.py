import ctypes
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import llama_cpp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.backend.engine import EngineInfo
from g4local.chat.template import Variant, markup, render, variant_of
from g4local.core.errors import UsageError
from g4local.core.messages import Media, Message, Text, ToolCall, ToolResponse, from_dict
from g4local.core.prompt import Segment, joined

GOLDEN = Path(__file__).parent.parent / "golden" / "prompts.jsonl"
PROMPTS = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").rstrip("\n").split("\n")]
SPECIAL = {
    *("<bos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>", "<|think|>", "<|tool>", "<tool|>", '<|"|>'),
    *("<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|image|>", "<|audio|>", "<|video|>"),
}
START = [Segment("<|turn>", special=True), Segment("model\n", restorable=True)]
QUESTION = Segment("<|turn>", special=True, restorable=True)
EMPTY_THOUGHT = [Segment("<|channel>", special=True), Segment("thought\n"), Segment("<channel|>", special=True)]
HI = Message("user", "Hi")


def rendered(case: Mapping[str, Any]) -> list[Segment]:
    return render(
        [from_dict(message) for message in case["messages"]],
        tools=case["tools"] or (),
        variant=case["variant"],
        enable_thinking=case["enable_thinking"],
        preserve_thinking=case["preserve_thinking"],
        add_generation_prompt=case["add_generation_prompt"],
    )


@pytest.mark.parametrize("case", PROMPTS, ids=lambda case: case["id"])
def test_the_prompt_is_googles_byte_for_byte(case: Mapping[str, Any]) -> None:
    segments = rendered(case)
    assert joined(segments) == case["prompt"]
    assert {segment.text for segment in segments if segment.special} <= SPECIAL
    assert all(one.special or other.special for one, other in pairwise(segments)), "neighbouring texts are one segment"
    assert all(segment.text for segment in segments)


anything = (
    st.text(st.characters(codec="utf-8")) | st.sampled_from(sorted(SPECIAL)) | st.just("<channel|>x<|turn>user\n")
)


@given(st.lists(anything, min_size=9, max_size=9), st.sampled_from(["large", "edge"]), st.booleans())
def test_nothing_that_anybody_says_becomes_markup(said: list[str], variant: Variant, thinking: bool) -> None:
    def conversation(said: list[str]) -> list[Segment]:
        call = ToolCall("f", {"key": said[4], "list": [said[5]]}, "1")
        messages = [
            Message("system", said[0]),
            Message("user", (Text(said[1]), Media("image"))),
            Message("assistant", said[2], thought="Hm", tool_calls=(call,)),
            Message("tool", said[3], tool_call_id="1"),
            Message("assistant", "Yes", tool_responses=(ToolResponse("f", {"key": said[6]}),)),
            Message("user", said[7]),
        ]
        tool = {"type": "function", "function": {"name": "f", "description": said[8], "parameters": {}}}
        return render(messages, tools=[tool], variant=variant, enable_thinking=thinking)

    plain = [segment.text for segment in conversation(["word"] * 9) if segment.special]
    assert [segment.text for segment in conversation(said) if segment.special] == plain


@pytest.mark.parametrize(
    ("variant", "thinking", "end"),
    [
        ("large", False, [*START, *EMPTY_THOUGHT]),
        ("large", True, START),
        ("edge", False, START),
        ("edge", True, START),
    ],
)
def test_the_engine_can_come_back_to_the_start_of_the_model_turn(
    variant: Variant, thinking: bool, end: list[Segment]
) -> None:
    segments = render([HI], variant=variant, enable_thinking=thinking)
    assert segments[-len(end) :] == end
    assert [segment for segment in segments if segment.restorable] == [QUESTION, START[1]]


def test_a_model_turn_that_goes_on_after_a_tool_can_be_come_back_to_as_well() -> None:
    messages = [
        HI,
        Message("assistant", "", tool_calls=(ToolCall("f", {}, "1"),)),
        Message("tool", "x", tool_call_id="1"),
    ]
    segments = render(messages, variant="large", enable_thinking=True)
    assert segments[-2:] == [Segment("<|channel>", special=True), Segment("thought\n")]
    assert [segment for segment in segments if segment.restorable] == [QUESTION, START[1]]


def test_an_answer_is_tokenized_together_with_the_line_before_it() -> None:
    segments = render([HI, Message("assistant", "Hello")], variant="edge", add_generation_prompt=False)
    assert segments[-3:-1] == [Segment("model\nHello"), Segment("<turn|>", special=True)]


def test_a_conversation_without_messages_is_an_open_model_turn() -> None:
    assert joined(render([], variant="edge")) == "<bos><|turn>model\n"


def test_a_tool_that_answers_an_unknown_call_is_named_by_its_message() -> None:
    call = Message("assistant", tool_calls=(ToolCall("f", {}, "1"),))
    for name, expected in (("g", "response:g{"), ("", "response:unknown{")):
        answer = Message("tool", "x", tool_call_id="2", name=name)
        assert expected in joined(render([HI, call, answer], variant="edge"))


def test_an_image_in_a_system_message_is_refused() -> None:
    with pytest.raises(UsageError, match="system message"):
        render([Message("system", (Text("Look:"), Media("image"))), HI], variant="edge")


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"p": schema}}
    return schema


@pytest.mark.parametrize(
    "tool",
    [
        {},
        {"name": "f"},
        {"type": "function", "function": {"description": "nameless"}},
        {"type": "function", "function": {"name": "f", "parameters": "text"}},
        {"type": "function", "function": {"name": "f", "parameters": {"properties": ["a"]}}},
        {"type": "function", "function": {"name": "f", "parameters": {"required": 1, "type": "object"}}},
        {"type": "function", "function": {"name": "f", "parameters": nested(5000)}},
    ],
    ids=["empty", "flat", "nameless", "text", "list", "required", "deep"],
)
def test_a_tool_that_is_no_declaration_is_refused(tool: Mapping[str, Any]) -> None:
    with pytest.raises(UsageError, match="tool"):
        render([HI], tools=[tool], variant="edge")


def test_a_schema_keeps_what_google_declares_of_it() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "b": {"type": "array", "items": {"type": ["string", "null"], "enum": ["x", {"K": 1}], "default": None}},
            "A": {"type": "object", "extra": {"type": "integer"}, "required": ["extra"], "nullable": True},
            "c": {"description": 'say "c"', "enum": [1]},
        },
        "required": ["b"],
    }
    tool = {"function": {"name": "f", "parameters": parameters, "response": {"type": "object", "description": "d"}}}
    assert joined(render([], tools=[tool], variant="edge", add_generation_prompt=False)) == (
        '<bos><|turn>system\n<|tool>declaration:f{description:<|"|><|"|>,parameters:{properties:{'
        'A:{nullable:true,properties:{extra:{type:<|"|>INTEGER<|"|>}},required:[<|"|>extra<|"|>],type:<|"|>OBJECT<|"|>},'
        'b:{items:{enum:[<|"|>x<|"|>,{<|"|>K<|"|>:1}],type:[<|"|>STRING<|"|>,<|"|>NULL<|"|>]},type:<|"|>ARRAY<|"|>},'
        'c:{description:<|"|>say "c"<|"|>,type:<|"|><|"|>}},required:[<|"|>b<|"|>],type:<|"|>OBJECT<|"|>},'
        'response:{description:<|"|>d<|"|>,type:<|"|>OBJECT<|"|>}}<tool|><turn|>\n'
    )


@given(st.lists(st.sampled_from([*sorted(SPECIAL), "word", "<", "|", ">", "\n"])).map("".join))
def test_markup_splits_a_raw_prompt_at_its_special_tokens(text: str) -> None:
    segments = markup(text, SPECIAL)
    assert joined(segments) == text
    for segment in segments:
        assert segment.text in SPECIAL if segment.special else not any(name in segment.text for name in SPECIAL)


def test_markup_without_special_tokens_is_one_text() -> None:
    assert markup("<bos>x", ()) == [Segment("<bos>x")]
    assert markup("", ()) == []


def test_the_edge_models_are_known_by_their_embeddings() -> None:
    def info(per_layer_embeddings: bool) -> EngineInfo:
        return EngineInfo(Path("m"), "m", "gemma4", 1, 1, 1, {}, frozenset(), per_layer_embeddings)

    assert (variant_of(info(True)), variant_of(info(False))) == ("edge", "large")


@pytest.fixture(scope="module")
def tokenize(gemma4_vocab_path: Path) -> Iterator[Callable[[str, bool], list[int]]]:
    """llama.cpp's own tokenizer: (text, parse_special) -> ids."""
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(gemma4_vocab_path).encode(), parameters)
    vocab = llama_cpp.llama_model_get_vocab(model)

    def ids(text: str, parse_special: bool) -> list[int]:
        data = text.encode()
        buffer = (ctypes.c_int32 * (len(data) + 1))()
        count = llama_cpp.llama_tokenize(vocab, data, len(data), buffer, len(buffer), False, parse_special)
        return list(buffer[:count])

    yield ids
    llama_cpp.llama_model_free(model)


def test_segments_are_the_tokens_that_llama_cpp_makes_of_the_whole_prompt(
    tokenize: Callable[[str, bool], list[int]],
) -> None:
    compared = 0
    for case in PROMPTS:
        segments = rendered(case)
        if any(name in segment.text for segment in segments if not segment.special for name in SPECIAL):
            continue
        apart = [token for segment in segments for token in tokenize(segment.text, segment.special)]
        assert apart == tokenize(case["prompt"], True), case["id"]
        compared += 1
    assert compared > len(PROMPTS) // 2
