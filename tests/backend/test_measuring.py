"""What is measured while a model reads, against numpy that computes the same from the weights or from all logits."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.measure.collector import Collector
from g4local.backend.measure.divergence import compared
from g4local.backend.measure.reader import Reader
from g4local.backend.measures import SUMMED_CHUNKS, ComparisonRequest, Reading, Sums, SumsRequest
from g4local.backend.measuring import Process, comparison, sums
from g4local.core.errors import BadGguf, Cancelled, EngineDied, UsageError
from g4local.core.progress import Progress, silent
from tests.checkpoints import KINDS, Kind
from tests.conftest import Tiny
from tests.convert import logits

READING = Reading(chunk_tokens=32, threads=1)
TEXT = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz      \n", k=1500))
BOS = 2
EXPERTS, USED = 8, 2


def weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """A BF16 GGUF's tensors as float32."""
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in gguf.GGUFReader(path).tensors
    }


def chunks(path: Path, reading: Reading = READING, text: str = TEXT) -> list[list[int]]:
    with closing(Reader(path, reading, StopFlag(), silent)) as reader:
        return reader.chunks(text)


def collected(path: Path, read: int) -> Collector:
    """A collector that saw the first chunks."""
    collector = Collector()
    with closing(Reader(path, READING, StopFlag(), silent, collector.callback)) as reader:
        for chunk in reader.chunks(TEXT)[:read]:
            reader.read(reader.begin(chunk))
    return collector


def request(path: Path, folder: Path, first: int = 0) -> SumsRequest:
    return SumsRequest(path, TEXT, READING, folder, first)


def told(wanted: SumsRequest) -> Iterator[tuple[Sums, NDArray[np.float32]]]:
    for answer in sums(wanted, Process(), silent, Event()):
        yield answer, np.fromfile(answer.file, "<f4")


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_layer_is_given_the_normed_embeddings(tiny: Tiny, kind: Kind) -> None:
    path = tiny(kind)
    model = weights(path)
    tokens = np.array([[BOS, *chunk[1:]] for chunk in chunks(path)[:3]]).ravel()
    scaled = model["token_embd.weight"][tokens] * np.float32(16)
    normed = scaled / np.sqrt((scaled.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-6)
    expected = ((normed * model["blk.0.attn_norm.weight"]) ** 2).sum(0)
    found = collected(path, 3)
    for name in ("attn_q", "attn_k", "attn_v"):
        np.testing.assert_allclose(found.sums[f"blk.0.{name}.weight"][0], expected, rtol=1e-5)
        assert found.counts[f"blk.0.{name}.weight"].tolist() == [len(tokens)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_of_a_layer_has_an_entry_of_its_row_and_nothing_else_has(tiny: Tiny, kind: Kind) -> None:
    path = tiny(kind)
    found = collected(path, 1)
    model = weights(path)
    matrices = {name for name, values in model.items() if name.startswith("blk.") and values.ndim > 1}
    if kind == "ple":  # the last layers use the keys and values of others, and have none in the file
        assert "blk.4.attn_k.weight" in matrices and "blk.5.attn_k.weight" not in matrices
    assert found.sums.keys() == matrices
    for name, values in found.sums.items():
        experts = EXPERTS if name.endswith("_exps.weight") else 1
        assert values.shape == (experts, model[name].shape[-1])
        assert found.counts[name].sum() == READING.chunk_tokens * (USED if experts > 1 else 1)
        assert (values > 0).any(axis=1).tolist() == (found.counts[name] > 0).tolist()


def test_experts_are_counted_as_the_routers_logits_pick_them(tiny: Tiny) -> None:
    path = tiny("moe")
    chunk = [BOS, *chunks(path)[0][1:]]
    found = collected(path, 1)
    [seen] = logits.of_llama_cpp(path, [chunk], cache_type=1)
    for layer, scores in seen.routers.items():
        picked = np.argsort(-scores, axis=-1)[:, :USED]
        counts = np.bincount(picked.ravel(), minlength=EXPERTS)
        for name in ("ffn_gate_up_exps", "ffn_down_exps"):
            assert found.counts[f"blk.{layer}.{name}.weight"].tolist() == counts.tolist()


def test_experts_are_given_what_the_dense_network_is_given_but_for_the_norm(tiny: Tiny) -> None:
    path = tiny("moe")
    model, found = weights(path), collected(path, 4)
    for layer in range(6):
        dense = found.sums[f"blk.{layer}.ffn_up.weight"][0] / model[f"blk.{layer}.ffn_norm.weight"] ** 2
        experts = found.sums[f"blk.{layer}.ffn_gate_up_exps.weight"].sum(0)
        expected = USED * dense * model[f"blk.{layer}.pre_ffw_norm_2.weight"] ** 2
        np.testing.assert_allclose(experts, expected, rtol=1e-4)


def test_the_child_tells_the_same_sums_and_a_part_of_the_text_is_enough(tiny: Tiny, tmp_path: Path) -> None:
    path = tiny("moe")
    whole = list(told(request(path, tmp_path)))
    total = len(chunks(path))
    assert [answer.chunks for answer, _ in whole] == [*range(SUMMED_CHUNKS, total, SUMMED_CHUNKS), total]
    here = collected(path, SUMMED_CHUNKS)
    answer, content = whole[0]
    assert list(answer.columns) == sorted(here.sums)
    np.testing.assert_array_equal(
        content, np.concatenate([here.sums[name].ravel() for name in answer.columns]).astype("f4")
    )
    assert answer.counts == {name: counts.tolist() for name, counts in here.counts.items()}
    later = list(told(request(path, tmp_path, first=SUMMED_CHUNKS)))
    assert [pair[0] for pair in later] == [pair[0] for pair in whole[1:]]
    for (_, expected), (_, found) in zip(whole[1:], later, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_comparison_is_what_the_definitions_make_of_all_logits(tiny: Tiny, kind: Kind) -> None:
    model, base = tiny(kind, "Q4_K_M"), tiny(kind)
    reading, text = replace(READING, chunk_tokens=160), TEXT[:500]
    found = compared(ComparisonRequest(model, base, text, reading), StopFlag(), silent)
    kl, same, loss, base_loss = [], [], [], []
    for chunk in chunks(base, reading, text):
        tokens = [BOS, *chunk[1:]]
        [q], [p] = (logits.of_llama_cpp(path, [tokens], cache_type=1) for path in (model, base))
        scored = slice(80, 159)
        expected, seen = p.logits[scored], q.logits[scored]
        kl.append(logits.divergence(expected, seen))
        same.append(expected.argmax(-1) == seen.argmax(-1))
        loss.append(losses(seen, chunk[81:]))
        base_loss.append(losses(expected, chunk[81:]))
    divergences = np.concatenate(kl)
    assert (found.chunks, found.tokens) == (len(kl), len(divergences))
    assert found.kl_mean == pytest.approx(divergences.mean(), rel=1e-2)
    assert found.kl_99 == pytest.approx(np.percentile(divergences, 99), rel=2e-2)
    assert found.kl_max == pytest.approx(divergences.max(), rel=2e-2)
    assert found.same_top == pytest.approx(np.concatenate(same).mean(), abs=1e-2)
    assert found.perplexity == pytest.approx(np.exp(np.concatenate(loss).mean()), rel=1e-3)
    assert found.base_perplexity == pytest.approx(np.exp(np.concatenate(base_loss).mean()), rel=1e-3)


def losses(seen: logits.Floats, following: list[int]) -> NDArray[np.float64]:
    wide = seen.astype(np.float64)
    return np.log(np.exp(wide).sum(-1)) - wide[np.arange(len(following)), following]


def test_a_model_is_as_far_from_itself_as_nothing(tiny: Tiny) -> None:
    path = tiny("ple", "Q4_K_M")
    reports: list[Progress] = []
    found = comparison(ComparisonRequest(path, path, TEXT[:300], READING), Process(), reports.append, Event())
    assert (found.kl_mean, found.kl_99, found.kl_max, found.same_top) == (0, 0, 0, 1)
    assert found.perplexity == found.base_perplexity
    assert found.tokens == 15 * found.chunks
    assert {step.stage for step in reports} == {"load", "compare"}


def test_models_of_other_tokens_are_not_compared(tiny: Tiny, demo: Path) -> None:
    with pytest.raises(UsageError, match="different tokens"):
        compared(ComparisonRequest(demo, tiny("dense"), TEXT, READING), StopFlag(), silent)


def test_control_tokens_are_read_only_when_asked_for(tiny: Tiny) -> None:
    def tokens(text: str, parse_special: bool) -> list[int]:
        reading = replace(READING, parse_special=parse_special)
        with closing(Reader(tiny("dense"), reading, StopFlag(), silent)) as reader:
            return reader.chunks(text)[0]

    text = "<eos>" + TEXT
    assert tokens(text, True)[:2] == [BOS, 1]
    assert 1 not in tokens(text, False)


def test_what_can_not_be_read_is_told(tiny: Tiny, tmp_path: Path) -> None:
    path = tiny("dense")
    for wanted in (
        replace(request(path, tmp_path), text="too short"),
        replace(request(path, tmp_path), reading=Reading(8)),
        replace(request(path, tmp_path), reading=Reading(5000)),
    ):
        with pytest.raises(UsageError) as caught:
            list(sums(wanted, Process(), silent, Event()))
        assert caught.value.hint
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadGguf):
        list(sums(request(bad, tmp_path), Process(), silent, Event()))


def test_a_wish_to_stop_ends_the_child_at_once(tiny: Tiny, tmp_path: Path) -> None:
    cancel = Event()
    answers = sums(request(tiny("dense"), tmp_path), Process(), silent, cancel)
    next(answers)
    cancel.set()
    with pytest.raises(Cancelled):
        list(answers)
    with pytest.raises(Cancelled):
        next(sums(request(tiny("dense"), tmp_path), Process(), silent, cancel))


def test_the_death_of_the_child_is_an_error(tiny: Tiny, tmp_path: Path) -> None:
    nowhere = replace(request(tiny("dense"), tmp_path), folder=tmp_path / "none")
    with pytest.raises(EngineDied, match=r"FileNotFoundError.*\d+\.f32") as caught:
        list(sums(nowhere, Process(), silent, Event()))
    assert caught.value.hint
