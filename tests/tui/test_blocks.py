"""Blocks of the transcript: what their keys and clicks do, and what goes up."""

import pytest
from textual.geometry import Offset
from textual.pilot import Pilot

from g4local.core.events import TextDelta, ToolFinished, ToolRequested, ToolResult
from g4local.core.messages import Message, ToolCall
from g4tui.widgets.code import Code
from g4tui.widgets.question import Question
from g4tui.widgets.reply import Reply
from g4tui.widgets.thought import Thought
from g4tui.widgets.tool_card import ToolCard
from g4tui.widgets.transcript import Transcript
from g4tui.widgets.wishes import CopyWanted, QuoteWanted
from tests.tui.pilots import seen, until
from tests.tui.transcripts import Shows, chat, show

CALL = ToolCall("run_shell", {"command": "ls"}, "call_0")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is shown at once, and each key is an answer."""
    monkeypatch.setattr(Transcript, "PACE", 0.0)
    monkeypatch.setattr(ToolCard, "QUIET", 0.0)


def test_a_call_asks_and_each_key_is_its_answer() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.ask("Go.")
        for key in "yafn":
            await transcript.add([ToolRequested(CALL)])
            card = await transcript.want(CALL)
            await until(pilot, lambda card=card: card.has_focus and "may it run?" in seen(pilot.app))  # type: ignore[misc]
            await pilot.press(key)
            await transcript.add([ToolFinished(CALL, ToolResult("refused by the user", ok=False))])
        await until(pilot, lambda: seen(pilot.app).count("refused") > 4)

    posted = show(steps)
    assert [wish.answer for wish in posted] == ["once", "session", "folder", "no"]
    assert {wish.call.id for wish in posted} == {"call_0"}


def test_a_call_is_answered_with_the_mouse() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        card = await transcript.want(CALL)
        await until(pilot, lambda: "in this session" in seen(pilot.app))
        lines = seen(pilot.app).splitlines()
        y = next(number for number, line in enumerate(lines) if "in this session" in line)
        await pilot.click(offset=Offset(lines[y].index("in this session"), y))
        await until(pilot, lambda: card.called.state == "running")

    assert [wish.answer for wish in show(steps)] == ["session"]


def test_letters_that_were_being_typed_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToolCard, "QUIET", 1e9)

    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        card = await transcript.want(CALL)
        await until(pilot, lambda: card.has_focus)
        await pilot.press("y", "a", "n")
        assert card.called.state == "asks"

    assert show(steps) == []


def test_a_result_is_folded_and_unfolded() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.add([ToolRequested(CALL)])
        value = "\n".join(f"line {number}" for number in range(12))
        await transcript.add([ToolFinished(CALL, ToolResult(value, ok=True))])
        await until(pilot, lambda: "6 more lines" in seen(pilot.app))
        assert "line 9" not in seen(pilot.app)
        transcript.query_one(ToolCard).focus()
        await pilot.press("enter")
        await until(pilot, lambda: "line 11" in seen(pilot.app))
        await pilot.press("c")

    posted = show(steps)
    assert posted[0].text.endswith("line 11") and posted[0].what == "result"


def test_a_thought_is_unfolded_and_folded() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show([Message("user", "Why?"), Message("assistant", "So.", "I wonder why.\n" * 3)])
        await until(pilot, lambda: "Thought for 9 words" in seen(pilot.app))
        transcript.query_one(Thought).focus()
        await pilot.press("enter")
        await until(pilot, lambda: seen(pilot.app).count("I wonder why.") == 3)
        await pilot.press("enter")
        await until(pilot, lambda: "I wonder" not in seen(pilot.app))
        await pilot.press("c")

    assert show(steps)[0].text == "I wonder why.\n" * 3


def test_arrows_go_from_block_to_block_and_out_at_the_end() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show([Message("user", "Code?"), Message("assistant", "Here:\n\n```py\nx = 1\n```\n", "Hm.")])
        await until(pilot, lambda: "x = 1" in seen(pilot.app))
        transcript.focus()
        found = []
        for key in ("down", "down", "down", "down", "down", "up"):
            await pilot.press(key)
            await pilot.pause()
            found.append(type(pilot.app.focused))
        assert found == [Question, Thought, Reply, Code, Code, Reply]

    assert [type(wish) for wish in show(steps)] == [Transcript.Left]


def test_questions_and_answers_are_copied_quoted_and_edited() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show(chat(2, "The end."))
        await until(pilot, lambda: "answer 1" in seen(pilot.app))
        list(transcript.query(Question))[1].focus()
        await pilot.press("e", "c", "q")
        transcript.query(Reply).first().focus()
        await pilot.press("c", "q")

    edit, *others = show(steps)
    assert (edit.index, edit.text) == (1, "question 1.")
    answer = "answer 0.\n\nThe end."
    assert [(type(wish), wish.text) for wish in others] == [
        (CopyWanted, "question 1."),
        (QuoteWanted, "question 1."),
        (CopyWanted, answer),
        (QuoteWanted, answer),
    ]


def test_a_question_s_versions_are_gone_through() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show(chat(2, ""))
        transcript.set_branch(1, 2, 3)
        await until(pilot, lambda: "2/3" in seen(pilot.app))
        first, second = transcript.query(Question)
        first.focus()
        await pilot.press("left")
        second.focus()
        await pilot.press("left", "right")
        transcript.set_branch(1, 3, 3)
        await until(pilot, lambda: "3/3" in seen(pilot.app))
        await pilot.press("right")

    assert [(wish.index, wish.step) for wish in show(steps)] == [(1, -1), (1, 1)]


def test_code_is_copied_whole_from_any_of_its_parts() -> None:
    code = "".join(f"line_{number} = {number}\n" for number in range(700))

    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.ask("Code?")
        await transcript.add([TextDelta(f"Look:\n\n```py\nother = 1\n```\n\n```python\n{code}```\n\nDone.")])
        await transcript.end()
        await until(pilot, lambda: "Done." in seen(pilot.app))
        transcript.query(Code).last().focus()
        await pilot.press("c")
        transcript.focus()
        await pilot.press("home")
        await until(pilot, lambda: "other = 1" in seen(pilot.app))
        for block in list(transcript.query(Code))[:2]:
            block.focus()
            await pilot.press("c")

    assert [wish.text for wish in show(steps)] == [code, "other = 1\n", code]


def test_a_link_opens_nothing_and_its_address_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(Shows, "open_url", lambda self, url, new_tab=True: opened.append(url))

    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show([Message("assistant", "[here](http://example.com/x)")])
        await until(pilot, lambda: "here (http://example.com/x)" in seen(pilot.app))
        lines = seen(pilot.app).splitlines()
        y = next(number for number, line in enumerate(lines) if "here" in line)
        await pilot.click(offset=Offset(lines[y].index("here") + 1, y))
        await pilot.pause()

    assert [wish.text for wish in show(steps)] == ["http://example.com/x"]
    assert opened == []
