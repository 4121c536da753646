"""The chat screen, driven by keys, with an engine that follows a script; pictures of its main states."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from g4local.opening.request import Request
from g4local.settings import paths
from g4local.store.store import Store
from g4local.tools import permissions
from g4tui.app import G4App
from g4tui.screens.chat import ChatScreen
from g4tui.widgets.prompt import Prompt
from tests.fakes import Reply, ScriptedEngine
from tests.tui.conftest import Picture
from tests.tui.pilots import drive, seen, typed, until

Script = Callable[..., ScriptedEngine]
CALL = '<|tool_call>call:calculate{expression:<|"|>48 * 17<|"|>}<tool_call|>'
ANSWER = "48 * 17 is **816**.\n\n```python\nprint(48 * 17)\n```\n"


def app(**wishes: Any) -> G4App:
    return G4App(Request("scripted", **wishes))


def chat(pilot: Pilot[None]) -> ChatScreen:
    screen = pilot.app.screen
    assert isinstance(screen, ChatScreen)
    return screen


async def idle(pilot: Pilot[None]) -> None:
    """Wait until the model is loaded and nothing is done."""
    screen = chat(pilot)
    await until(pilot, lambda: screen._opened and not screen._errands.is_busy and not screen._waiting)
    await pilot.pause(0.1)


async def ask(pilot: Pilot[None], text: str) -> None:
    await typed(pilot, text, "enter")
    await idle(pilot)


def test_a_question_is_answered_and_kept(scripted: Script, picture: Picture) -> None:
    scripted("Hello.\n\nWhat can I do for you?")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await ask(pilot, "Hi")
        assert "What can I do for you?" in seen(pilot.app)

    drive(app(), steps)
    with Store(paths(os.environ).sessions) as store:
        assert next(each.message.text for each in store.path_to(store.last().head)) == "Hi"


def test_enter_typed_at_once_behind_a_text_sends_all_of_it(scripted: Script) -> None:
    engine = scripted("Yes.", "No.")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        prompt = pilot.app.screen.query_one(Prompt)
        for key in ("a", "b", "c", "enter", "d"):
            pilot.app.simulate_key(key)
        await until(pilot, lambda: engine.prompts and prompt.text == "d")
        assert "abc" in engine.prompts[0]

    drive(app(save=False), steps)


@pytest.mark.parametrize(
    ("key", "runs", "rule"), [("y", True, {}), ("n", False, {}), ("a", True, {"calculate": "allow"})]
)
def test_a_tool_runs_when_the_person_says_so(scripted: Script, key: str, runs: bool, rule: dict[str, str]) -> None:
    engine = scripted(CALL, "Done.")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await typed(pilot, "Add it up", "enter")
        await until(pilot, lambda: "may it run?" in seen(pilot.app))
        await pilot.pause(0.5)
        await pilot.press(key)
        await idle(pilot)
        assert ("816" in engine.prompts[1]) == runs
        assert pilot.app.focused is pilot.app.screen.query_one(Prompt)

    drive(app(tool=["calculate"]), steps)
    kept = permissions.read(paths(os.environ).permissions).sessions
    assert list(kept.values()) == ([rule] if rule else [])


def test_esc_stops_an_answer_and_what_was_said_is_kept(scripted: Script) -> None:
    scripted("word " * 20_000, "Second.")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await typed(pilot, "Go", "enter")
        await until(pilot, lambda: "word" in seen(pilot.app))
        await pilot.press("escape")
        await idle(pilot)
        await ask(pilot, "More")
        assert "Second." in seen(pilot.app)

    drive(app(), steps)
    with Store(paths(os.environ).sessions) as store:
        roles = [each.message.role for each in store.path_to(store.last().head)]
    assert roles == ["user", "assistant", "user", "assistant"]


def test_esc_refuses_a_tool_that_asks(scripted: Script) -> None:
    scripted(CALL, "never said")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await typed(pilot, "Add it up", "enter")
        await until(pilot, lambda: "may it run?" in seen(pilot.app))
        await pilot.press("escape")
        await idle(pilot)
        assert "never said" not in seen(pilot.app)

    drive(app(tool=["calculate"]), steps)


def test_what_is_asked_meanwhile_waits_and_is_asked_then(scripted: Script) -> None:
    engine = scripted(CALL, "First.", "Second.")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await typed(pilot, "One", "enter")
        await until(pilot, lambda: "may it run?" in seen(pilot.app))
        pilot.app.screen.query_one(Prompt).focus()
        await typed(pilot, "Two", "enter")
        await until(pilot, lambda: "waits: Two" in seen(pilot.app))
        await typed(pilot, "Three", "enter", "escape")
        await until(pilot, lambda: pilot.app.screen.query_one(Prompt).text == "Three")
        chat(pilot)._errands.answer("call_0", "once")
        await until(pilot, lambda: len(engine.prompts) == 3)
        await idle(pilot)
        assert "Second." in seen(pilot.app) and "waits" not in seen(pilot.app)

    drive(app(tool=["calculate"]), steps)


def test_an_edited_question_is_a_branch_that_can_be_left_again(scripted: Script) -> None:
    scripted("First answer.", "Second answer.")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await ask(pilot, "Hi")
        await ask(pilot, "/undo")
        assert pilot.app.screen.query_one(Prompt).text == "Hi"
        await ask(pilot, " there")
        await until(pilot, lambda: "2/2" in seen(pilot.app))
        await pilot.press("shift+tab")
        await pilot.press("up", "up", "up", "left")
        await until(pilot, lambda: "First answer." in seen(pilot.app))
        await until(pilot, lambda: "1/2" in seen(pilot.app))

    drive(app(), steps)


def test_a_file_goes_with_a_question(scripted: Script, tmp_path: Path) -> None:
    engine = scripted("I see.")
    (tmp_path / "notes.md").write_text("buy ```milk```")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await typed(pilot, "Look at @note")
        await until(pilot, lambda: "@notes.md" in seen(pilot.app))
        await pilot.press("tab")
        await until(pilot, lambda: "▤ notes.md" in seen(pilot.app))
        await ask(pilot, "please")
        assert "notes.md:\n````md\nbuy ```milk```\n````" in engine.prompts[0]
        assert "▤" not in seen(pilot.app)

    drive(app(folder=tmp_path), steps)


def test_an_image_is_refused_in_a_sentence(scripted: Script, tmp_path: Path) -> None:
    scripted()
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await typed(pilot, "@cat")
        await until(pilot, lambda: "@cat.png" in seen(pilot.app))
        await pilot.press("tab")
        await until(pilot, lambda: "can't be shown to a model" in seen(pilot.app))

    drive(app(folder=tmp_path), steps)


def test_a_question_that_does_not_fit_comes_back_into_the_prompt(scripted: Script) -> None:
    scripted(Reply("", no_room=True))

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await ask(pilot, "Too long")
        assert pilot.app.screen.query_one(Prompt).text == "Too long"
        assert "taken back" in seen(pilot.app)

    drive(app(), steps)


def test_commands_change_settings_and_tell_what_is_wrong(scripted: Script) -> None:
    engine = scripted("Hm.")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await ask(pilot, "/set temperature 0.5")
        await ask(pilot, "/set top_k many")
        await ask(pilot, "/nothing")
        text = seen(pilot.app)
        assert "temperature: 0.5" in text and "top_k can't be 'many'" in text and "no command /nothing" in text
        await ask(pilot, "Hi")
        assert engine.requests[0][0].temperature == 0.5

    drive(app(), steps)


def test_the_conversation_is_written_to_a_file(scripted: Script, tmp_path: Path) -> None:
    scripted("Hello.")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await ask(pilot, "Hi")
        await ask(pilot, f"/export {tmp_path / 'talk.md'}")

    drive(app(), steps)
    assert "Hello." in (tmp_path / "talk.md").read_text()


def test_markup_in_any_text_is_shown_as_it_is(scripted: Script) -> None:
    scripted("[bold]answer[/bold]")

    async def steps(pilot: Pilot[None]) -> None:
        await idle(pilot)
        await ask(pilot, "[red]Hi[/] \x1b[31m")
        text = seen(pilot.app)
        assert "[red]Hi[/]" in text and "[bold]answer[/bold]" in text

    drive(app(), steps)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@pytest.mark.parametrize("theme", ["textual-dark", "ansi-dark"])
@pytest.mark.parametrize("state", ["empty", "answered", "asks", "commands"])
def test_pictures(scripted: Script, picture: Picture, size: tuple[int, int], theme: str, state: str) -> None:
    scripted("Sure.", CALL, ANSWER)

    async def steps(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await idle(pilot)
        if state == "commands":
            await typed(pilot, "/")
            await until(pilot, lambda: "/retry" in seen(pilot.app))
        if state in ("answered", "asks"):
            await ask(pilot, "Can you count?")
            await typed(pilot, "What is 48 * 17?", "enter")
            await until(pilot, lambda: "may it run?" in seen(pilot.app))
        if state == "answered":
            chat(pilot)._errands.answer("call_0", "once")
            await idle(pilot)
        await pilot.pause(0.2)
        await picture(pilot, f"chat-{state}")

    drive(app(tool=["calculate"], save=False), steps, size)
