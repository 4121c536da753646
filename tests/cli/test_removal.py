"""`g4local rm` and `g4local prune` as processes: what they ask, what they print, what is left."""

import json
import os
import pty
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.backend.prompts import words
from tests.cli.conftest import PROGRAM, Finished, Run
from tests.cli.test_commands import DEMO, told
from tests.families import Family

Asked = Callable[..., Finished]


@pytest.fixture
def models(own: Run, own_home: Path, family: Family) -> Path:
    """The models folder, with a model and what belongs to it."""
    assert own("import", str(family.model), "--copy").returncode == 0
    return own_home / "home" / "models"


@pytest.fixture
def asked(environment: dict[str, str], own_home: Path) -> Asked:
    """Runs the command line at a terminal, at which something was typed."""

    def run(typed: str, *arguments: str) -> Finished:
        ours, theirs = pty.openpty()
        os.write(ours, typed.encode())
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            env={**environment, "G4LOCAL_HOME": str(own_home / "home")},
        )
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # the terminal's end
            while piece := os.read(ours, 4096):
                seen += piece
        stdout, _ = process.communicate(timeout=60)
        os.close(ours)
        return Finished(process.args, process.returncode, stdout, seen.decode().replace("\r\n", "\n"))

    return run


def test_where_nobody_can_be_asked_nothing_is_removed_unless_told(own: Run, models: Path) -> None:
    assert "Nobody can be asked" in told(own("rm", "a"), 2)
    assert len(list(models.iterdir())) == 3
    shown = own("rm", "a", "--dry-run")
    assert shown.stdout.count("would remove ") == 3 and len(list(models.iterdir())) == 3
    done = own("rm", "a", "--yes")
    assert done.returncode == 0 and done.stdout.count("removed ") == 3
    assert done.stderr == "11.3 MB are free now.\n"
    assert list(models.iterdir()) == []
    told(own("rm", "a", "--yes"), 3)


@pytest.mark.parametrize(("typed", "left", "code"), [("y\n", 0, 0), ("n\n", 3, 1), ("\n", 3, 1), ("maybe\n", 3, 1)])
def test_a_person_is_asked_and_sees_what_goes(asked: Asked, models: Path, typed: str, left: int, code: int) -> None:
    done = asked(typed, "rm", "a")
    assert f"{models}/b.gguf  towers, 7.7 MB, fits no other model here" in done.stderr
    assert "Remove these (11.3 MB)? [y]es, [n]o: " in done.stderr
    assert (done.returncode, len(list(models.iterdir()))) == (code, left)
    assert ("Nothing was removed." in done.stderr) == bool(left)


def test_a_name_can_not_pass_for_a_line_or_steer_the_terminal(asked: Asked, own: Run, models: Path) -> None:
    (models / "a.gguf").rename(models / "a\nhome  model, 1 B\x1b[31m.gguf")
    done = asked("y\n", "rm", "a\nhome  model, 1 B\x1b[31m")
    assert "a␊home  model, 1 B␛[31m.gguf  model, 3.3 MB" in done.stderr
    assert done.stdout.count("\n") == 3 and "␊" in done.stdout


def test_a_script_gets_one_object(own: Run, models: Path) -> None:
    result = json.loads(own("rm", "a", "--yes", "--json").stdout)
    assert (result["schema"], result["dry_run"]) == ("g4local.rm/1", False)
    assert [(Path(each["path"]).name, each["kind"]) for each in result["removed"]] == [
        ("a.gguf", "model"),
        ("b.gguf", "mmproj"),
        ("c.gguf", "drafter"),
    ]
    assert result["bytes"] == sum(each["bytes"] for each in result["removed"]) > 11_000_000


def test_prune_takes_what_nothing_uses_and_tells_of_links_to_nowhere(own: Run, models: Path, tmp_path: Path) -> None:
    assert own("prune").stderr == "There is nothing that nothing uses.\n"
    (models / "a.gguf").unlink()
    (models / "far.gguf").symlink_to(tmp_path / "unplugged")
    (models / "x.gguf.part").write_bytes(b"GGUF")
    assert "Nobody can be asked" in told(own("prune"), 2)
    result = json.loads(own("prune", "--dry-run", "--json").stdout)
    assert (result["schema"], result["dry_run"]) == ("g4local.prune/1", True)
    done = own("prune", "--yes")
    assert [line.split("/")[-1].split()[0] for line in done.stdout.splitlines()] == ["x.gguf.part"]
    assert "far.gguf leads to a file that is not there now" in done.stderr
    assert own("rm", "far", "--yes").returncode == 0
    assert json.loads(own("prune", "--yes", "--json").stdout)["bytes"] > 7_900_000
    assert list(models.iterdir()) == []


def test_snapshots_of_a_model_go_with_the_prune_after_its_rm(g4local: Run, own: Run, own_home: Path) -> None:
    made = own_home / "made.gguf"
    g4local("convert", str(DEMO), "-o", str(made), "--quant", "Q8_0")
    own("import", str(made), "--move", "--name", "mine")
    assert own("run", "mine", "-n", "2", "--seed", "1", f"What is this? {words(4, 120)}").returncode == 6
    (folder,) = (own_home / "home" / "cache" / "snapshots").iterdir()
    assert json.loads(own("prune", "--dry-run", "--json").stdout)["removed"] == []
    own("rm", "mine", "--yes")
    (removed,) = json.loads(own("prune", "--yes", "--json").stdout)["removed"]
    assert (removed["kind"], removed["path"]) == ("snapshots", str(folder))
    assert not folder.exists()
