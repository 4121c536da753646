"""The transcript in an app: what is on the screen while it grows, and which of it is laid out."""

import pytest
from textual.geometry import Offset
from textual.pilot import Pilot

from g4local.core.errors import EngineError
from g4local.core.events import TextDelta, ThoughtDelta, ToolRequested
from g4local.core.messages import Message, ToolCall
from g4tui.widgets.reply import Reply
from g4tui.widgets.tool_card import ToolCard
from g4tui.widgets.transcript import Transcript
from tests.tui.pilots import seen, until
from tests.tui.transcripts import PARAGRAPH, chat, said, show

CALL = ToolCall("run_shell", {"command": "ls"}, "call_0")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is shown at once, and each key is an answer."""
    monkeypatch.setattr(Transcript, "PACE", 0.0)
    monkeypatch.setattr(ToolCard, "QUIET", 0.0)


def test_an_answer_is_shown_while_it_is_said() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.ask("How much is it?")
        await transcript.add([ThoughtDelta("Let me think. "), ThoughtDelta("Easy.")])
        await until(pilot, lambda: "Thinking, 4 words" in seen(pilot.app) and "Let me think. Easy." in seen(pilot.app))
        await said(pilot, transcript, "It is **four**, see `2 + 2`.")
        await transcript.end()
        await until(pilot, lambda: "It is four, see 2 + 2." in seen(pilot.app))
        assert "Thought for 4 words" in seen(pilot.app)
        assert "Let me think" not in seen(pilot.app)

    show(steps)


TEXT = """# A heading

Some *text* with [a link](http://example.com/a) and <b>tags</b>.

1. one
2. two **bold
   over lines**

   ```python
   x = 1
   ```

   - nested
   - list
3. three

| a | b |
|---|---|
| 1 | 2 |
| 3 | 4 |

> a quote
> that goes on

~~~
plain
~~~
"""


@pytest.mark.parametrize("size", [3, 50])
def test_an_answer_that_came_in_pieces_looks_like_the_whole_one(size: int) -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show([Message("user", "Go."), Message("assistant", TEXT)])
        await until(pilot, lambda: "plain" in seen(pilot.app))
        await pilot.pause()
        whole = seen(pilot.app)
        await transcript.clear()
        await transcript.ask("Go.")
        await said(pilot, transcript, TEXT, size)
        await transcript.end()
        await until(pilot, lambda: seen(pilot.app) == whole)
        assert "a link (http://example.com/a) and <b>tags</b>" in whole

    show(steps, (80, 60))


def test_only_the_end_of_a_long_history_is_laid_out_and_more_comes_with_scrolling() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show(chat(400))
        await until(pilot, lambda: "answer 399" in seen(pilot.app))
        assert len(transcript.query(Reply)) < 40
        transcript.focus()
        for _ in range(15):
            await pilot.press("pageup")
        await pilot.pause()
        assert "answer 399" not in seen(pilot.app)
        assert len(transcript.query(Reply)) < 40
        await pilot.press("home")
        await until(pilot, lambda: "question 0." in seen(pilot.app))
        await pilot.press("end")
        await until(pilot, lambda: "answer 399" in seen(pilot.app))

    show(steps)


def test_pages_up_and_down_miss_nothing() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show(chat(30))
        await until(pilot, lambda: "answer 29" in seen(pilot.app))
        transcript.focus()
        for key in "pageup", "pagedown":
            missing = list(range(30))
            for _ in range(14):
                on_screen = seen(pilot.app)
                missing = [number for number in missing if f"answer {number}." not in on_screen]
                await pilot.press(key)
                await pilot.pause()
            assert missing == []

    show(steps)


def test_what_is_read_stays_where_it_is_while_an_answer_comes() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.show(chat(50))
        await transcript.ask("And now?")
        await until(pilot, lambda: "And now?" in seen(pilot.app))
        transcript.focus()
        await pilot.press("pageup", "pageup", "pageup")
        await pilot.pause()
        before = seen(pilot.app)
        assert "And now?" not in before
        await said(pilot, transcript, PARAGRAPH * 60, 200)
        await pilot.pause()
        assert _text(seen(pilot.app)) == _text(before)
        assert len(transcript.query(Reply)) < 40
        await pilot.press("end")
        await said(pilot, transcript, "\n\nThis is the end.")
        await until(pilot, lambda: "This is the end." in seen(pilot.app))

    show(steps)


def _text(screen: str) -> str:
    """The screen without its scroll bar."""
    return "\n".join(line[:76].rstrip() for line in screen.splitlines())


def test_a_long_answer_leaves_few_widgets() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.ask("Tell me all.")
        for number in range(100):
            await transcript.add([TextDelta(f"{number}: {PARAGRAPH}")])
        await transcript.end()
        await until(pilot, lambda: "99:" in seen(pilot.app))
        await until(pilot, lambda: len(transcript.query(Reply)) < 20)
        transcript.focus()
        await pilot.press("home")
        await until(pilot, lambda: "Tell me all." in seen(pilot.app))

    show(steps)


def test_text_is_never_markup_and_steers_nothing() -> None:
    bad = "[b]x[/b] [@click=app.quit]q[/] \x1b[31m"

    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        call = ToolCall(bad, {bad: bad})
        await transcript.show(
            [Message("user", bad), Message("assistant", f"{bad} &#8238;", bad, (call,)), Message("tool", bad)]
        )
        await transcript.note(bad, "warning")
        await transcript.end(EngineError(bad, bad))
        await until(pilot, lambda: "✗" in seen(pilot.app))
        await until(pilot, lambda: seen(pilot.app).count("[@click=app.quit]q[/]") >= 6)
        assert not {"\x1b", "\u202e"} & set(seen(pilot.app))

    show(steps, (80, 40))


def test_a_selection_stays_while_the_answer_goes_on() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.ask("Go.")
        await said(pilot, transcript, "The first paragraph.\n\nThe second one")
        await until(pilot, lambda: "The second one" in seen(pilot.app))
        lines = seen(pilot.app).splitlines()
        y = next(number for number, line in enumerate(lines) if "first" in line)
        x = lines[y].index("first")
        await pilot.mouse_down(offset=Offset(x, y))
        await pilot.hover(offset=Offset(x + 4, y))
        await pilot.mouse_up(offset=Offset(x + 4, y))
        assert pilot.app.screen.get_selected_text() == "first"
        await said(
            pilot, transcript, " goes on\n\n- and on\n- and on\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n" + PARAGRAPH
        )
        await transcript.end()
        await pilot.pause()
        assert pilot.app.screen.get_selected_text() == "first"

    show(steps)


def test_less_than_a_screen_stands_at_the_top_from_its_first_frame() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        frames: list[str] = []
        pilot.app.screen.screen_layout_refresh_signal.subscribe(transcript, lambda _: frames.append(seen(pilot.app)))
        await transcript.ask("First?")
        await said(pilot, transcript, "Second.\n\nThird.")
        await until(pilot, lambda: "Third." in seen(pilot.app))
        assert all("First?" in frame.splitlines()[0] for frame in frames if "First?" in frame)

    show(steps)


def test_an_error_says_what_to_do() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.ask("Go.")
        await transcript.add([ToolRequested(CALL), TextDelta("It")])
        await transcript.end(EngineError("The engine died.", "Ask again."))
        await until(pilot, lambda: "✗ The engine died." in seen(pilot.app) and "Ask again." in seen(pilot.app))
        assert "no result" in seen(pilot.app)

    show(steps)


def test_an_app_that_is_left_in_the_middle_of_an_answer_ends() -> None:
    async def steps(pilot: Pilot[None], transcript: Transcript) -> None:
        await transcript.ask("Go.")
        await transcript.add([TextDelta("It begins" + PARAGRAPH)])
        await transcript.add([TextDelta("and goes on")])

    show(steps)
