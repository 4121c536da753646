"""The models screen by keys: what it shows, jobs from their beginning to their end, and what becomes of errors."""

import os
import shutil
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from g4local import library
from g4local.core import offline
from g4local.core.errors import G4Error
from g4local.settings import paths
from g4tui.jobs import Outcome
from g4tui.screens.convert_dialog import ConvertDialog
from g4tui.screens.dialog import Dialog
from g4tui.widgets.job_list import JobList
from g4tui.widgets.model_table import ModelTable
from g4tui.widgets.notice import Notice
from g4tui.workers import models
from g4tui.workers.models import Pull
from tests import checkpoints
from tests.conftest import Tiny
from tests.families import Family
from tests.hubs import Hub, noise
from tests.tui.pilots import drive, seen, typed, until
from tests.tui.shelves import CATALOG, Shelf, jobs, looked, mark, names, on_shelf, over, pull, states
from tests.tui.shelves import roomy as roomy
from tests.tui.shelves import shelf as shelf


def test_what_is_here_comes_first_and_all_of_the_catalog_follows(shelf: Path, tiny: Tiny) -> None:
    shutil.copy(tiny("ple", "Q8_0"), shelf / "mine.gguf")

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await until(pilot, lambda: len(names(pilot)) == CATALOG + 2)
        assert names(pilot)[:3] == ["demo", "mine", "e2b:qat-q4_0"]
        await until(pilot, lambda: "On this machine" in seen(app) and "To pull" in seen(app))
        assert "mine" in seen(app) and "fits" in seen(app)

    app = Shelf()
    drive(app, steps)


def test_words_that_are_typed_filter_names_verdicts_and_places(shelf: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await typed(pilot, "/pull bf")
        table = on_shelf(pilot).query_one(ModelTable)
        await until(pilot, lambda: [line.row.name for line in table._lines] == ["12b:bf16", "31b:bf16"])
        await pilot.press("escape")
        await until(pilot, lambda: len(table._lines) == CATALOG + 1)
        await typed(pilot, "/no 31")
        await until(pilot, lambda: [line.row.name for line in table._lines] == ["31b:q8_0", "31b:bf16"])

    drive(Shelf(), steps)


def test_a_longer_context_takes_more_and_fits_less(shelf: Path) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await until(pilot, lambda: "context 4,096" in seen(app))
        screen = on_shelf(pilot)
        before = {line.row.name: line.fit for line in screen.query_one(ModelTable)._lines}
        await pilot.press(*("plus",) * 9)
        await until(pilot, lambda: "context 262,144" in seen(app))
        after = {line.row.name: line.fit for line in screen.query_one(ModelTable)._lines}
        assert before["31b:q4_k_m"].verdict == "tight" and after["31b:q4_k_m"].verdict == "no"
        assert after["e2b:q8_0"].setting.context == 131072
        await pilot.press("minus")
        await until(pilot, lambda: "context 131,072" in seen(app))

    app = Shelf()
    drive(app, steps)


def test_a_pull_is_paused_and_goes_on_where_it_was(shelf: Path, here: Hub, tiny: Tiny) -> None:
    content = here.put("owner/tiny-gemma-GGUF", "gemma-Q8_0.gguf", tiny("ple", "Q8_0").read_bytes())
    here.rate(200_000)

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await pull(pilot, "owner/tiny-gemma-GGUF")
        await until(pilot, lambda: jobs(pilot) and jobs(pilot)[0].progress and jobs(pilot)[0].progress.done > 100_000)
        await pilot.press("space")
        await until(pilot, lambda: states(pilot) == ["paused"])
        assert "paused at" in seen(app)
        (part,) = shelf.glob("*.part")
        kept = part.stat().st_size
        assert 100_000 < kept < len(content)
        sent = here.sent()
        here.rate(0)
        assert here.sent() == 0  # the count begins anew
        await pilot.press("space")
        await over(pilot)
        assert states(pilot) == ["done"]
        assert here.sent() == len(content) - kept and sent >= kept
        await until(pilot, lambda: "gemma-Q8_0" in names(pilot))
        assert (shelf / "gemma-Q8_0.gguf").read_bytes() == content

    app = Shelf()
    drive(app, steps)


def test_a_paused_pull_can_be_given_up_and_what_came_is_told_as_unfinished(shelf: Path, here: Hub) -> None:
    here.put("owner/some-gemma-GGUF", "gemma-Q8_0.gguf", noise(4_000_000))
    here.rate(200_000)

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await pull(pilot, "owner/some-gemma-GGUF")
        await until(pilot, lambda: jobs(pilot)[0].progress and jobs(pilot)[0].progress.done > 100_000)
        on_shelf(pilot).query_one(JobList).focus()
        await pilot.press("space")
        await until(pilot, lambda: states(pilot) == ["paused"])
        await pilot.press("x")
        await until(pilot, lambda: states(pilot) == ["failed"])
        assert "given up" in seen(app)
        await until(pilot, lambda: library.left_over(paths(os.environ)))  # its connection has ended, too
        await pilot.press("r")
        await until(pilot, lambda: "unfinished" in seen(app))

    app = Shelf()
    drive(app, steps)


def test_several_pulls_come_at_once_and_the_others_wait(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = Event()

    def slow(wanted: Any, report: Any, cancel: Any) -> Outcome:
        go_on.wait(60)
        return Outcome("is here")

    monkeypatch.setattr(models, "pull", slow)

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        for number in range(4):
            on_shelf(pilot)._pull(Pull(f"owner/{number}"))
        assert states(pilot) == ["waiting", "running", "running", "running"]
        await until(pilot, lambda: "waits for the others" in seen(app))
        go_on.set()
        await over(pilot)
        assert states(pilot) == ["done"] * 4

    app = Shelf()
    drive(app, steps)


def test_what_can_not_be_pulled_is_a_sentence_that_stays(shelf: Path, here: Hub) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await pull(pilot, "owner/nothing-GGUF")
        await over(pilot)
        assert states(pilot) == ["failed"]
        await until(pilot, lambda: "The hub has no owner/nothing-GGUF" in seen(app))
        assert "HF_TOKEN" in seen(app)
        await pilot.press("escape")
        await until(pilot, lambda: not on_shelf(pilot).query_one(Notice).display)
        await pilot.press("backspace")
        await until(pilot, lambda: not jobs(pilot))
        assert not app.has_left
        await pilot.press("escape")
        await until(pilot, lambda: app.has_left)

    app = Shelf()
    drive(app, steps)


def test_offline_the_hub_is_not_asked_and_that_is_said(shelf: Path, here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "is_on", lambda: True)

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await until(pilot, lambda: "offline" in seen(app))
        await mark(pilot, "e2b:q8_0")
        await pilot.press("p")
        await until(pilot, lambda: "only what is here already can be had" in seen(app))
        await pilot.press("enter")
        await over(pilot)
        assert states(pilot) == ["failed"]
        assert "offline" in str(jobs(pilot)[0].error)

    app = Shelf()
    drive(app, steps)
    assert here.log() == []


def test_a_checkpoint_is_converted_after_its_plan_was_shown(shelf: Path, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "tiny-it", checkpoints.make("ple"))

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConvertDialog))
        pilot.app.screen.query_one(Input).value = str(folder)
        await pilot.press("enter")
        await until(pilot, lambda: "tiny-it-Q4_K_M: 147 tensors" in seen(app))
        assert not list(shelf.glob("*"))
        await pilot.press("enter")
        await over(pilot)
        assert states(pilot) == ["done"]
        await until(pilot, lambda: "tiny-it-Q4_K_M" in names(pilot))

    app = Shelf()
    drive(app, steps)
    assert [path.name for path in shelf.glob("*")] == ["tiny-it-Q4_K_M.gguf"]


def test_what_is_no_checkpoint_is_refused_in_the_dialog(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConvertDialog))
        pilot.app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await until(pilot, lambda: "✗" in seen(app))
        assert pilot.app.screen.query_one("#yes").disabled
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is on_shelf(pilot))
        assert jobs(pilot) == []

    app = Shelf()
    drive(app, steps)


def test_a_file_is_imported_with_what_lies_beside_it(shelf: Path, family: Family) -> None:
    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog))
        pilot.app.screen.query_one(Input).value = str(family.model)
        await pilot.press("enter", "enter")
        await over(pilot)
        assert states(pilot) == ["done"]
        await until(pilot, lambda: family.model.stem in names(pilot))
        await mark(pilot, family.model.stem)
        (row,) = [row for row in on_shelf(pilot)._rows if row.name == family.model.stem]
        assert (row.place, {each.kind for each in row.beside}) == ("linked", {"mmproj", "drafter"})

    drive(Shelf(), steps)


def test_a_model_is_verified_and_what_differs_is_told(shelf: Path, tiny: Tiny) -> None:
    shutil.copy(tiny("ple", "Q8_0"), shelf / "mine.gguf")

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await mark(pilot, "mine")
        await pilot.press("v")
        await over(pilot)
        assert "nothing to compare with" in seen(app)
        about = (shelf / "mine.gguf").stat()
        with (shelf / "mine.gguf").open("r+b") as file:
            file.seek(-1, 2)
            last = file.read(1)
            file.seek(-1, 2)
            file.write(bytes([last[0] ^ 1]))
        os.utime(shelf / "mine.gguf", ns=(about.st_atime_ns, about.st_mtime_ns))
        await pilot.press("v")
        await until(pilot, lambda: states(pilot) == ["differs", "done"])
        await until(pilot, lambda: "the disk may be failing" in seen(app).replace("\n", " "))

    app = Shelf()
    drive(app, steps, (120, 40))


def test_nothing_is_removed_before_it_was_shown_and_wanted(shelf: Path, tiny: Tiny) -> None:
    file = shelf / "mine.gguf"
    shutil.copy(tiny("ple", "Q8_0"), file)

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await mark(pilot, "mine")
        await pilot.press("x")
        await until(pilot, lambda: "mine.gguf" in seen(app) and "will be free" in seen(app))
        await pilot.press("enter")  # the button that has the focus keeps it
        await until(pilot, lambda: pilot.app.screen is on_shelf(pilot))
        assert file.exists() and jobs(pilot) == []
        await pilot.press("x")
        await until(pilot, lambda: pilot.app.screen is not on_shelf(pilot))
        await pilot.press("shift+tab", "enter")
        await over(pilot)
        assert states(pilot) == ["done"] and not file.exists()
        await until(pilot, lambda: "mine" not in names(pilot))

    app = Shelf()
    drive(app, steps)


def test_a_name_can_not_forge_the_screen(shelf: Path) -> None:
    (shelf / "[red]x[b]\x1b[31m\u202egnp.gguf").write_bytes(b"nothing")
    (shelf / os.fsdecode(b"no utf-8 \xff.gguf")).write_bytes(b"nothing")

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await until(pilot, lambda: "[red]x[b]␛[31m" in seen(app))
        assert "no utf-8 \ufffd" in seen(app)
        seen(app).encode()
        await pilot.press("down", "x")
        await until(pilot, lambda: pilot.app.screen is not on_shelf(pilot))
        assert "[red]x[b]␛[31m" in seen(app) and "\u202e" not in seen(app)

    app = Shelf()
    drive(app, steps)


def test_a_fault_of_a_job_ends_it_and_not_the_app(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise RuntimeError("not thought of")

    monkeypatch.setattr(models, "pull", broken)

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await pull(pilot, "owner/any-GGUF")
        await over(pilot)
        assert states(pilot) == ["failed"]
        await until(pilot, lambda: "not thought of" in seen(app))

    app = Shelf()
    drive(app, steps)


def test_what_runs_is_stopped_when_the_app_is_left(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    def endless(wanted: Any, report: Any, cancel: Any) -> Any:
        ended.append(cancel.wait(60))
        raise G4Error("left")

    monkeypatch.setattr(models, "pull", endless)

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        await pull(pilot, "owner/any-GGUF")
        await until(pilot, lambda: states(pilot) == ["running"])

    drive(Shelf(), steps)
    assert ended == [True]


def test_with_one_thing_one_thing_is_done_at_a_time(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "pull", lambda wanted, report, cancel: cancel.wait(60) and None)

    async def steps(pilot: Pilot[None]) -> None:
        await looked(pilot)
        for _ in range(2):
            on_shelf(pilot)._pull(Pull("owner/any"))
        assert states(pilot) == ["running"]
        await until(pilot, lambda: "being worked on already" in seen(app))
        await pilot.press("space")
        await until(pilot, lambda: not jobs(pilot)[0].is_open)

    app = Shelf()
    drive(app, steps)
