"""`g4local show`: what a GGUF holds and where it comes from, for any GGUF."""

import json
import math
import re
from pathlib import Path

import gguf as oracle
import numpy as np
import pytest

from g4local import __version__
from tests.cli.conftest import Run
from tests.cli.test_commands import DEMO, told
from tests.convert import rewriting


@pytest.fixture(scope="module")
def chain(g4local: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, quantized from a BF16 file that was made of the checkpoint."""
    folder = tmp_path_factory.mktemp("chain")
    assert g4local("convert", str(DEMO), "-o", str(folder / "wide.gguf"), "-q", "BF16").returncode == 0
    wide, small = str(folder / "wide.gguf"), str(folder / "small.gguf")
    assert g4local("quantize", wide, "-o", small, "--tensor-type", "attn_v=q8_0").returncode == 0
    return folder / "small.gguf"


def test_every_step_of_the_making_is_shown(g4local: Run, chain: Path) -> None:
    finished = g4local("show", str(chain))
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    keys = json.loads(g4local("show", str(chain), "--json").stdout)["keys"]
    hashes = [keys[f"g4local.{prefix}header_sha256"][:16] for prefix in ("source.", "source.source.")]
    assert ["types by hand", "attn_v=q8_0"] in [re.split("  +", line) for line in lines]
    start = next(place for place, line in enumerate(lines) if line.startswith("QUANT"))
    assert [re.split("  +", line) for line in lines[start + 1 : start + 3]] == [
        ["Q4_K_M", "wide.gguf", f"header {hashes[0]}", f"g4local {__version__}"],
        ["BF16", "demo", f"header {hashes[1]}", f"g4local {__version__}"],
    ]
    assert all(len(line) <= 80 for line in lines if not line.startswith("path"))


def test_a_checkpoint_converted_on_the_way_tells_its_name_too(g4local: Run) -> None:
    keys = json.loads(g4local("show", "demo", "--json").stdout)["keys"]
    assert (keys["g4local.source.name"], keys["g4local.recipe"]) == ("demo", "Q8_0")


def test_a_file_of_other_tools_has_no_making(g4local: Run, tmp_path: Path) -> None:
    path = tmp_path / "exact.gguf"
    assert g4local("convert", str(DEMO), "-o", str(path), "--reproducible").returncode == 0
    shown = g4local("show", str(path)).stdout
    assert "QUANT" not in shown
    assert "\nTYPE " in shown


def test_tensors_are_listed_with_their_places_in_the_file(g4local: Run, chain: Path) -> None:
    listed = json.loads(g4local("show", str(chain), "--tensors", "--json").stdout)["tensors"]
    expected = oracle.GGUFReader(chain).tensors
    assert [(entry["name"], entry["type"], entry["offset"], entry["bytes"]) for entry in listed] == [
        (tensor.name, tensor.tensor_type.name, tensor.data_offset, tensor.n_bytes) for tensor in expected
    ]
    assert [entry["shape"] for entry in listed] == [[*reversed(tensor.shape.tolist())] for tensor in expected]
    lines = g4local("show", str(chain), "--tensors").stdout.splitlines()
    assert lines[0].split() == ["TENSOR", "SHAPE", "TYPE", "SIZE", "OFFSET"]
    assert len(lines) == len(expected) + 1
    assert max(map(len, lines)) <= 80


def test_parts_are_shown_as_one(g4local: Run, chain: Path, tmp_path: Path) -> None:
    first = rewriting.write(chain, tmp_path / "model-{:05}-of-00002.gguf", parts=2)
    whole, parts = (json.loads(g4local("show", str(path), "--json").stdout) for path in (chain, first))
    assert parts["types"] == whole["types"]
    assert parts["bytes"] == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert f"{first} and 1 more\n" in g4local("show", str(first)).stdout
    lines = g4local("show", str(first), "--tensors").stdout.splitlines()
    assert {line.split()[-1] for line in lines[1:]} == {path.name for path in tmp_path.iterdir()}
    assert "one of 2 files" in told(g4local("show", str(tmp_path / "model-00002-of-00002.gguf")), 2)


def test_parts_are_listed_as_one(
    g4local: Run, environment: dict[str, str], chain: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(environment, "G4LOCAL_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    first = rewriting.write(chain, tmp_path / "models" / "model-{:05}-of-00003.gguf", parts=3)
    listed = json.loads(g4local("ls", "--json").stdout)["models"]
    assert [entry["name"] for entry in listed] == ["demo", first.stem]
    assert listed[1]["bytes"] == sum(path.stat().st_size for path in first.parent.iterdir())
    first.with_name("model-00002-of-00003.gguf").unlink()
    assert g4local("ls", "-q").stdout.split() == ["demo", first.stem]


def test_a_name_out_of_a_file_can_not_pass_for_another_line(g4local: Run, tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    writer = oracle.GGUFWriter(path, "gemma4\nquant  Q8_0")
    writer.add_string("quantize.imatrix.file", "a\x1b[31m\nparameters  1")
    writer.add_tensor("x\ny", np.zeros(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    shown = g4local("show", str(path)).stdout
    assert "gemma4␊quant  Q8_0" in shown and "a␛[31m␊parameters  1" in shown
    assert len(g4local("show", str(path), "--tensors").stdout.splitlines()) == 2
    refused = told(g4local("quantize", str(path)), 4)
    assert "Gemma 4" in refused


def test_any_gguf_can_be_shown(g4local: Run, tmp_path: Path) -> None:
    path = tmp_path / "mmproj.gguf"
    file = oracle.GGUFWriter(path, "clip")
    file.add_string("clip.vision.projector_type", "gemma4v")
    file.add_uint32("clip.vision.block_count", 16)
    file.add_float32("strange", math.nan)
    file.add_array("stranger", [math.inf, 1.0])
    file.add_array("long", [*range(1000)])
    file.add_tensor("v.patch_embd.weight", np.ones((4, 3, 2, 2), np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    shown = g4local("show", str(path)).stdout
    assert "gemma4v" in shown
    keys = json.loads(g4local("show", str(path), "--json").stdout)["keys"]
    assert (keys["strange"], keys["stranger"], keys["long"]) == ("nan", ["inf", 1.0], "(1,000 items)")
    assert "4 x 3 x 2 x 2" in g4local("show", str(path), "--tensors").stdout


def test_a_gguf_of_nothing_can_be_shown(g4local: Run, tmp_path: Path) -> None:
    path = tmp_path / "nothing.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(16))
    assert g4local("show", str(path)).returncode == 0
    assert g4local("show", str(path), "--tensors").stdout.split() == ["TENSOR", "SHAPE", "TYPE", "SIZE", "OFFSET"]
