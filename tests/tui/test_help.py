"""What a person sees who has no model yet, and the help that all tables are in."""

from collections.abc import Callable
from typing import get_args

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from g4local.opening.request import Request
from g4tui.app import G4App
from g4tui.commands import COMMANDS
from g4tui.keys import KEYS, Scope
from g4tui.screens.chat import ChatScreen
from g4tui.screens.help import _PLACES, HelpScreen
from g4tui.screens.import_dialog import ImportDialog
from g4tui.screens.models import ModelsScreen
from tests.fakes import ScriptedEngine
from tests.tui.conftest import Picture
from tests.tui.pilots import drive, seen, typed, until

Script = Callable[..., ScriptedEngine]


async def welcomed(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen) and "Open a file" in seen(pilot.app))


def test_every_place_of_keys_has_a_heading() -> None:
    assert set(_PLACES) == set(get_args(Scope)) == set(KEYS)


def test_the_help_has_every_key_and_every_command_and_goes_again() -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await welcomed(pilot)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        text = str(pilot.app.screen.query_one("#help Static", Static).content)
        for key in (key for keys in KEYS.values() for key in keys):
            assert key.says in text
        for command in COMMANDS:
            assert f"/{command.name}" in text and command.says in text
        assert "Ctrl-N" in text and "F1" in text
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))

    drive(G4App(Request("")), steps)


def test_the_help_is_a_command_too(scripted: Script) -> None:
    scripted()

    async def steps(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "context" in seen(pilot.app) and "measured" not in seen(pilot.app))
        await typed(pilot, "/help", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))

    drive(G4App(Request("scripted", save=False)), steps)


def test_without_a_model_the_built_in_one_is_a_key_away(scripted: Script) -> None:
    engine = scripted("Hello.")

    async def steps(pilot: Pilot[None]) -> None:
        await welcomed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "Open a file" not in seen(pilot.app) and "%)" in seen(pilot.app))
        await typed(pilot, "Hi", "enter")
        await until(pilot, lambda: "Hello." in seen(pilot.app))

    drive(G4App(Request("", save=False)), steps)
    assert engine.prompts


@pytest.mark.parametrize(("downs", "screen"), [(1, ModelsScreen), (2, ImportDialog)])
def test_a_model_can_be_pulled_or_come_from_a_file(downs: int, screen: type) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await welcomed(pilot)
        await pilot.press(*["down"] * downs, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, screen))

    drive(G4App(Request("")), steps)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@pytest.mark.parametrize("theme", ["textual-dark", "ansi-dark"])
@pytest.mark.parametrize("state", ["welcome", "help"])
def test_pictures(picture: Picture, size: tuple[int, int], theme: str, state: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await welcomed(pilot)
        if state == "help":
            await pilot.press("f1")
            await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await picture(pilot, state)

    drive(G4App(Request("")), steps, size)
