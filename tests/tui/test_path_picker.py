"""Paths are completed, chosen from the list, and told when they are what was wanted."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Button, Input, OptionList

from g4tui.widgets.path_picker import PathPicker
from tests.tui.pilots import drive, seen, until


class Picking(App[None]):
    def __init__(self, begin: Path, suffix: str) -> None:
        super().__init__()
        self.begin, self.suffix = begin, suffix
        self.picked: list[Path] = []

    def compose(self) -> ComposeResult:
        yield PathPicker(self.begin, self.suffix)
        yield Button("next")

    def on_path_picker_picked(self, event: PathPicker.Picked) -> None:
        self.picked.append(event.path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "models/gemma-a.gguf",
        "models/gemma-b.gguf",
        "models/other.txt",
        ".hidden/x.gguf",
        "tiny/config.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / os.fsdecode(b"odd\xff.gguf")).write_text("")
    return tmp_path


def picking(folder: Path, suffix: str, steps: Callable[[Pilot[None], Input], Awaitable[None]]) -> Picking:
    app = Picking(folder, suffix)

    async def run(pilot: Pilot[None]) -> None:
        field = app.query_one(Input)
        field.focus()
        await until(pilot, lambda: app.query_one(OptionList).option_count)
        await steps(pilot, field)

    drive(app, run)
    return app


def test_tab_completes_as_far_as_all_agree_and_then_goes_on(folder: Path) -> None:
    async def steps(pilot: Pilot[None], field: Input) -> None:
        await pilot.press("m", "tab")
        await until(pilot, lambda: field.value == f"{folder}/models/")
        await pilot.pause()
        await pilot.press("tab")
        await until(pilot, lambda: field.value == f"{folder}/models/gemma-")
        await pilot.press("tab")
        await until(pilot, lambda: not field.has_focus)

    picking(folder, ".gguf", steps)


def test_only_folders_and_what_is_wanted_are_listed(folder: Path) -> None:
    async def steps(pilot: Pilot[None], field: Input) -> None:
        assert "models/" in seen(pilot.app) and ".hidden" not in seen(pilot.app) and "odd" not in seen(pilot.app)
        field.value = f"{folder}/models/"
        await until(pilot, lambda: "gemma-b.gguf" in seen(pilot.app))
        assert "other.txt" not in seen(pilot.app)
        field.value = f"{folder}/."
        await until(pilot, lambda: ".hidden/" in seen(pilot.app))

    picking(folder, ".gguf", steps)


def test_a_file_is_chosen_from_the_list(folder: Path) -> None:
    async def steps(pilot: Pilot[None], field: Input) -> None:
        field.value = f"{folder}/models/"
        await until(pilot, lambda: "gemma-b.gguf" in seen(pilot.app))
        await pilot.press("down", "down", "enter")

    assert picking(folder, ".gguf", steps).picked == [folder / "models" / "gemma-b.gguf"]


def test_a_checkpoint_is_told_and_another_folder_is_gone_into(folder: Path) -> None:
    async def steps(pilot: Pilot[None], field: Input) -> None:
        assert "tiny/  checkpoint" in seen(pilot.app)
        field.value = f"{folder}/models"
        await pilot.press("enter")
        await until(pilot, lambda: field.value == f"{folder}/models/")
        field.value = f"{folder}/tiny"
        await pilot.press("enter")

    assert picking(folder, "", steps).picked == [folder / "tiny"]


@pytest.mark.parametrize("typed", ["", "~nobody-of-this-name/x", "\0", "/nothing/at/all", "n" * 5000])
def test_what_leads_nowhere_is_no_error(folder: Path, typed: str) -> None:
    async def steps(pilot: Pilot[None], field: Input) -> None:
        field.value = typed
        await pilot.press("enter")
        await pilot.pause()

    picking(folder, ".gguf", steps)
