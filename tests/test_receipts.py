"""Receipts: what they say, where they lie, and which ones are believed."""

import json
import math
import os
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from g4local import receipts, texts
from g4local.backend.measures import Comparison, Reading
from g4local.core.errors import G4Error
from g4local.core.messages import Json
from g4local.core.progress import silent
from g4local.receipts import Receipt
from g4local.settings import paths
from tests.conftest import Tiny

RESULT = Comparison(
    chunks=2,
    tokens=1510,
    kl_mean=0.01234,
    kl_99=0.2,
    kl_max=1.5,
    same_top=0.9412,
    perplexity=8.5,
    base_perplexity=8.25,
    llama_cpp="0.5.0, ggml 0.25.3 (0c1e570)",
)


def receipt(model: Path) -> Receipt:
    content = {
        "schema": receipts.SCHEMA,
        "model": {"name": model.name, "bytes": model.stat().st_size, "sha256": "00"},
        "text": {"names": ["a/text.txt"]},
        "result": asdict(RESULT),
    }
    return Receipt(content, RESULT, ("a/text.txt",))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "some.v1-Q4_0.gguf"
    path.write_bytes(b"1234")
    return path


def test_a_receipt_names_everything_that_the_figures_hang_on(tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("the quick brown fox jumps over the lazy dog\n" * 10, encoding="utf-8")
    model, base = tiny("dense", "Q4_K_M"), tiny("dense")
    request = receipts.Request(model, base, texts.read([file]), Reading(chunk_tokens=64, threads=1))
    made = receipts.made(request, paths({"G4LOCAL_HOME": str(tmp_path)}), silent, Event())
    content = json.loads(json.dumps(made.content))
    for name, path in (("model", model), ("base", base)):
        data = path.read_bytes()
        assert content[name] == {"name": path.name, "bytes": len(data), "sha256": sha256(data).hexdigest()}
    assert content["text"] == {
        "names": [str(file)],
        "sha256": sha256(file.read_bytes()).hexdigest(),
        "chunk_tokens": 64,
        "parse_special": False,
    }
    assert Comparison(**content["result"]) == made.result
    assert made.result.kl_mean > 0 and made.result.tokens == made.result.chunks * 31


def test_the_line_tells_the_result(model: Path) -> None:
    assert receipt(model).line == (
        "KL 0.0123 nats (99 %: 0.2000, most: 1.5000), same top token 94.12 %, perplexity 8.50 (base: 8.25)"
    )
    assert receipt(model).table["measured on"] == "1,510 tokens of text.txt"


def test_a_receipt_is_kept_beside_its_file_and_found_there(model: Path) -> None:
    assert receipts.kept(model) is None
    assert receipts.keep(receipt(model), model) == model.with_name("some.v1-Q4_0.receipt.json")
    assert receipts.kept(model) == receipt(model)
    receipts.keep(replace(receipt(model), content={**receipt(model).content, "g4local": "2"}), model)
    found = receipts.kept(model)
    assert found is not None and found.content["g4local"] == "2"
    receipts.forget(model)
    receipts.forget(model)
    assert receipts.kept(model) is None and list(model.parent.iterdir()) == [model]


@pytest.mark.parametrize(
    "content", ["", "[1]", "{}", '{"schema": "g4local.receipt/1"}', "[" * 100_000, '{"schema": 1}']
)
def test_what_is_no_receipt_is_none(model: Path, content: str) -> None:
    receipts.place(model).write_text(content, encoding="utf-8")
    assert receipts.kept(model) is None


@pytest.mark.parametrize("figure", ["x", None, [1], math.nan, math.inf, -1, True, 10**400])
@pytest.mark.parametrize("field", ["kl_mean", "tokens", "base_perplexity"])
def test_a_receipt_with_a_figure_that_is_none_is_none(field: str, figure: Json, model: Path) -> None:
    good = receipt(model)
    result = {**asdict(good.result), field: figure}
    receipts.keep(replace(good, content={**good.content, "result": result}), model)
    assert receipts.kept(model) is None


def test_a_pipe_in_place_of_a_receipt_is_none(model: Path) -> None:
    os.mkfifo(receipts.place(model))
    assert receipts.kept(model) is None


def test_a_receipt_of_another_file_of_this_name_is_none(model: Path) -> None:
    receipts.keep(receipt(model), model)
    model.write_bytes(b"another")
    assert receipts.kept(model) is None


def test_a_receipt_that_can_not_be_written_is_an_error(model: Path) -> None:
    receipts.place(model).mkdir()
    with pytest.raises(G4Error, match="can't be written"):
        receipts.keep(receipt(model), model)
    assert len(list(model.parent.iterdir())) == 2
