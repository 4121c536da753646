"""`g4local fit` for people and for programs, and loads that are refused because they can't fit."""

import json
from pathlib import Path
from threading import Event

import pytest

from g4convert.convert import Options, convert
from g4local import catalog, planner
from g4local.cli.fit import _known
from g4local.core.progress import silent
from tests import checkpoints
from tests.cli.conftest import Run
from tests.conftest import ROOT
from tests.convert import rewriting


def fitted(g4local: Run, *arguments: str) -> dict[str, object]:
    finished = g4local("fit", *arguments, "--json")
    assert (finished.returncode, finished.stderr) == (0, "")
    answer: dict[str, object] = json.loads(finished.stdout)
    assert answer["schema"] == "g4local.fit/1"
    return answer


@pytest.mark.parametrize(
    "arguments", [(), ("e2b",), ("31b", "--ctx", "0"), ("demo",), ("26B-A4B", "-q", "q8_0"), ("26b",)]
)
def test_it_fits_on_a_terminal(g4local: Run, arguments: tuple[str, ...]) -> None:
    finished = g4local("fit", *arguments)
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = finished.stdout.splitlines()
    assert len(lines) > 4 and max(map(len, lines)) <= 80


def test_without_a_model_it_compares_the_sizes(g4local: Run) -> None:
    lines = g4local("fit", "-q", "Q4_0").stdout.splitlines()
    assert [line.split()[0] for line in lines[-5:]] == list(planner.SIZES)
    assert [line.split()[1] for line in lines[-5:]] == ["Q4_0"] * 5


@pytest.mark.parametrize(
    ("name", "size", "quant"),
    [("26b", "26b-a4b", "Q4_K_M"), ("e2b:q8_0", "e2b", "Q8_0"), ("google/gemma-4-12b-it:bf16", "12b", "BF16")],
)
def test_every_name_that_can_be_pulled_is_planned(g4local: Run, name: str, size: str, quant: str) -> None:
    assert fitted(g4local, name)["bytes"] == fitted(g4local, size, "-q", quant)["bytes"]


def test_all_names_of_the_catalog_are_known() -> None:
    assert all(_known(name)[0] in planner.SIZES for name in catalog.names())


def test_a_program_gets_bytes(g4local: Run) -> None:
    answer = fitted(g4local, "e2b", "--ctx", "max", "--lazy-ple", "on")
    need = answer["need"]
    assert isinstance(need, dict) and sum(need.values()) == answer["bytes"]
    assert answer["context"] == answer["largest_context"] or answer["fits"] != "yes"
    table = answer["table"]
    assert isinstance(table, list)
    assert {(row["quant"], row["kv_type"]) for row in table} >= {("Q4_0", "f16"), ("BF16", "q8_0")}


def test_a_gguf_is_what_its_checkpoint_was_planned_to_be(g4local: Run, tmp_path: Path) -> None:
    convert(ROOT / "g4local" / "demo", tmp_path / "m.gguf", "Q8_0", silent, Event(), Options(threads=1))
    planned, real = fitted(g4local, "demo"), fitted(g4local, str(tmp_path / "m.gguf"))
    assert planned["need"] == real["need"] and real["quant"] == "Q8_0"
    first = rewriting.write(tmp_path / "m.gguf", tmp_path / "parts-{:05}-of-00002.gguf", parts=2)
    assert fitted(g4local, str(first))["need"] == real["need"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("e3b",), 3),
        (("e2b:q8_0", "-q", "q4_0"), 2),
        (("e2b", "--quant", "Q9"), 2),
        (("e2b", "--ctx", "200000"), 2),
        (("e2b", "--kv-type", "q1"), 2),
    ],
)
def test_nonsense_is_told(g4local: Run, arguments: tuple[str, ...], code: int) -> None:
    finished = g4local("fit", *arguments)
    assert finished.returncode == code
    assert "rror: " in finished.stderr and "Traceback" not in finished.stderr


def test_a_load_that_can_not_fit_is_refused_with_a_way_out(g4local: Run, tmp_path: Path) -> None:
    source = checkpoints.write(tmp_path / "big", checkpoints.make("dense", max_position_embeddings=2**30))
    convert(source, tmp_path / "big.gguf", "BF16", silent, Event(), Options(threads=1))
    finished = g4local("run", str(tmp_path / "big.gguf"), "hi", "--ctx", "0")
    assert finished.returncode == 4
    error, hint = finished.stderr.splitlines()
    assert "of memory with 1,073,741,824 tokens of context" in error
    assert "--ctx" in hint and "--force-load" in hint


@pytest.mark.parametrize(
    "flags", [("--ctx", "max"), ("--kv-type", "q8_0"), ("--gpu-layers", "auto"), ("--force-load",)]
)
def test_flags_of_loading_do_as_they_say(g4local: Run, flags: tuple[str, ...]) -> None:
    finished = g4local("run", "demo", "hi", "-n", "2", "--temp", "0", *flags)
    assert finished.stdout and finished.returncode == 6


@pytest.mark.parametrize("flags", [("--ctx", "most"), ("--ctx", "-1"), ("--gpu-layers", "-2"), ("--gpu-layers", "x")])
def test_flags_that_are_no_numbers_are_refused(g4local: Run, flags: tuple[str, ...]) -> None:
    assert g4local("run", "demo", "hi", *flags).returncode == 2
