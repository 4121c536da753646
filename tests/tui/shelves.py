"""The models screen alone in an app, and the steps that tests of it have in common."""

import os
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

import g4tui
from g4local import library, planner
from g4local.backend.fit.fitting import Resources
from g4local.opening.request import Request
from g4local.settings import paths
from g4tui.jobs import Job
from g4tui.screens.dialog import Dialog
from g4tui.screens.models import ModelsScreen
from g4tui.widgets.model_table import ModelTable
from tests.tui.pilots import until

CATALOG = 19
"""Models that can be pulled by name."""


class Shelf(App[None]):
    """The screen alone."""

    CSS_PATH = Path(g4tui.__file__).parent / "g4tui.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[Request] = []
        self.has_left = False

    def get_default_screen(self) -> ModelsScreen:
        return ModelsScreen()

    def on_models_screen_left(self) -> None:
        self.has_left = True

    def on_models_screen_load_wanted(self, event: ModelsScreen.LoadWanted) -> None:
        self.wanted.append(event.request)


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 23 GB."""
    monkeypatch.setattr(planner, "resources", lambda: Resources(23_000_000_000))


@pytest.fixture
def shelf(own_home: Path, roomy: None) -> Path:
    """The models folder."""
    return library.models_folder(paths(os.environ))


def on_shelf(pilot: Pilot[None]) -> ModelsScreen:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ModelsScreen)
    return screen


def jobs(pilot: Pilot[None]) -> list[Job]:
    return on_shelf(pilot)._jobs.shown


def states(pilot: Pilot[None]) -> list[str]:
    return [job.state for job in jobs(pilot)]


def names(pilot: Pilot[None]) -> list[str]:
    return [row.name for row in on_shelf(pilot)._rows]


async def looked(pilot: Pilot[None]) -> None:
    """Wait until all models are there."""
    await until(pilot, lambda: len(on_shelf(pilot)._rows) >= CATALOG)
    await until(pilot, lambda: on_shelf(pilot).query_one(ModelTable).marked)


async def mark(pilot: Pilot[None], name: str) -> None:
    """Go to a model by keys."""
    table = on_shelf(pilot).query_one(ModelTable)
    await pilot.press("home")
    for _ in range(60):
        await pilot.pause()
        if table.marked and table.marked.name == name:
            return
        await pilot.press("down")
    raise AssertionError(f"{name} is not in the table")


async def pull(pilot: Pilot[None], name: str) -> None:
    """Ask for a model that is not in the table."""
    screen, count = on_shelf(pilot), len(jobs(pilot))
    await pilot.press("slash")
    screen.query_one("#filter", Input).value = name
    await until(pilot, lambda: screen.query_one(ModelTable).marked is None)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, Dialog))
    await pilot.press("enter")
    await until(pilot, lambda: pilot.app.screen is screen and len(jobs(pilot)) > count)


async def over(pilot: Pilot[None]) -> None:
    """Wait until nothing is being done."""
    await until(pilot, lambda: jobs(pilot) and all(job.is_over for job in jobs(pilot)))
