"""The sessions screen: found as it is typed, looked at, gone on with, renamed, forked, written to a file, removed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from g4local.core.messages import Message
from g4local.opening.request import Request
from g4local.settings import paths
from g4local.store import upkeep
from g4local.store.store import Store
from g4tui.app import G4App
from g4tui.screens.chat import ChatScreen
from g4tui.screens.sessions import SessionsScreen
from g4tui.widgets.session_list import SessionList
from tests.fakes import ScriptedEngine
from tests.tui.conftest import Picture
from tests.tui.pilots import drive, seen, typed, until

TALKS = {
    "About whales": ["Do whales sleep?", "With half of the brain at a time."],
    "About bread": ["How long does dough rest?", "Overnight, in the cold."],
    "[bold]About[/bold] \x1b[31mmarkup": ["What is markup?", "[red]Text[/red] between texts."],
}
MOMENT = 1_790_000_000.0


@pytest.fixture
def kept() -> list[str]:
    """Three sessions, a minute apart; their ids, the oldest first."""
    ids: list[str] = []
    with Store(paths(os.environ).sessions) as store:
        for number, (title, texts) in enumerate(TALKS.items()):
            when = MOMENT + 60 * number
            with store.writing():
                session = store.start(title, created=when)
                turn = store.begin_turn({"model": "demo"})
                head: int | None = None
                for index, text in enumerate(texts):
                    message = Message("assistant" if index % 2 else "user", text)
                    head = store.append(session, head, message, turn=turn, created=when)
                store.move_head(session, head, updated=when)
            ids.append(session)
    return ids


def titles() -> list[str]:
    with Store(paths(os.environ).sessions) as store:
        return [session.title for session in store.sessions()]


async def sessions(pilot: Pilot[None]) -> SessionsScreen:
    """Go to the screen, and wait until it has looked."""
    await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    await pilot.press("f4")
    await until(pilot, lambda: "kept" in seen(pilot.app))
    screen = pilot.app.screen
    assert isinstance(screen, SessionsScreen)
    return screen


def app() -> G4App:
    return G4App(Request(""))


def test_the_marked_one_is_shown_beside_the_list(kept: list[str]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await sessions(pilot)
        await until(pilot, lambda: "between texts" in seen(pilot.app))
        assert "[bold]About[/bold] ␛[31mmarkup" in seen(pilot.app)
        await pilot.press("r")
        await until(pilot, lambda: "Title:" in seen(pilot.app))
        assert "\x1b" not in seen(pilot.app)
        await pilot.press("escape")
        await pilot.press("down", "down")
        await until(pilot, lambda: "half of the brain" in seen(pilot.app))

    drive(app(), steps)


def test_a_search_finds_words_while_they_are_typed(kept: list[str]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await sessions(pilot)
        await typed(pilot, "/overn")
        await until(pilot, lambda: "1 found" in seen(pilot.app))
        assert "About bread" in seen(pilot.app) and "whales" not in seen(pilot.app)
        await typed(pilot, "zzz")
        await until(pilot, lambda: "Nothing was found" in seen(pilot.app))

    drive(app(), steps)


def test_enter_goes_on_with_the_marked_one(kept: list[str], scripted: Callable[..., ScriptedEngine]) -> None:
    engine = scripted("In water.")

    async def steps(pilot: Pilot[None]) -> None:
        await sessions(pilot)
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await until(pilot, lambda: f"session {kept[0]}" in seen(pilot.app) and "half of the brain" in seen(pilot.app))
        await typed(pilot, "Where?", "enter")
        await until(pilot, lambda: "In water." in seen(pilot.app))

    drive(app(), steps)
    assert "Do whales sleep?" in engine.prompts[0]


def test_a_session_gets_another_title(kept: list[str]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await sessions(pilot)
        await pilot.press("down", "r")
        await pilot.press(*["backspace"] * 11)
        await typed(pilot, "Baking", "enter")
        await until(pilot, lambda: "Baking" in seen(pilot.app) and "It is called" in seen(pilot.app))

    drive(app(), steps)
    assert titles()[1] == "Baking"


def test_a_fork_stands_below_its_origin(kept: list[str]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await sessions(pilot)
        await pilot.press("down", "f")
        await until(pilot, lambda: "└ About bread" in seen(pilot.app))

    drive(app(), steps)
    assert titles().count("About bread") == 2


def test_a_session_is_written_to_a_file_that_is_not_there_yet(kept: list[str], tmp_path: Path) -> None:
    target = tmp_path / "x.md"

    async def steps(pilot: Pilot[None]) -> None:
        screen = await sessions(pilot)
        await pilot.press("down", "e")
        screen.query_one("QuestionLine Input").value = str(target)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: "Written to" in seen(pilot.app))
        await pilot.press("e")
        screen.query_one("QuestionLine Input").value = str(target)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: "already" in seen(pilot.app))

    drive(app(), steps)
    assert "Overnight" in target.read_text()


def test_what_is_removed_can_be_taken_back_until_the_screen_is_left(kept: list[str]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        screen = await sessions(pilot)
        await pilot.press("d", "d")
        await until(pilot, lambda: "2 sessions go" in seen(pilot.app))
        assert len(titles()) == 3
        await pilot.press("u")
        marked = screen.query_one(SessionList).marked
        assert marked and "About bread" in seen(pilot.app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        assert len(titles()) == 2

    drive(app(), steps)
    assert sorted(titles()) == ["About bread", "About whales"]


def test_what_is_removed_goes_when_the_app_is_left(kept: list[str]) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await sessions(pilot)
        await pilot.press("d", "ctrl+q")

    drive(app(), steps)
    assert sorted(titles()) == ["About bread", "About whales"]


def test_the_session_of_the_chat_is_not_removed(kept: list[str], scripted: Callable[..., ScriptedEngine]) -> None:
    scripted()

    async def steps(pilot: Pilot[None]) -> None:
        await sessions(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: f"session {kept[2]}" in seen(pilot.app))
        await pilot.press("f4")
        await until(pilot, lambda: "kept" in seen(pilot.app))
        await pilot.press("d")
        await until(pilot, lambda: "is open in the chat" in seen(pilot.app))

    drive(app(), steps)
    assert len(titles()) == 3


def test_without_sessions_it_says_so() -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await pilot.press("f4")
        await until(pilot, lambda: "There is no session yet" in seen(pilot.app))
        await pilot.press("d", "r", "f", "e", "u")

    drive(app(), steps)


def test_a_title_is_one_line_of_words(kept: list[str]) -> None:
    with Store(paths(os.environ).sessions) as store:
        assert upkeep.rename(store, store.find(kept[0]), " a\n b ") == "a b"
        with pytest.raises(Exception, match="at least a letter"):
            upkeep.rename(store, store.find(kept[0]), " \n")


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@pytest.mark.parametrize("theme", ["textual-dark", "ansi-dark"])
@pytest.mark.parametrize("state", ["list", "search", "rename"])
def test_pictures(kept: list[str], picture: Picture, size: tuple[int, int], theme: str, state: str) -> None:
    with Store(paths(os.environ).sessions) as store:
        upkeep.fork(store, store.find(kept[1]), None)
        store.rows("UPDATE sessions SET updated = ?", (MOMENT,))

    async def steps(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await sessions(pilot)
        if state == "search":
            await typed(pilot, "/what", "enter")
            await until(pilot, lambda: "1 found" in seen(pilot.app))
        if state == "rename":
            await pilot.press("r")
        await until(pilot, lambda: "texts." in seen(pilot.app) or "Overnight" in seen(pilot.app))
        await pilot.pause(0.3)
        await picture(pilot, f"sessions-{state}")

    drive(app(), steps, size)
