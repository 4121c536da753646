"""Messages and their dictionaries, prompts as text, and the tree of errors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.core import errors
from g4local.core.errors import G4Error, UsageError
from g4local.core.messages import Media, Message, Text, ToolCall, ToolResponse, from_dict, to_dict
from g4local.core.prompt import Segment, joined

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PARTS = st.builds(Text, st.text()) | st.builds(Media, st.sampled_from(["image", "audio", "video"]))
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
    content=st.text() | st.lists(PARTS, max_size=3).map(tuple),
    thought=st.text(),
    tool_calls=st.lists(
        st.builds(ToolCall, st.text(), st.dictionaries(st.text(), JSON, max_size=3), st.text()), max_size=2
    ).map(tuple),
    tool_call_id=st.text(),
    name=st.text(),
    tool_responses=st.lists(st.builds(ToolResponse, st.text(), JSON), max_size=2).map(tuple),
    summary=st.booleans(),
)


@given(MESSAGES)
def test_a_message_survives_its_dictionary(message: Message) -> None:
    assert from_dict(to_dict(message)) == message


@given(JSON)
def test_anything_else_is_a_usage_error(entry: Any) -> None:
    try:
        message = from_dict(entry)
    except UsageError as error:
        assert error.hint
    else:
        assert entry["role"] == message.role


@pytest.mark.parametrize(
    "entry",
    [
        {"content": "no role"},
        {"role": "wizard", "content": "x"},
        {"role": "user", "content": [{"type": "smell"}]},
        {"role": "user", "content": 5},
        {"role": "user", "content": [{"type": "text", "text": 5}]},
        {"role": "user", "content": [{"type": []}]},
        {"role": [], "content": "x"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": [1]}}]},
        {"role": "assistant", "reasoning_content": 5},
    ],
)
def test_a_message_that_means_nothing_is_refused_in_one_sentence(entry: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        from_dict(entry)
    assert caught.value.message.endswith(".")
    assert caught.value.hint


@pytest.mark.parametrize("arguments", ['{"a": 1}', {"a": 1}])
def test_arguments_are_an_object_or_as_openais_its_text(arguments: Any) -> None:
    message = from_dict({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]})
    assert message.tool_calls == (ToolCall("f", {"a": 1}),)


def test_null_arguments_are_no_arguments() -> None:
    message = from_dict({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": None}}]})
    assert message.tool_calls == (ToolCall("f", {}),)


def test_the_text_of_a_message_leaves_media_out() -> None:
    assert Message("user", (Text("a"), Media("image"), Text("b"))).text == "ab"


def test_a_prompt_is_its_segments_joined() -> None:
    assert joined([Segment("<bos>", special=True), Segment("hi")]) == "<bos>hi"


def test_the_tree_drawn_in_the_errors_module_names_every_error_with_its_exit_code() -> None:
    drawn = errors.__doc__ or ""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, G4Error)]
    for kind in kinds:
        line = next(line for line in drawn.splitlines() if f"{kind.__name__} " in line)
        inherited = kind.exit_code == kind.__mro__[1].exit_code if kind is not G4Error else False
        assert inherited or f" {kind.exit_code} " in line
