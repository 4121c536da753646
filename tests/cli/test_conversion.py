"""`g4local quantize`, and what it shares with `g4local convert`."""

import json
from pathlib import Path

import numpy as np
import pytest

from g4convert import gguf, imatrix, imatrix_writer, provenance
from tests import checkpoints
from tests.cli.conftest import Run
from tests.cli.test_commands import DEMO, told


@pytest.fixture(scope="module")
def wide(g4local: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model in BF16."""
    target = tmp_path_factory.mktemp("wide") / "demo.bf16.gguf"
    assert g4local("convert", str(DEMO), "-o", str(target), "-q", "bf16").returncode == 0
    return target


def test_quantizing_a_bf16_file_is_converting_the_checkpoint(g4local: Run, wide: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    finished = g4local("quantize", str(wide), "-o", str(first), "-q", "Q4_0", "--reproducible")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"{first}\n"
    assert g4local("convert", str(DEMO), "-o", str(second), "-q", "Q4_0", "--reproducible").returncode == 0
    found = {name: value for name, value in gguf.read(first).keys.items() if not name.startswith(provenance.PREFIX)}
    assert found == gguf.read(second).keys
    start = [gguf.read(path).data_start for path in (first, second)]
    assert first.read_bytes()[start[0] :] == second.read_bytes()[start[1] :]


def test_the_new_file_lies_among_the_models_under_the_recipe_s_name(g4local: Run, wide: Path) -> None:
    finished = g4local("quantize", str(wide), "-q", "q8_0", "--json")
    done = json.loads(finished.stdout)
    path = Path(done["path"])
    assert (path.name, done["quant"], done["bytes"]) == ("demo-Q8_0.gguf", "Q8_0", path.stat().st_size)
    assert path.parent.name == "models"
    told(g4local("quantize", str(wide), "-q", "q8_0"), 2)
    assert g4local("quantize", str(wide), "-q", "q8_0", "--force").returncode == 0
    assert "quantized already" in told(g4local("quantize", "demo-Q8_0"), 4)
    path.unlink()


def test_a_plan_is_printed_and_nothing_written(g4local: Run, wide: Path) -> None:
    before = sorted(wide.parent.iterdir())
    plan = json.loads(g4local("quantize", str(wide), "--plan", "--json").stdout)
    assert {"name": "output_norm.weight", "source_type": "F32", "type": "F32"}.items() <= plan["tensors"][0].items()
    table = g4local("quantize", str(wide), "--plan").stdout.splitlines()
    assert len(table) == len(plan["tensors"]) + 1
    assert max(map(len, table)) <= 80
    assert sorted(wide.parent.iterdir()) == before


def test_a_file_is_not_written_over_itself(g4local: Run, wide: Path) -> None:
    before = wide.read_bytes()
    assert "files that are read" in told(g4local("quantize", str(wide), "-o", str(wide), "--force"), 2)
    assert wide.read_bytes() == before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "notes.txt"])
def test_force_writes_over_ggufs_only(name: str, g4local: Run, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    (folder / "notes.txt").write_text("mine")
    before = (folder / name).read_bytes()
    assert "is no GGUF" in told(g4local("convert", str(folder), "-o", str(folder / name), "--force"), 2)
    assert (folder / name).read_bytes() == before
    assert "is a folder" in told(g4local("convert", str(folder), "-o", str(tmp_path), "--force"), 2)


def test_the_importance_matrix_that_is_read_is_not_written_over(g4local: Run, wide: Path, tmp_path: Path) -> None:
    header, target = gguf.read(wide), tmp_path / "matrix.gguf"
    row = next(tensor.dims[0] for tensor in header.tensors if tensor.name == "blk.0.attn_q.weight")
    sums, counts = np.ones((1, row), np.float32), np.ones(1, np.int64)
    matrix = imatrix.Importance({"blk.0.attn_q.weight": sums}, {"blk.0.attn_q.weight": counts})
    imatrix_writer.write(target, matrix, {})
    before = target.read_bytes()
    command = ("quantize", str(wide), "--imatrix", str(target), "-o", str(target), "--force")
    refused = g4local(*command)
    assert refused.returncode == 2 and "files that are read" in refused.stderr
    assert target.read_bytes() == before


def test_a_source_that_is_no_folder_is_told_what_to_do_with_it(g4local: Run, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    refused = g4local("convert", str(file))
    assert "is a file" in told(refused, 2) and "`quantize` takes a GGUF" in refused.stderr
    assert "Give a folder" in g4local("convert", "google/gemma-4-E2B-it").stderr
    assert "File name too long" in told(g4local("convert", "a" * 300), 3)
    assert "File name too long" in told(g4local("convert", str(DEMO), "--imatrix", "a" * 300), 4)
    assert "towers" in told(g4local("convert", str(DEMO), "--mmproj-type", "Q4_0", "--plan"), 2)
    assert "Q4_K_M" in g4local("convert", str(DEMO), "--quant", "q4_k", "--plan").stderr
