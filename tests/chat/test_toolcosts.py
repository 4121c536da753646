"""Tools that take too much of the context are refused before the model is asked."""

from dataclasses import replace
from threading import Event

import pytest

from g4local.chat import toolcosts
from g4local.chat.template import render
from g4local.core.errors import TooManyTools
from g4local.core.messages import Message
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from g4local.tools.tool import Tool, declaration
from tests.chat.talk import TOOLS, conversation, said, text_of
from tests.fakes import INFO, ScriptedEngine


def characters(segments: list[Segment]) -> int:
    return len(ScriptedEngine([]).tokenize(segments, Event()))


def test_a_tool_costs_what_the_prompt_is_longer_with_it() -> None:
    def prompt(tools: tuple[Tool, ...]) -> list[Segment]:
        declared = [declaration(tool) for tool in tools]
        return render([Message("system", "Hi."), Message("user", "Hi")], tools=declared, variant="large")

    for tool in TOOLS:
        assert toolcosts.cost(tool, characters) == characters(prompt((tool,))) - characters(prompt(()))
    total = sum(toolcosts.cost(tool, characters) for tool in TOOLS)
    assert characters(prompt(TOOLS)) == characters(prompt(())) + total
    toolcosts.check(TOOLS, 2 * total, characters)
    with pytest.raises(TooManyTools) as caught:
        toolcosts.check(TOOLS, 2 * total - 1, characters)
    assert caught.value.exit_code == 5
    assert f"{total:,}" in caught.value.message and "add" in caught.value.message and caught.value.hint


def test_the_question_is_taken_back_and_fewer_tools_are_the_way_out() -> None:
    talk, engine = conversation("Two.")
    engine.info = replace(INFO, context=100)
    with pytest.raises(TooManyTools):
        list(talk.say("One and one?", report=silent, cancel=Event()))
    assert talk.messages == [] and engine.prompts == []
    talk.tools = ()
    assert text_of(said(talk, "One and one?")) == "Two."
