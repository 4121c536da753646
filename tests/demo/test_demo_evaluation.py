"""The evaluation: replies taken apart by their special tokens, and counted."""

import re

import pytest

from demo import conversations, encoding, evaluate
from demo.vocabulary import SPECIAL, special_id
from g4local.core.messages import ToolCall
from g4local.core.prompt import Segment, joined


def ids(*pieces: str) -> list[int]:
    """Special tokens by name, each character of the rest a token of its own."""
    return [
        identifier
        for piece in pieces
        for identifier in ([special_id(piece)] if piece in SPECIAL else [1000 + ord(character) for character in piece])
    ]


def text(identifiers: list[int]) -> str:
    return "".join(SPECIAL[i] if i < len(SPECIAL) else chr(i - 1000) for i in identifiers)


def apart(*pieces: str, thinking_before: bool = False) -> evaluate.Reply:
    return evaluate.taken_apart(ids(*pieces), False, text, thinking_before)


def test_an_answer_is_its_text():
    assert apart("Hello.", "<turn|>") == evaluate.Reply("Hello.", None, None, True)


def test_a_thought_is_kept_apart():
    reply = apart("<|channel>", "thought\nHm.\n", "<channel|>", "Yes.", "<turn|>")
    assert reply == evaluate.Reply("Yes.", "thought\nHm.\n", None, True)


def test_a_call_is_read():
    quote = '<|"|>'
    reply = apart("<|tool_call>", "call:clock{zone:", quote, "UTC", quote, "}", "<tool_call|>", "<|tool_response>")
    assert reply == evaluate.Reply("", None, ToolCall("clock", {"zone": "UTC"}), True)


def test_markup_that_is_left_over_is_seen():
    assert not apart("a", "<|turn>", "b", "<turn|>").clean
    assert not apart("<|channel>", "thought\nHm.", "<turn|>").clean
    assert not apart("no end").clean
    assert not apart("spelled <|turn>", "<turn|>").clean
    assert not apart("<|tool_call>", "nonsense", "<tool_call|>", "<|tool_response>").clean


def test_a_reply_that_goes_on_in_a_thought_is_understood():
    assert apart("Hm.\n", "<channel|>", "Yes.", "<turn|>", thinking_before=True).text == "Yes."


def test_a_model_that_says_what_it_was_taught_is_always_right():
    taught: dict[str, list[int]] = {}
    for kind in ("intent", "tool"):
        for each in conversations.held_out(f"7 {kind}", kind):
            _teach(each, taught)
            if len(taught) > 150 * (1 if kind == "intent" else 3):
                break
    score = evaluate.evaluate(lambda prompt, _: taught[key(prompt)], text, 60, 7)
    assert score.right == score.asked
    assert score.asked["exact tool call"] > 20


def test_a_model_that_says_nothing_is_always_wrong():
    score = evaluate.evaluate(lambda prompt, _: ids("<turn|>"), text, 20, 7)
    assert score.right["right answer"] == score.right["exact tool call"] == score.right["uses the result"] == 0
    assert len(score.wrong) >= 20


@pytest.mark.parametrize("offer", evaluate.OFFERED)
def test_what_is_offered_is_declared_in_every_prompt_and_none_is_asked_for_that_is_missing(offer: str):
    prompts: list[str] = []

    def speak(prompt: list[Segment], seed: int) -> list[int]:
        prompts.append(joined(prompt))
        return ids("<turn|>")

    tools = evaluate.OFFERED[offer]
    score = evaluate.evaluate(speak, text, 20, 7, tools)
    assert score.asked["right answer"] == score.asked["exact tool call"] == 20 and len(prompts) == 60
    named = [re.findall(r"<\|tool>declaration:(\w+)", prompt) for prompt in prompts]
    assert all(names == [tool.name for tool in tools] for names in named)


def key(prompt: list[Segment]) -> str:
    return repr([(segment.text, segment.special) for segment in prompt])


def _teach(conversation, taught: dict[str, list[int]]) -> None:
    """Both replies of a conversation, by their prompts."""
    replies = [i for i, message in enumerate(conversation.messages) if message.role == "assistant"]
    whole = encoding.example(conversation, ids)[0]
    for index in replies:
        prompt = encoding.segments(conversation, turns=index)
        start = len([i for segment in prompt for i in ids(segment.text)])
        ends = [
            i for i in range(start, len(whole)) if whole[i] in (special_id("<turn|>"), special_id("<|tool_response>"))
        ]
        taught[key(prompt)] = whole[start : ends[0] + 1]
