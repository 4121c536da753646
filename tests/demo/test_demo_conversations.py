"""The synthetic conversations: repeatable, true to the tools, and apart from what the evaluation asks."""

import re
from itertools import islice
from random import Random
from threading import Event
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo import conversations, encoding, tool_talk
from demo.conversation import Conversation, builtin_tools
from demo.phrases import more_tools, talk, tools
from demo.tool_talk import MISSING
from demo.vocabulary import SPECIAL
from demo.wording import FRAMES, PREFIXES, UNSEEN_FRAMES, UNSEEN_PREFIXES, expanded, pattern, plain, spoken
from g4local.core.prompt import joined
from g4local.tools.clock import clock
from g4local.tools.registry import validate


def encode(text: str) -> list[int]:
    """Each character a token of its own: enough to see which tokens are whose."""
    return [1000 + ord(character) for character in text]


def spelled(ids: list[int]) -> str:
    return "".join(SPECIAL[i] if i < 1000 else chr(i - 1000) for i in ids)


def some(count: int, seed: str = "tests") -> list[Conversation]:
    return list(islice(conversations.training(seed), count))


def test_the_same_seed_gives_the_same_conversations():
    assert some(50) == some(50)
    assert some(50) != some(50, "others")
    held_out = [list(islice(conversations.held_out("x", "tool"), 30)) for _ in range(2)]
    assert held_out[0] == held_out[1]


def test_there_are_more_than_forty_intents_with_many_wordings():
    assert len(conversations.intents()) > 40
    for intent in conversations.intents():
        variants = {expanded(each, Random(seed)) for each in (*intent.questions, *intent.tasks) for seed in range(40)}
        assert len(variants) >= 5, intent.name
        assert len(intent.unseen) >= 3, intent.name


def test_no_intent_has_the_name_or_an_answer_of_another():
    everything = (*conversations.intents(), talk.UNKNOWN)
    answers = [answer for intent in everything for answer in intent.answers]
    assert len({intent.name for intent in everything}) == len(everything)
    assert len(set(answers)) == len(answers)


def test_no_question_of_the_evaluation_is_asked_in_training():
    asked = {plain(message.text) for each in some(4000) for message in each.messages if message.role == "user"}
    assert len(asked) > 3000
    assert asked.isdisjoint(conversations.reserved())


@pytest.mark.parametrize(
    ("seen", "unseen"),
    [
        (tools.TIME + more_tools.TIME, tools.UNSEEN_TIME),
        (tools.DATE + more_tools.DATE, tools.UNSEEN_DATE),
        (tools.TIME_IN + more_tools.TIME_IN, tools.UNSEEN_TIME_IN),
        (tools.LIST + more_tools.LIST, tools.UNSEEN_LIST),
        (tools.LIST_IN + more_tools.LIST_IN, tools.UNSEEN_LIST_IN),
        (tools.READ + more_tools.READ, tools.UNSEEN_READ),
        (tools.EXPRESSION + more_tools.EXPRESSION, tools.UNSEEN_EXPRESSION),
        *[(tools.BINARY[sign] + more_tools.BINARY[sign], tools.UNSEEN_BINARY[sign]) for sign in tools.BINARY],
        (FRAMES, UNSEEN_FRAMES),
        (PREFIXES, UNSEEN_PREFIXES),
    ],
)
def test_unseen_templates_are_no_variants_of_the_seen_ones(seen, unseen):
    for template in unseen:
        assert not any(pattern(each).fullmatch(template) for each in seen), template


def test_training_and_evaluation_share_no_file_name_folder_or_large_number():
    random = Random(1)
    made = {tool_talk.file_name(random, True) for _ in range(5000)}
    assert made.isdisjoint(tools.UNSEEN_FILES)
    assert set(tools.FOLDERS).isdisjoint(tools.UNSEEN_FOLDERS)
    seen, unseen = ({tool_talk.number(random, flag) for _ in range(3000)} for flag in (False, True))
    assert seen.isdisjoint(unseen)


def test_calls_are_valid_and_only_of_declared_tools():
    by_name = {tool.name: tool for tool in builtin_tools()}
    for each in some(400):
        for message in each.messages:
            for call in message.tool_calls:
                assert call.name in each.tools
                assert validate(by_name[call.name], call.arguments) is None


def test_results_of_calculations_are_what_the_tool_says():
    run = next(tool.run for tool in builtin_tools() if tool.name == "calculate")
    checked = 0
    for each in some(300):
        for message, answer in zip(each.messages, each.messages[1:], strict=False):
            if message.tool_calls and message.tool_calls[0].name == "calculate" and not answer.text.startswith("error"):
                assert run(message.tool_calls[0].arguments, Event()) == answer.text
                checked += 1
    assert checked > 50


def test_times_look_as_the_clock_tells_them():
    shape = re.compile(r"\w+ \d+ \w+ \d{4}, \d\d:\d\d, UTC[+-]\d\d:\d\d")
    assert shape.fullmatch(str(clock.run({}, Event())))
    told = [m.text for each in some(300) for m in each.messages if m.name == "clock" and not m.text.startswith("error")]
    assert told and all(shape.fullmatch(text) for text in told)


def test_every_zone_exists():
    assert set(tools.CITIES) <= available_timezones() | {"UTC"}


def test_a_tool_that_is_not_there_is_said_to_be_missing():
    missing = [each for each in some(600) if each.intent.startswith("no ")]
    assert missing
    for each in missing:
        name = each.intent.removeprefix("no ")
        assert name not in each.tools
        assert each.messages[-1].text == MISSING[name]


def test_thoughts_are_there_exactly_when_thinking_is_on():
    for each in some(200):
        last = [message for message in each.messages if message.role == "assistant"][-1]
        assert bool(last.thought) == each.thinking


def test_the_model_is_taught_its_own_words_and_nothing_else():
    for each in some(200):
        ids, own = encoding.example(each, encode)
        assert spelled(ids) == joined(encoding.segments(each))
        taught = spelled([i for i, mine in zip(ids, own, strict=True) if mine])
        assert "user\n" not in taught and "response:" not in taught and "<|turn>" not in taught
        assert taught.count("<turn|>") == (1 if each.thinking else sum(m.role == "user" for m in each.messages))
        assert taught.count("<tool_call|>") == taught.count("<|tool_response>")


def test_the_prompt_of_a_question_is_the_beginning_of_its_conversation():
    for each in islice(conversations.held_out("prompts", "tool"), 100):
        turns = next(i for i, message in enumerate(each.messages) if message.role == "user") + 1
        assert joined(encoding.segments(each)).startswith(joined(encoding.segments(each, turns=turns)))


@settings(max_examples=50, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_typing_errors_leave_names_and_flags_alone(seed):
    text = spoken("what does --top-k do with [F] and src/parser.py", Random(seed))
    assert "[F]" in text and "--top-k" in text and "src/parser.py" in text
