"""`g4local import` as a process: what it prints, how it ends, and that what it brought can be run."""

import json
import shutil
from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.test_commands import DEMO, told
from tests.families import Family


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
