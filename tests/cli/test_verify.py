"""`g4local verify` as a process."""

import json
from pathlib import Path

from g4local import hashing
from tests.cli.conftest import Run
from tests.families import Family


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


def test_what_is_looked_at_first_has_nothing_to_be_compared_with(own: Run, stocked: Path, tmp_path: Path) -> None:
    (stocked.parent / "cache" / hashing.MEMO).unlink()
    assert own("verify").stdout.count("first look: nothing to compare with") == 3
    assert own("verify").stdout.count("as before") == 3


def test_what_was_unpacked_has_to_be_as_it_was_packed(own: Run, family: Family, tmp_path: Path) -> None:
    assert own("pack", str(family.model), str(tmp_path / "stick")).returncode == 0
    assert own("unpack", str(tmp_path / "stick")).returncode == 0
    model = tmp_path / "home" / "models" / "a.gguf"
    assert own("verify").stdout.count("as it was packed") == 3
    assert "a.gguf" in own("ls").stdout or "KNOWN AS" not in own("ls").stdout
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    done = own("verify")
    assert done.returncode == 4 and "with which it was packed" in done.stderr
    assert own("rm", "a", "--yes").returncode == 0
    assert own("import", "--copy", str(family.drafter), "--name", "a").returncode in (0, 2)
    model.write_bytes(content)
    assert own("verify", "a").returncode == 0
