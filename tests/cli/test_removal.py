"""`g4local rm` and `g4local prune` as processes: what they ask, what they print, what is left."""

import fcntl
import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from g4local import library, removing
from g4local.cli import app
from g4local.removing import Leaving
from g4local.settings import paths
from tests.backend.prompts import words
from tests.cli.conftest import PROGRAM, Run
from tests.cli.terminals import Terminal
from tests.cli.test_commands import told
from tests.families import Family

Asked = Callable[..., tuple[int, str]]


@pytest.fixture
def asked(environment: dict[str, str], own_home: Path) -> Asked:
    """Runs the command line at a terminal, at which its question is answered: its exit code, and what was seen."""

    def run(typed: str, *arguments: str) -> tuple[int, str]:
        terminal = Terminal([*PROGRAM, *arguments], {**environment, "G4LOCAL_HOME": str(own_home / "home")})
        with closing(terminal):
            terminal.wait_for("[y]es, [n]o: ")
            terminal.type(typed, clear=False)
            return terminal.ended(), terminal.screen.replace("\r\n", "\n")

    return run


def test_where_nobody_can_be_asked_nothing_is_removed_unless_told(own: Run, stocked: Path) -> None:
    assert "Nobody can be asked" in told(own("rm", "a"), 2)
    assert len(list(stocked.iterdir())) == 3
    shown = own("rm", "a", "--dry-run")
    assert shown.stdout.count("would remove ") == 3 and len(list(stocked.iterdir())) == 3
    done = own("rm", "a", "--yes")
    assert done.returncode == 0 and done.stdout.count("removed ") == 3
    assert done.stderr == "11.3 MB freed.\n"
    assert list(stocked.iterdir()) == []


@pytest.mark.parametrize(("typed", "left", "code"), [("y\n", 0, 0), ("\n", 3, 1), ("maybe\n", 3, 1)])
def test_a_person_is_asked_and_sees_what_goes(asked: Asked, stocked: Path, typed: str, left: int, code: int) -> None:
    found, screen = asked(typed, "rm", "a")
    assert f"{stocked}/b.gguf  towers, 7.7 MB, fits no other model here" in screen
    assert "Remove these (11.3 MB)? [y]es, [n]o: " in screen
    assert (found, len(list(stocked.iterdir()))) == (code, left)
    assert ("Nothing was removed." in screen) == bool(left)


def test_a_name_can_not_pass_for_a_line_or_steer_the_terminal(asked: Asked, stocked: Path) -> None:
    (stocked / "a.gguf").rename(stocked / "a\nhome  model, 1 B\x1b[31m.gguf")
    _, screen = asked("y\n", "rm", "a\nhome  model, 1 B\x1b[31m")
    assert screen.count("a␊home  model, 1 B␛[31m.gguf  model, 3.3 MB") == 2, "in the question, and when it is done"


def test_a_script_gets_one_object(own: Run, stocked: Path) -> None:
    result = json.loads(own("rm", "a", "--yes", "--json").stdout)
    assert (result["schema"], result["dry_run"]) == ("g4local.rm/1", False)
    assert [(Path(each["path"]).name, each["kind"]) for each in result["removed"]] == [
        ("a.gguf", "model"),
        ("b.gguf", "mmproj"),
        ("c.gguf", "drafter"),
    ]
    assert result["bytes"] == sum(each["bytes"] for each in result["removed"]) > 11_000_000


def test_of_a_link_nothing_is_freed(own: Run, own_home: Path, family: Family) -> None:
    assert own("import", str(family.model), "--no-sidecars").returncode == 0
    done = own("rm", "a", "--yes")
    assert "only the link goes" in done.stdout and "freed" not in done.stderr
    assert family.model.exists()


def test_prune_takes_what_nothing_uses_and_tells_of_links_to_nowhere(own: Run, stocked: Path, tmp_path: Path) -> None:
    (stocked / "far.gguf").symlink_to(tmp_path / "unplugged")
    (stocked / "x.gguf.part").write_bytes(b"GGUF")
    assert "Nobody can be asked" in told(own("prune"), 2)
    result = json.loads(own("prune", "--dry-run", "--json").stdout)
    assert (result["schema"], result["dry_run"], result["bytes"]) == ("g4local.prune/1", True, 4)
    done = own("prune", "--yes")
    assert [line.split("/")[-1].split()[0] for line in done.stdout.splitlines()] == ["x.gguf.part"]
    assert "far.gguf leads to a file that is not there now" in done.stderr
    assert len(list(stocked.iterdir())) == 4


def test_what_somebody_writes_after_all_stays_and_does_not_count(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = library.models_folder(paths(os.environ))
    listed = removing.unused

    def prune(*arguments: str) -> tuple[str, str]:
        for name, nbytes in (("a.gguf.part", 1000), ("b.gguf.part", 2000)):
            (models / name).write_bytes(bytes(nbytes))
        with (models / "b.gguf.part").open("rb") as file:

            def late(*arguments: Any) -> list[Leaving]:
                found = listed(*arguments)
                fcntl.flock(file, fcntl.LOCK_EX)
                return found

            monkeypatch.setattr(removing, "unused", late)
            app(["prune", "--yes", *arguments], standalone_mode=False)
        return capsys.readouterr()

    out, err = prune()
    assert "a.gguf.part" in out and "b.gguf.part" not in out
    assert "b.gguf.part stays" in err and "1.0 kB freed." in err
    assert json.loads(prune("--json")[0])["bytes"] == 1000


def test_snapshots_go_with_the_prune_after_their_model_has_gone(own: Run, own_home: Path) -> None:
    cache = own_home / "home" / "cache"
    assert own("run", "demo", "-n", "2", "--seed", "1", f"What is this? {words(4, 120)}").returncode == 6
    (folder,) = (cache / "snapshots").iterdir()
    (made,) = (cache / "converted").iterdir()
    made.rename(own_home / "home" / "moved.gguf")
    (removed,) = json.loads(own("prune", "--yes", "--json").stdout)["removed"]
    assert (removed["kind"], removed["path"]) == ("snapshots", str(folder))
    assert not folder.exists()
