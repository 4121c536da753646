"""`g4local import` as a process: what it prints, how it ends, and that what it brought can be run."""

import json
import shutil
from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.test_commands import DEMO, told
from tests.families import Family


def test_a_model_of_one_s_own_is_imported_listed_and_run(g4local: Run, own: Run, own_home: Path) -> None:
    made = own_home / "some where" / "demo-model.gguf"
    made.parent.mkdir()
    assert g4local("convert", str(DEMO), "-o", str(made), "--quant", "Q8_0").returncode == 0
    done = own("import", str(made), "--name", "mine")
    assert done.stdout == f"{own_home}/home/models/mine.gguf\n"
    assert done.stderr.startswith("mine.gguf, ") and f"is linked to {made}" in done.stderr
    listed = json.loads(own("ls", "--json").stdout)["models"]
    assert [each["name"] for each in listed] == ["demo", "mine"]
    assert own("run", "mine", "hello", "-n", "3", "--temp", "0", "--no-save").returncode == 6


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
    assert "no file" in told(own("import", "nothing.gguf"), 3)
    (own_home / "text.gguf").write_text("hello")
    told(own("import", str(own_home / "text.gguf")), 4)
    read_only = own_home / "home"
    shutil.rmtree(read_only, ignore_errors=True)
    read_only.write_text("no folder")
    told(own("import", model), 1)
