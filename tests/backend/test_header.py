"""Files that can't be run: one sentence with the file's name, a hint, and the process that read them lives on."""

import struct
from pathlib import Path
from threading import Event
from typing import Any

import gguf as oracle
import pytest

from g4local.backend.model import header
from g4local.core.errors import BadGguf, EngineError, G4Error, ModelNotFound, UsageError
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from tests.backend.conftest import Loader, WorkerLoader
from tests.backend.prompts import GREEDY, completion
from tests.conftest import Tiny
from tests.convert import rewriting


def refused(path: Path) -> G4Error:
    with pytest.raises(G4Error) as error:
        header.read(path)
    assert str(path) in error.value.message and error.value.message.endswith(".") and error.value.hint
    assert "\n" not in error.value.message
    return error.value


def patched(source: Path, target: Path, key: str, value: Any, item: int = 0) -> Path:
    """A copy of a GGUF with one number changed, an array's item or a key's value."""
    target.write_bytes(source.read_bytes())
    field = oracle.GGUFReader(target, "r+").fields[key]
    part = field.parts[field.data[item]]
    part[0] = value
    return target


def test_a_good_file_tells_its_numbers(tiny: Tiny) -> None:
    read = header.read(tiny("ple"))
    shape = read.model.shape
    assert (read.architecture, shape.trained_context, shape.heads, shape.window) == ("gemma4", 4096, 4, 16)
    assert (shape.per_layer_width, len(shape.layers), len(shape.owners)) == (64, 9, 5)
    assert "<|turn>" in read.template


def test_a_gguf_in_several_files_is_read_as_a_whole(tiny: Tiny, tmp_path: Path) -> None:
    whole = tiny("ple")
    first = rewriting.write(whole, tmp_path / "model-{:05}-of-00003.gguf", parts=3)
    second = tmp_path / "model-00002-of-00003.gguf"
    assert header.read(first).model == header.read(whole).model
    assert "one of 3 files" in refused(second).message
    content = second.read_bytes()
    for change, said in (
        (lambda: second.write_bytes(content[:-100]), "is cut off"),
        (lambda: second.write_bytes(content[:100]), "is damaged"),
        (second.unlink, "lacks model-00002-of-00003.gguf"),
    ):
        change()
        with pytest.raises(BadGguf, match=said) as caught:
            header.read(first)
        assert second.name in caught.value.message and caught.value.hint


def test_a_missing_file_is_a_model_that_is_not_found(tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path / "none.gguf"), ModelNotFound)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path), BadGguf)


@pytest.mark.parametrize("content", [b"", b"GG", b"FUGG" + bytes(100), b"PK\x03\x04 a zip"])
def test_another_file_is_not_a_gguf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.gguf"
    path.write_bytes(content)
    assert "not a GGUF" in refused(path).message


@pytest.mark.parametrize("version", [1, 99])
def test_another_version_is_told(tiny: Tiny, tmp_path: Path, version: int) -> None:
    path = tmp_path / "version.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", version) + tiny("dense").read_bytes()[8:])
    assert "version" in refused(path).message


@pytest.mark.parametrize("left", [20, 200, 5000, -1000, -1])
def test_a_file_that_is_cut_off_is_told(tiny: Tiny, tmp_path: Path, left: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny("dense").read_bytes()[:left])
    assert isinstance(refused(path), BadGguf)


@pytest.mark.parametrize("architecture", ["llama", "clip", "gemma4-assistant"])
def test_another_architecture_is_named(tmp_path: Path, architecture: str) -> None:
    path = tmp_path / "other.gguf"
    writer = oracle.GGUFWriter(path, architecture)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert repr(architecture) in refused(path).message


def test_a_vocabulary_without_weights_is_told(gemma4_vocab_path: Path) -> None:
    assert "no weights" in refused(gemma4_vocab_path).message


@pytest.mark.parametrize(
    ("key", "value", "item"),
    [
        ("block_count", 600, 0),
        ("block_count", 0, 0),
        ("block_count", 5, 0),
        ("context_length", 0, 0),
        ("attention.head_count", 0, 0),
        ("attention.head_count", 3, 0),
        ("attention.head_count_kv", 0, 0),
        ("attention.head_count_kv", 7, 0),
        ("attention.shared_kv_layers", 8, 0),
        ("attention.shared_kv_layers", 9, 0),
        ("attention.shared_kv_layers", 3, 0),
        ("rope.dimension_count", 32, 0),
        ("rope.dimension_count", 1 << 30, 0),
        ("rope.dimension_count_swa", 64, 0),
        ("attention.key_length", 128, 0),
        ("feed_forward_length", 0, 0),
        ("attention.value_length", 1, 0),
        ("attention.value_length_swa", 7, 0),
        ("attention.layer_norm_rms_epsilon", -1.0, 0),
        ("attention.layer_norm_rms_epsilon", float("nan"), 0),
    ],
)
def test_a_number_that_would_end_llama_cpp_is_told(
    tiny: Tiny, tmp_path: Path, key: str, value: float, item: int
) -> None:
    path = patched(tiny("ple"), tmp_path / "bad.gguf", f"gemma4.{key}", value, item)
    assert "contradicts itself" in refused(path).message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("expert_used_count", 0),
        ("expert_used_count", 99),
        ("expert_count", 0),
        ("expert_count", 1),
        ("expert_count", 999),
    ],
)
def test_experts_that_would_end_llama_cpp_are_told(tiny: Tiny, tmp_path: Path, key: str, value: int) -> None:
    path = patched(tiny("moe"), tmp_path / "bad.gguf", f"gemma4.{key}", value, 0)
    assert "expert" in refused(path).message


@pytest.mark.parametrize("position", range(24, 3000, 311))
def test_a_flipped_byte_in_the_header_is_an_error_or_a_model_but_no_crash(
    tiny: Tiny, tmp_path: Path, worker: WorkerLoader, position: int
) -> None:
    data = bytearray(tiny("ple").read_bytes())
    data[position] ^= 0xFF
    path = tmp_path / "flipped.gguf"
    path.write_bytes(data)
    engine = worker(path)
    try:
        header.read(path)
        engine.start(silent, Event())
        said = list(engine.generate([Segment("hello")], GREEDY, 1, silent, Event()))
        assert completion(said).completion_tokens == 1
    except (BadGguf, EngineError, UsageError) as error:
        assert error.message.endswith(".") and error.hint


def test_a_tensor_that_llama_cpp_misses_is_told_in_its_words(tiny: Tiny, tmp_path: Path, load: Loader) -> None:
    path = tmp_path / "renamed.gguf"
    path.write_bytes(tiny("dense").read_bytes().replace(b"output_norm.weight", b"output_morn.weight"))
    with pytest.raises(BadGguf, match="output_norm") as error:
        load(path)
    assert str(path) in error.value.message
