"""`convert` of checkpoints that see and hear, and of drafters: two files, and which of them are models."""

import json
from pathlib import Path

import pytest

from tests import checkpoints, media_checkpoints
from tests.cli.conftest import Finished, Run

MODEL, TOWERS = "tiny-it-Q8_0.gguf", "mmproj-tiny-it-BF16.gguf"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media_checkpoints.write(tmp_path_factory.mktemp("towers") / "tiny-it", media_checkpoints.make("standard"))


def said(finished: Finished, code: int) -> str:
    assert finished.returncode == code, finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.stderr


def test_towers_go_beside_the_model_and_only_the_model_is_one(
    g4local: Run, folder: Path, environment: dict[str, str]
) -> None:
    finished = g4local("convert", str(folder), "-q", "Q8_0")
    models = Path(environment["G4LOCAL_HOME"]) / "models"
    assert finished.stdout.splitlines() == [str(models / MODEL), str(models / TOWERS)]
    assert "tiny-it-Q8_0" in g4local("ls", "-q").stdout.split()
    assert "mmproj" not in g4local("ls").stdout
    error = said(g4local("run", Path(TOWERS).stem, "hi"), 4)
    assert "is the part of a model that sees and hears" in error
    assert json.loads(g4local("show", TOWERS, "--json").stdout)["keys"]["general.type"] == "mmproj"
    assert said(g4local("convert", str(folder), "-q", "Q8_0"), 2).startswith(f"error: {models / MODEL} is there")
    (models / MODEL).unlink()
    assert said(g4local("convert", str(folder), "-q", "Q8_0"), 2).startswith(f"error: {models / TOWERS} is there")
    assert not (models / MODEL).exists()
    done = json.loads(g4local("convert", str(folder), "-q", "Q8_0", "--force", "--json").stdout)
    assert (done["path"], done["mmproj"]["path"]) == (str(models / MODEL), str(models / TOWERS))
    assert done["mmproj"]["bytes"] == (models / TOWERS).stat().st_size
    for path in (MODEL, TOWERS):
        (models / path).unlink()


def test_both_plans_are_printed_and_nothing_written(g4local: Run, folder: Path, tmp_path: Path) -> None:
    plan = json.loads(g4local("convert", str(folder), "--plan", "--json", "--mmproj-type", "f16", cwd=tmp_path).stdout)
    assert (plan["quant"], plan["mmproj"]["quant"]) == ("Q4_K_M", "F16")
    table = g4local("convert", str(folder), "--plan", cwd=tmp_path).stdout.splitlines()
    assert len(table) == len(plan["tensors"]) + len(plan["mmproj"]["tensors"]) + 3
    assert (
        "mmproj" in plan
        and json.loads(g4local("convert", str(folder), "--plan", "--json", "--no-mmproj").stdout)["mmproj"] is None
    )
    assert list(tmp_path.iterdir()) == []


def test_towers_are_left_out_on_request_and_named_after_the_model_s_file(
    g4local: Run, folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "mine-Q8_0.gguf"
    assert g4local("convert", str(folder), "-q", "Q8_0", "-o", str(target), "--no-mmproj").returncode == 0
    assert list(tmp_path.iterdir()) == [target]
    finished = g4local("convert", str(folder), "-q", "Q8_0", "-o", str(target), "-f", "--mmproj-type", "Q8_0")
    assert finished.stdout.splitlines() == [str(target), str(tmp_path / "mmproj-mine-Q8_0.gguf")]


def test_what_is_announced_but_not_there_is_warned_of(g4local: Run, tmp_path: Path) -> None:
    blind = media_checkpoints.make("tower")
    blind.tensors = {name: values for name, values in blind.tensors.items() if "language_model" in name}
    folder = media_checkpoints.write(tmp_path / "blind", blind)
    target = tmp_path / "out.gguf"
    finished = g4local("convert", str(folder), "-q", "Q8_0", "-o", str(target), "--json")
    warning = "config.json announces images and sound, but the checkpoint has no tensors for that: only text will work."
    assert warning in said(finished, 0)
    done = json.loads(finished.stdout)
    assert done["warnings"] == [warning]
    assert done["mmproj"] is None
    assert "no towers" in said(g4local("convert", str(folder), "-o", str(tmp_path / "more.gguf"), "--mmproj"), 2)
    assert not (tmp_path / "more.gguf").exists()


def test_a_drafter_is_converted_but_is_no_model(g4local: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    drafter = media_checkpoints.make_drafter(checkpoints.make("dense"))
    folder = checkpoints.write(tmp_path / "tiny-it-assistant", drafter)
    path = Path(g4local("convert", str(folder), "-q", "Q8_0").stdout.strip())
    assert path == Path(environment["G4LOCAL_HOME"]) / "models" / "tiny-it-assistant-Q8_0.gguf"
    assert "assistant" not in g4local("ls").stdout
    assert "is a drafter" in said(g4local("run", path.stem, "hi"), 4)
    path.unlink()
