"""Ctrl-P: all that can be done is found by its name, and done."""

from collections.abc import Callable

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot

from g4local.opening.request import Request
from g4tui.app import G4App
from g4tui.commands import COMMANDS
from g4tui.keys import KEYS
from g4tui.palette import entries
from g4tui.screens.chat import ChatScreen
from g4tui.screens.help import HelpScreen
from g4tui.screens.models import ModelsScreen
from g4tui.widgets.prompt import Prompt
from tests.fakes import ScriptedEngine
from tests.tui.conftest import Picture
from tests.tui.pilots import drive, seen, typed, until

Script = Callable[..., ScriptedEngine]


async def ready(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: "context" in seen(pilot.app) and "measured" not in seen(pilot.app))


async def find(pilot: Pilot[None], text: str) -> None:
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
    await typed(pilot, text)
    await until(pilot, lambda: text in seen(pilot.app).split("\n", 4)[-1])


def test_keys_commands_and_themes_are_in_it(scripted: Script) -> None:
    scripted()

    async def steps(pilot: Pilot[None]) -> None:
        await ready(pilot)
        titles = [each.title for each in entries(pilot.app, pilot.app.screen, lambda theme: None)]
        for key in (*KEYS["app"], *KEYS["chat"]):
            assert key.says in titles or key.action == "command_palette"
        for command in COMMANDS:
            assert f"/{command.name} {command.argument}".rstrip() in titles
        assert {f"Theme {theme}" for theme in pilot.app.available_themes} <= set(titles)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
        titles = [each.title for each in entries(pilot.app, pilot.app.screen, lambda theme: None)]
        assert {"Filter", "Pull", "Import", "Convert"} <= set(titles)
        assert "/new" not in titles

    drive(G4App(Request("scripted", save=False)), steps)


def test_keys_of_the_chat_hold_while_something_is_typed(scripted: Script) -> None:
    scripted()

    async def steps(pilot: Pilot[None]) -> None:
        await ready(pilot)
        assert isinstance(pilot.app.focused, Prompt)
        bound = pilot.app.screen.active_bindings
        for key in KEYS["chat"]:
            assert bound[key.keys].binding.action == key.action, key.keys

    drive(G4App(Request("scripted", save=False)), steps)


@pytest.mark.parametrize("text", ["Help", "/help"])
def test_what_is_found_is_done(scripted: Script, text: str) -> None:
    scripted()

    async def steps(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await find(pilot, text)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))

    drive(G4App(Request("scripted", save=False)), steps)


def test_a_command_with_an_argument_waits_for_it(scripted: Script) -> None:
    scripted()

    async def steps(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await find(pilot, "/export")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await until(pilot, lambda: pilot.app.screen.query_one(Prompt).text == "/export ")

    drive(G4App(Request("scripted", save=False)), steps)


def test_a_theme_is_put_on(scripted: Script) -> None:
    scripted()

    async def steps(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await find(pilot, "Theme nord")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.theme == "nord")

    drive(G4App(Request("scripted", save=False)), steps)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@pytest.mark.parametrize("theme", ["textual-dark", "ansi-dark"])
def test_pictures(picture: Picture, scripted: Script, size: tuple[int, int], theme: str) -> None:
    scripted()

    async def steps(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await ready(pilot)
        await find(pilot, "Theme nord")
        await picture(pilot, "palette")

    drive(G4App(Request("scripted", save=False)), steps, size)
