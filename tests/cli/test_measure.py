"""`imatrix` and `compare` as people and scripts use them."""

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import Popen

import pytest

from g4convert import imatrix
from g4local.backend.measures import SUMMED_CHUNKS
from tests.backend.processes import wait_until
from tests.cli.conftest import Run
from tests.cli.test_commands import DEMO, told


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("The quick brown fox jumps over the lazy dog.\n" * 40, encoding="utf-8")
    return path


def test_a_matrix_is_computed_and_its_path_is_the_answer(
    g4local: Run, environment: dict[str, str], text: Path, tmp_path: Path
) -> None:
    finished = g4local("imatrix", "demo", str(text), "--ctx", "128", cwd=tmp_path)
    assert finished.stdout == "demo.imatrix.gguf\n", finished.stderr
    found = imatrix.read(str(tmp_path / "demo.imatrix.gguf"))
    assert f"{found.chunks} chunks of 128 tokens, {len(found.sums)} weights" in finished.stderr
    assert found.datasets == (str(text),)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.imatrix.gguf", "text.txt"]
    assert not list(Path(environment["G4LOCAL_HOME"]).rglob("*BF16*"))
    told(g4local("imatrix", "demo", str(text), cwd=tmp_path), 2)
    shown = g4local("show", "demo.imatrix.gguf", cwd=tmp_path).stdout
    assert f"importance matrix of {len(found.sums)} weights" in shown and f"{found.chunks} of 128 tokens" in shown
    for command in ("quantize demo.imatrix.gguf", "fit demo.imatrix.gguf", f"compare demo.imatrix.gguf demo {text}"):
        assert "is an importance matrix, and no model" in told(g4local(*command.split(), cwd=tmp_path), 4)
    guided = g4local("convert", str(DEMO), "--imatrix", "demo.imatrix.gguf", "-o", "guided.gguf", cwd=tmp_path)
    assert guided.returncode == 0, guided.stderr
    keys = json.loads(g4local("show", "guided.gguf", "--json", cwd=tmp_path).stdout)["keys"]
    assert keys["quantize.imatrix.chunks_count"] == found.chunks
    finished = g4local("imatrix", "demo", str(text), "--ctx", "128", "--force", "--json", cwd=tmp_path)
    answer = json.loads(finished.stdout)
    assert (answer["path"], answer["chunks"], answer["weights"]) == ("demo.imatrix.gguf", found.chunks, len(found.sums))
    assert list(answer["unreached"]) == [name for name in found.sums if found.unreached(name)]


def test_a_run_that_was_stopped_is_gone_on_with(
    g4local: Run, started: Callable[[Sequence[str]], "Popen[str]"], text: Path, tmp_path: Path
) -> None:
    target, left = tmp_path / "some.gguf", tmp_path / "some.gguf.partial"
    arguments = ["imatrix", "demo", str(text), "--ctx", "32", "-o", str(target), "--threads", "1"]
    process = started(arguments)
    assert wait_until(left.exists)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130 and left.exists() and not target.exists()
    finished = g4local(*arguments)
    assert finished.returncode == 0, finished.stderr
    assert "Going on after" in finished.stderr and f"{SUMMED_CHUNKS}" in finished.stderr
    assert target.exists() and not left.exists()


def test_a_comparison_is_one_line_or_one_object_and_can_be_kept(g4local: Run, text: Path, tmp_path: Path) -> None:
    model = tmp_path / "small.gguf"
    finished = g4local("convert", str(DEMO), "-q", "Q4_0", "-o", str(model), "--receipt", str(text))
    assert finished.stdout == f"{model}\n", finished.stderr
    line = finished.stderr.splitlines()[-1]
    assert line.startswith("KL 0.")
    receipt = tmp_path / "small.receipt.json"
    kept = json.loads(receipt.read_text(encoding="utf-8"))
    assert kept["base"]["name"].startswith("demo-BF16")
    receipt.unlink()
    compared = g4local("compare", str(model), "demo", str(text), "--save")
    assert compared.stdout == f"{line}\n"
    assert json.loads(receipt.read_text(encoding="utf-8")) == kept
    shown = g4local("show", str(model)).stdout.splitlines()
    figures = [row.removeprefix("receipt: ").split("  ") for row in shown if row.startswith("receipt: ")]
    assert ", ".join(f"{name} {told[-1]}".strip() for name, *told in figures[:-1]) == line
    assert figures[-1][-1].endswith(" tokens of text.txt") and all(
        len(each) <= 100 for each in [*shown, line] if not each.startswith("path")
    )
    assert json.loads(g4local("show", str(model), "--json").stdout)["receipt"] == kept
    assert g4local("convert", str(DEMO), "-q", "Q4_0", "-o", str(model), "--force").returncode == 0
    assert not receipt.exists()


def test_a_receipt_that_fails_leaves_the_model(g4local: Run, tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("How do I convert a checkpoint? " * 20, encoding="utf-8")
    model = tmp_path / "model.gguf"
    finished = g4local("convert", str(DEMO), "-q", "Q8_0", "-o", str(model), "--receipt", str(short), "--json")
    answer = json.loads(finished.stdout)
    assert (finished.returncode, answer["path"], answer["receipt"]) == (2, str(model), None)
    assert "Only the receipt is missing" in finished.stderr
    assert model.exists() and sorted(path.name for path in tmp_path.iterdir()) == ["model.gguf", "short.txt"]
    model.unlink()
    short.write_text("hello", encoding="utf-8")
    assert "too short" in told(g4local("convert", str(DEMO), "-o", str(model), "--receipt", str(short)), 2)
    told(g4local("convert", str(DEMO), "-o", str(model), "--receipt", str(tmp_path / "none")), 2)
    assert not model.exists()


def test_what_makes_no_sense_is_told(g4local: Run, text: Path, tmp_path: Path) -> None:
    told(g4local("imatrix", "nothing", str(text)), 3)
    told(g4local("imatrix", "demo", str(tmp_path / "none")), 2)
    told(g4local("imatrix", "demo", str(text), "-o", str(tmp_path / "none" / "x")), 2)
    told(g4local("compare", "demo", "nothing", str(text)), 3)
    assert "tokens" in told(g4local("compare", "demo", "demo", str(text), "--ctx", "2000"), 2)
    before = text.read_bytes()
    assert "is no GGUF" in told(g4local("imatrix", "demo", str(text), "-o", str(text), "--force"), 2)
    assert text.read_bytes() == before


def test_a_base_that_is_smaller_than_the_model_is_doubted(g4local: Run, text: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.gguf"
    g4local("convert", str(DEMO), "-q", "Q2_K", "-o", str(small))
    assert "is smaller than" in g4local("compare", "demo", str(small), str(text)).stderr
    assert "is smaller than" not in g4local("compare", str(small), "demo", str(text)).stderr
