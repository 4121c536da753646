"""Importance matrices from text to file: gone on with to the same bits, and begun anew for anything else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event

import gguf
import numpy as np
import pytest

from g4convert import convert, imatrix, imatrix_writer
from g4convert.choice import Guidance
from g4convert.gguf import string
from g4convert.imatrix import Importance
from g4local import importance, texts
from g4local.backend.measures import SUMMED_CHUNKS, Reading
from g4local.backend.measuring import Process
from g4local.core.errors import Cancelled, UsageError
from g4local.core.progress import Progress, silent
from g4local.importance import Request
from tests.conftest import ROOT, Tiny
from tests.convert import llama


@pytest.fixture
def request_(tiny: Tiny, tmp_path: Path) -> Request:
    file = tmp_path / "text.txt"
    file.write_text("".join(Random(2).choices("abcdefghijklmnopqrstuvwxyz      \n", k=760)), encoding="utf-8")
    reading = Reading(chunk_tokens=32, threads=1)
    return Request(tiny("moe"), "the model's hash", texts.read([file]), reading, tmp_path / "moe.imatrix.gguf")


def whole(request: Request) -> bytes:
    importance.compute(request, importance.begun(request), Process(), silent, Event())
    assert not request.partial.exists()
    return request.target.read_bytes()


def stopped(request: Request) -> Importance:
    """What is left of a run that was stopped in its second stretch."""
    cancel = Event()

    def report(progress: Progress) -> None:
        if progress.stage == "imatrix" and progress.done > SUMMED_CHUNKS:
            cancel.set()

    with pytest.raises(Cancelled):
        importance.compute(request, importance.begun(request), Process(), report, cancel)
    assert not request.target.exists()
    return importance.begun(request)


def test_what_was_stopped_goes_on_to_the_same_bits(request_: Request) -> None:
    expected = whole(replace(request_, target=request_.target.with_name("other.gguf")))
    left = stopped(request_)
    assert left.chunks == SUMMED_CHUNKS
    stages: list[Progress] = []
    result = importance.compute(request_, left, Process(), stages.append, Event())
    assert min(step.done for step in stages if step.stage == "imatrix") == SUMMED_CHUNKS
    assert request_.target.read_bytes() == expected
    assert result.chunks > SUMMED_CHUNKS and not request_.partial.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, texts=replace(request.texts, content=request.texts.content + "x")),
        lambda request: replace(request, model_hash="another"),
        lambda request: replace(request, reading=replace(request.reading, chunk_tokens=64)),
        lambda request: replace(request, reading=replace(request.reading, parse_special=True)),
    ],
    ids=["text", "model", "chunks", "special tokens"],
)
def test_another_request_begins_anew(request_: Request, change: Callable[[Request], Request]) -> None:
    left = Importance({"blk.0.a.weight": np.ones((1, 4), "f4")}, {"blk.0.a.weight": np.array([320])}, (), 10, 32)
    imatrix_writer.write(request_.partial, left, {"g4local.imatrix.run": string(request_.run)})
    assert importance.begun(request_).chunks == 10
    assert importance.begun(replace(request_, reading=replace(request_.reading, threads=2))).chunks == 10
    assert importance.begun(change(request_)).chunks == 0


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + bytes(100), b"something else"])
def test_a_damaged_partial_result_is_none(request_: Request, content: bytes) -> None:
    request_.partial.write_bytes(content)
    assert importance.begun(request_).chunks == 0


def test_the_file_is_as_llama_cpps_tool_writes_it(request_: Request) -> None:
    result = importance.compute(request_, importance.begun(request_), Process(), silent, Event())
    reader = gguf.GGUFReader(request_.target)
    keys = [name for name in reader.fields if not name.startswith("GGUF.")]
    assert keys == ["general.type", "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"]
    assert [reader.fields[key].contents() for key in keys[1:]] == [[*request_.texts.names], result.chunks, 32]
    names = [tensor.name for tensor in reader.tensors]
    weights = sorted({name.rpartition(".")[0] for name in names})
    assert names == [name + suffix for name in weights for suffix in (".in_sum2", ".counts")]
    shapes = {tensor.name: tensor.shape.tolist() for tensor in reader.tensors}
    assert shapes["blk.0.ffn_down_exps.weight.in_sum2"] == [96, 8]
    assert shapes["blk.0.ffn_down_exps.weight.counts"] == [1, 8]
    assert shapes["blk.0.attn_q.weight.in_sum2"] == [256]
    read = imatrix.read(str(request_.target))
    assert read.chunks == result.chunks > 0
    assert read.counts["blk.0.attn_q.weight"].tolist() == [read.chunks * 32]


def test_the_demo_model_quantized_with_its_own_matrix_has_llama_quantize_s_bytes(tmp_path: Path) -> None:
    demo, text, whole = ROOT / "g4local" / "demo", tmp_path / "text.txt", tmp_path / "whole.gguf"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20, encoding="utf-8")
    convert.convert(demo, whole, "BF16", silent, Event(), convert.Options(threads=1, reproducible=True))
    request = Request(whole, "", texts.read([text]), Reading(chunk_tokens=128, threads=1), tmp_path / "demo.imatrix")
    importance.compute(request, importance.begun(request), Process(), silent, Event())
    matrix = imatrix.read(str(request.target))
    made = {}
    for name, guidance in (("plain", Guidance()), ("guided", Guidance(importance=matrix))):
        options = convert.Options(threads=1, guidance=guidance, reproducible=True)
        convert.convert(demo, tmp_path / name, "Q4_K_M", silent, Event(), options)
        made[name] = (tmp_path / name).read_bytes()
    expected = llama.quantized(whole, "Q4_K_M", llama.guided_by(matrix))
    assert made["guided"] == expected.read_bytes()
    weights = {name: reader_bytes(tmp_path / name, "blk.0.ffn_up.weight") for name in made}
    assert weights["plain"] != weights["guided"]


def reader_bytes(path: Path, name: str) -> bytes:
    return next(tensor.data.tobytes() for tensor in gguf.GGUFReader(path).tensors if tensor.name == name)


def test_several_texts_are_read_as_one(tmp_path: Path) -> None:
    parts = [tmp_path / "a", tmp_path / "b"]
    parts[0].write_text("eins ", encoding="utf-8")
    parts[1].write_text("zwei\r\n🙂", encoding="utf-8")
    (tmp_path / "both").write_bytes(b"".join(part.read_bytes() for part in parts))
    both = texts.read([tmp_path / "both"])
    assert texts.read(parts).content == both.content == "eins zwei\r\n🙂"
    assert texts.read(parts).sha256 == both.sha256
    assert texts.read(parts).names == tuple(map(str, parts))


def test_a_text_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(texts, "_MOST_BYTES", 1_000_000)
    with pytest.raises(UsageError, match="more than 1 MB"):
        texts.read([Path("/dev/zero")])
    (tmp_path / "empty.txt").touch()
    with pytest.raises(UsageError, match=r"empty\.txt is empty"):
        texts.read([tmp_path / "empty.txt"], 32)


def test_files_that_are_no_text_are_told_by_name(request_: Request, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (binary, tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=path.name):
            texts.read([path])
    with pytest.raises(UsageError, match="no folder"):
        importance.begun(replace(request_, target=tmp_path / "none" / "x.gguf"))
