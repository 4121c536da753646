"""`g4local import` as a process: what it prints, how it ends, and that what it brought can be run."""

import json
import shutil
from pathlib import Path

import pytest

from g4local import pins
from g4local.cli import app
from g4local.pins import Pin
from g4local.releases import Release
from tests.cli.conftest import Run
from tests.cli.test_commands import DEMO, told
from tests.families import Family
from tests.outputs import checked


def test_a_model_of_one_s_own_is_imported_and_run(own: Run, family: Family, own_home: Path) -> None:
    made = own_home / "some where" / "a model.gguf"
    made.parent.mkdir()
    shutil.copy(family.model, made)
    done = own("import", str(made), "--name", "mine")
    assert done.stdout == f"{own_home}/home/models/mine.gguf\n"
    assert done.stderr == f"mine.gguf, 3.3 MB, is linked to {made}\n"
    assert own("run", "mine", "hello", "-n", "3", "--ctx", "256", "--temp", "0", "--no-save").returncode == 6


def test_a_script_gets_one_object(own: Run, family: Family) -> None:
    done = own("import", str(family.model), "--json")
    assert done.returncode == 0 and done.stderr == ""
    result = json.loads(done.stdout)
    assert result["schema"] == "g4local.import/1"
    assert [(each["kind"], each["way"], each["fits"]) for each in result["files"]] == [
        ("model", "link", []),
        ("drafter", "link", ["a"]),
        ("mmproj", "link", ["a"]),
    ]
    assert result["files"][0]["source"] == str(family.model)


def test_towers_for_no_model_here_are_told_so(own: Run, family: Family) -> None:
    done = own("import", str(family.towers), "--copy")
    assert "is a copy of" in done.stderr and "towers for no model that is here" in done.stderr


def test_what_makes_no_sense_is_one_sentence(own: Run, family: Family, own_home: Path) -> None:
    model = str(family.model)
    assert "two ways" in told(own("import", model, "--copy", "--move"), 2)
    assert "is a folder" in told(own("import", str(DEMO)), 2)
    read_only = own_home / "home"
    shutil.rmtree(read_only, ignore_errors=True)
    read_only.write_text("no folder")
    told(own("import", model), 1)


def test_a_release_is_told_and_what_may_be_one(
    known_release: Release, family: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["import", str(family.model), "--no-sidecars", "--name"]
    app([*ask, "linked"], standalone_mode=False)
    repo = known_release.entry.repo
    told = f"It has as many bytes as e2b:qat-q4_0 of {repo}; `g4local verify linked` tells whether it is that.\n"
    assert capsys.readouterr().err.endswith(told)
    app([*ask, "copied", "--copy"], standalone_mode=False)
    assert f"It is {known_release.told}: e2b:qat-q4_0 finds it.\n" in capsys.readouterr().err
    app([*ask, "again", "--copy", "--json"], standalone_mode=False)
    assert checked(capsys.readouterr().out)["files"][0]["release"] == "e2b:qat-q4_0"


def test_what_a_file_is_known_as_is_shown(own: Run, family: Family, own_home: Path) -> None:
    assert own("import", str(family.model), "--name", "mine").returncode == 0
    assert "KNOWN AS" not in own("ls").stdout
    assert "known as" not in own("show", "mine").stdout
    nbytes = family.model.stat().st_size
    pin = Pin("mine.gguf", "google/x-gguf", "x_q4_0.gguf", "", nbytes, "0" * 64, "e2b", "QAT-Q4_0")
    pins.remember(own_home / "home" / "models", [pin])
    head, *rows = own("ls").stdout.splitlines()
    assert head.endswith("KNOWN AS") and [row.split()[-1] for row in rows] == ["-", "e2b:qat-q4_0"]
    shown = own("show", "e2b").stdout
    assert "\nknown as " in shown and " google/x-gguf/x_q4_0.gguf\n" in shown
    assert checked(own("show", "mine", "--json").stdout)["origin"] == {
        "known_as": "e2b:qat-q4_0", "repo": "google/x-gguf", "file": "x_q4_0.gguf", "commit": None, "sha256": "0" * 64,
    }  # fmt: skip
    assert [each["known_as"] for each in checked(own("ls", "--json").stdout)["models"]] == [None, "e2b:qat-q4_0"]
