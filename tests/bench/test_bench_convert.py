"""The bench's checkpoints are of the real sizes and can be converted; its tables say what was measured."""

import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from bench import checkpoint
from bench import convert as bench
from bench.process import Usage
from g4convert import convert
from g4convert import plan as planning
from g4convert.architectures import find
from g4convert.checkpoint import SourceTensor
from g4local.core.progress import silent
from tests import checkpoints


@pytest.mark.parametrize(("size", "layers", "count"), [("e2b", None, 35), ("26b-a4b", 2, 2)])
def test_its_sizes_are_models_that_can_be_planned(size: str, layers: int | None, count: int) -> None:
    config, shapes = checkpoint._cut(*checkpoint.real(size), layers)
    architecture = find(config)
    model = architecture.read(config)
    tensors = {name: SourceTensor(name, "BF16", shape, Path("nowhere"), 0) for name, shape in shapes.items()}
    matched = planning.match(architecture.rules(model), tensors, architecture.prefixes, architecture.skips)
    assert not matched.skipped
    assert len(model.layers) == count


def test_a_checkpoint_is_made_once_and_converts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = checkpoints.make("moe", vocab_size=3000)
    shapes = {name: tuple(values.shape) for name, values in tiny.tensors.items()}
    embeddings = "model.language_model.embed_tokens.weight"
    shapes[embeddings] = (3000, 256)
    monkeypatch.setattr(checkpoint, "real", lambda size: (tiny.config, shapes))
    monkeypatch.setattr(checkpoint, "_SHARD", 4_000_000)
    monkeypatch.setattr(checkpoint, "_TABLE", 5000)
    folder = checkpoint.write(tmp_path / "model", "any")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 1
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in shards]
    shards[1].unlink()
    checkpoint.write(folder, "any")
    assert [path.read_bytes() for path in shards] == [content for _, content in before]
    assert shards[0].stat().st_mtime_ns == before[0][0]
    job = convert.prepare(folder, "Q4_K_M")
    merges, tokens = (job.keys[f"tokenizer.ggml.{name}"].data for name in ("merges", "tokens"))
    assert isinstance(merges, list)
    assert isinstance(tokens, list)
    assert len(tokens) == len(set(tokens)) == 3000
    assert len(merges) > 3000
    assert convert.convert(folder, tmp_path / "out.gguf", "Q4_K_M", silent, Event()).nbytes > 1_000_000


def test_a_table_adds_times_and_keeps_the_larger_peak() -> None:
    table = bench._table(
        Usage(10, 8, 100e6, 2e9, 0, 5e6), Usage(20, 30, 200e6, 1e9, 0, 0), Usage(15, 19, 5e7, 1e9, 0, 1e6)
    )
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert [row[3:] for row in rows] == [
        ["30.0", "15.0", "0.50 |"],
        ["38.0", "19.0", "0.50 |"],
        ["200.0", "50.0", "0.25 |"],
        ["2,000.0", "1,000.0", "0.50 |"],
        ["0.0", "0.0", " |"],
        ["5.0", "1.0", "0.20 |"],
    ]


def test_one_changed_byte_of_the_data_is_seen(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make("dense"))
    for name in ("one", "other"):
        convert.convert(folder, tmp_path / name, "Q8_0", silent, Event())
    assert bench._data_is_equal(tmp_path / "one", tmp_path / "other")
    content = bytearray((tmp_path / "other").read_bytes())
    content[-1] ^= 1
    (tmp_path / "other").write_bytes(content)
    assert not bench._data_is_equal(tmp_path / "one", tmp_path / "other")


@pytest.mark.reference
@pytest.mark.skipif(sys.platform != "linux", reason="the bench looks into /proc")
def test_the_bench_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.convert", str(tmp_path), "--tiny"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the same bytes") == 2
    assert not list(tmp_path.rglob("*.gguf"))
