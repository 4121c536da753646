"""How the models screen looks, and what its dialogs hand on."""

import os
import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from g4local import library, planner
from g4local.backend.fit.fitting import Resources
from g4local.core.errors import G4Error
from g4local.core.progress import Progress
from g4local.opening.request import Request
from g4local.settings import paths
from g4tui.jobs import Jobs, Outcome
from g4tui.screens.dialog import Dialog
from g4tui.widgets.job_list import JobList
from g4tui.widgets.model_table import ModelTable
from g4tui.widgets.notice import Notice
from tests.conftest import Tiny
from tests.tui.conftest import Picture
from tests.tui.pilots import drive, seen, until
from tests.tui.shelves import CATALOG, Shelf, looked, mark, names, on_shelf
from tests.tui.shelves import roomy as roomy
from tests.tui.shelves import shelf as shelf


def test_a_model_is_loaded_as_it_was_asked_for(shelf: Path, tiny: Tiny) -> None:
    shutil.copy(tiny("dense", "Q8_0"), shelf / "mine.gguf")

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await mark(pilot, "mine")
        await pilot.press("enter")
        await until(pilot, lambda: "Load mine" in seen(app))
        app.screen.query_one("#ctx", Input).value = "nonsense"
        await until(pilot, lambda: "is a number of tokens or max" in seen(app))
        await pilot.press("enter")
        assert app.wanted == []
        app.screen.query_one("#ctx", Input).value = "2048"
        app.screen.query_one("#kv").focus()
        await pilot.press("right", "down", "right", "down", *"-1", "down", "left", "right")
        await until(pilot, lambda: "2,048 tokens: fits" in seen(app))
        app.screen.query_one("#yes").focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.wanted)

    app = Shelf()
    drive(app, steps)
    (request,) = app.wanted
    assert request == Request("mine", ctx=2048, kv_type="q8_0", lazy_ple="on", gpu_layers=-1, draft="ngram")


def test_a_model_is_named_by_its_path_where_something_else_has_its_name(
    shelf: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(tiny("dense", "Q8_0"), shelf / "mine.gguf")
    (tmp_path / "elsewhere" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await mark(pilot, "mine")
        await pilot.press("l", "enter")
        await until(pilot, lambda: app.wanted)

    app = Shelf()
    drive(app, steps)
    assert library.find(app.wanted[0].model, paths(os.environ)).path == shelf / "mine.gguf"


def test_one_that_does_not_fit_says_what_would(shelf: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "resources", lambda: Resources(50_000_000))
    shutil.copy(tiny("dense", "BF16"), shelf / "mine.gguf")

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await mark(pilot, "mine")
        await pilot.press("l")
        await until(pilot, lambda: "too much" in seen(app))
        assert "smaller quant" in seen(app)

    app = Shelf()
    drive(app, steps)


def _jobs() -> Jobs:
    """A job in each state, with numbers that no clock has a part in."""
    jobs = Jobs(3)
    half = jobs.add("pull", "owner/gemma-4-half-GGUF:Q8_0").begun()
    for second in range(4):
        half = half.advanced(Progress("download", 400_000_000 + 12_000_000 * second, 900_000_000, "bytes"), second)
    jobs.change(half)
    paused = jobs.add("pull", "e2b:qat-q4_0").begun().advanced(Progress("download", 620, 1000, "bytes"), 0.0)
    jobs.change(paused.stopped())
    jobs.change(jobs.add("verify", "mine").ended(Outcome("whole: as it came")))
    return jobs


@pytest.mark.parametrize(("width", "heads"), [(40, 3), (60, 5), (80, 6), (200, 9)])
def test_every_line_fits_whatever_the_width_and_the_verdict_stays(shelf: Path, width: int, heads: int) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await until(pilot, lambda: "fits" in seen(app))
        table = on_shelf(pilot).query_one(ModelTable)
        await until(pilot, lambda: len(names(pilot)) == CATALOG + 1)
        await until(pilot, lambda: table.query_one(OptionList).virtual_size.height == CATALOG + 3)
        (line,) = [line for line in seen(app).splitlines() if "MODEL" in line]
        shown = line.split("│")[0].split()
        assert shown[0] == "MODEL" and "FITS" in shown and len(shown) == heads

    app = Shelf()
    drive(app, steps, (width, 24))


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
@pytest.mark.parametrize("theme", ["textual-dark", "ansi-dark"])
def test_the_screen_looks_so(shelf: Path, picture: Picture, size: tuple[int, int], theme: str) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        app.theme = theme
        await looked(pilot)
        await until(pilot, lambda: len(names(pilot)) == CATALOG + 1)
        screen = on_shelf(pilot)
        screen._jobs = _jobs()
        screen.query_one(JobList).show(screen._jobs.shown)
        screen.query_one(Notice).tell(G4Error("The hub has no owner/none, or does not show it to you.", "Check it."))
        await mark(pilot, "e2b:q8_0")
        await pilot.pause()
        await picture(pilot, "models")
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        app.screen.query_one("#told").display = False  # the disk's free room
        await pilot.pause()
        await picture(pilot, "models-pull")

    app = Shelf()
    drive(app, steps, size)
