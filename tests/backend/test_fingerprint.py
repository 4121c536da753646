"""A snapshot belongs to one model: whatever differs in one of its files makes it another one."""

from pathlib import Path

import gguf as oracle
import pytest

from g4convert.gguf import Value, ValueType
from g4local.backend.model import header
from g4local.backend.state import fingerprint, resumption
from tests.backend.conftest import Loader
from tests.backend.prompts import GREEDY, chat, completion, words
from tests.conftest import Tiny
from tests.convert import rewriting


def print_of(path: Path) -> str:
    return fingerprint._fingerprint(header.read(path).files)


def cut(source: Path, folder: Path) -> Path:
    """A GGUF in two files, the first of which has no tensors."""
    folder.mkdir()
    tensors = len(oracle.GGUFReader(source).tensors)
    for number in range(2):
        rewriting.write(
            source,
            folder / f"model-{number + 1:05}-of-00002.gguf",
            more={
                "split.no": Value(ValueType.UINT16, number),
                "split.count": Value(ValueType.UINT16, 2),
                "split.tensors.count": Value(ValueType.INT32, tensors),
            },
            keeps=lambda name, number=number: number == 1,  # type: ignore[misc]
        )
    return folder / "model-00001-of-00002.gguf"


def turned(path: Path) -> None:
    """Change the rows of a matrix, and nothing else."""
    tensors = oracle.GGUFReader(path, "r+").tensors
    data = next(tensor.data for tensor in tensors if "ffn_down" in tensor.name)
    data[:] = data[::-1].copy()
    data.flush()


def test_each_file_of_a_gguf_that_is_cut_counts(tiny: Tiny, tmp_path: Path) -> None:
    first = rewriting.write(tiny("dense"), tmp_path / "model-{:05}-of-00002.gguf", parts=2)
    before = print_of(first)
    turned(tmp_path / "model-00002-of-00002.gguf")
    assert print_of(first) != before != print_of(tiny("dense"))


def test_a_model_whose_second_file_differs_does_not_go_on_from_anothers_snapshots(
    tiny: Tiny, load: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file has no tensors, as in many that are published."""
    monkeypatch.setattr(resumption, "WORTH", 0)
    model, prompt = cut(tiny("dense"), tmp_path / "cut"), chat(words(1, 200))
    reused = []
    for change in (None, None, turned):
        if change is not None:
            change(model.with_name("model-00002-of-00002.gguf"))
        engine = load(model, context=2048, snapshots=tmp_path / "snapshots")
        end = completion(list(engine.generate(prompt, GREEDY, 2, lambda progress: None)))
        engine.wait(30)
        engine.close()
        reused.append(end.reused_tokens > 0)
    assert reused == [False, True, False]
