"""`g4local verify` as a process."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_a_copy_is_known_from_its_copying_and_what_differs_is_named(own: Run, stocked: Path) -> None:
    done = own("verify")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["FILE", "a.gguf", "b.gguf", "c.gguf"]
    assert done.stdout.count("as before") == 3
    assert "a.gguf carries a template that is not Google's; the built-in July one is used." in done.stderr
    with (stocked / "b.gguf").open("r+b") as file:
        file.truncate(9000)
    done = own("verify", "--json")
    assert done.returncode == 4 and done.stderr == ""
    result = json.loads(done.stdout)
    assert (result["schema"], result["ok"]) == ("g4local.verify/1", False)
    assert {each["name"]: each["ok"] for each in result["files"]} == {"a.gguf": True, "b.gguf": False, "c.gguf": True}
    done = own("verify")
    assert done.returncode == 4 and "warning: b.gguf can't be used: " in done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("b.gguf")]
    assert line.split()[-1] == "differs"


def test_where_there_is_no_model_nothing_differs(own: Run) -> None:
    done = own("verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "There is no model in the models folder.\n")
