"""Weights that were trained for Q4_0 come out exactly; other weights get ggml's own bytes."""

from pathlib import Path
from threading import Event

import gguf as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from typer.testing import CliRunner

from g4convert import checkpoint, convert, ggml, lattice, requantize
from g4convert.lattice import BLOCK, Tally
from g4convert.quants import TYPES
from g4convert.transforms import Floats, rounded_to_bf16
from g4local.cli import app
from g4local.core.errors import UsageError
from g4local.core.progress import silent
from tests import checkpoints
from tests.outputs import checked

Q4_0 = TYPES["Q4_0"]

HALVES = st.integers(1, 0x7BFF).map(lambda bits: float(np.uint16(bits).view(np.float16)))
"""Every F16 above 0, subnormal ones too."""
SCALES = st.one_of(HALVES, st.integers(1, 64).map(lambda steps: steps * 2.0**-24), st.sampled_from([65504.0, 1.0]))
KS = arrays.arrays(np.int8, BLOCK, elements=st.integers(-8, 7)) | st.integers(0, 7).flatmap(
    lambda most: arrays.arrays(np.int8, BLOCK, elements=st.integers(-most, most))
)


def of_lattice(scale: NDArray[np.float64] | float, ks: NDArray[np.int8]) -> Floats:
    """The values that a checkpoint holds for scales and k."""
    return rounded_to_bf16((np.asarray(scale, np.float32)[..., None] * ks.astype(np.float32)).astype(np.float32))


def dequantized(data: NDArray[np.uint8]) -> Floats:
    """Values of Q4_0 blocks by gguf-py, as a BF16 file would hold them."""
    values = oracle.quants.dequantize(data.reshape(-1, Q4_0.nbytes), oracle.GGMLQuantizationType.Q4_0)
    return rounded_to_bf16(np.ascontiguousarray(values, np.float32))


def restored(values: Floats) -> tuple[NDArray[np.uint8], Tally]:
    """The blocks of some values, and how many are exact."""
    data = ggml.quantized(rounded_to_bf16(values), BLOCK, Q4_0)
    tally = Tally()
    lattice.restore(data, values, tally)
    return data, tally


@settings(max_examples=400, deadline=None)
@given(scale=SCALES, negative=st.booleans(), ks=KS)
def test_any_block_of_an_f16_scale_comes_out_exactly(scale: float, negative: bool, ks: NDArray[np.int8]) -> None:
    values = of_lattice(-scale if negative else scale, ks)
    data, tally = restored(values)
    assert np.array_equal(dequantized(data).reshape(-1), values.reshape(-1))
    assert (tally.blocks, tally.exact, tally.nearest) == (1, 1, 0)


@settings(max_examples=100, deadline=None)
@given(scale=SCALES, ks=KS)
def test_a_block_of_f32_gets_the_very_scale_that_it_was_made_with(scale: float, ks: NDArray[np.int8]) -> None:
    """Where the values were not rounded to BF16, the nearest of the scales that fit loses nothing at all."""
    ks[0] = -8
    values = np.float32(scale) * ks.astype(np.float32)
    data, _ = restored(values)
    found = oracle.quants.dequantize(data.reshape(-1, Q4_0.nbytes), oracle.GGMLQuantizationType.Q4_0)
    assert np.array_equal(found.reshape(-1), values)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_block_is_called_exact_that_is_not_and_none_is_missed(seed: int) -> None:
    """Compared with trying each of the 31,743 scales for blocks on, near and off the lattice."""
    rng = np.random.default_rng(seed)
    ks = np.clip(np.rint(rng.normal(size=BLOCK) * rng.uniform(0.3, 4)), -8, 7).astype(np.int8)
    values = of_lattice(rng.normal() * 2.0 ** rng.integers(-26, 4), ks)[None]
    values.view(np.int32)[:, rng.integers(BLOCK)] += rng.integers(-1, 2) * 0x10000
    scales = np.arange(1, 0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(values / scales[:, None])
        made = rounded_to_bf16(whole * scales[:, None]) == values
    fits = (made & (np.abs(whole) <= 8)).all(axis=1) & ((whole < 8).all(axis=1) | (whole > -8).all(axis=1))
    data, tally = restored(values)
    assert tally.exact == int(fits.any())
    assert tally.exact == int(np.array_equal(dequantized(data), values))


def test_blocks_off_the_lattice_keep_ggml_s_bytes() -> None:
    rng = np.random.default_rng(5)
    values = rounded_to_bf16(rng.normal(size=(3000, BLOCK)).astype(np.float32))
    plain = ggml.quantized(values, BLOCK, Q4_0)
    data, tally = restored(values)
    assert np.array_equal(data, plain)
    assert (tally.blocks, tally.exact, tally.nearest) == (3000, 0, 0)
    assert lattice.share(values) == 0


def test_one_noisy_block_is_quantized_as_usual_and_its_neighbours_are_kept() -> None:
    rng = np.random.default_rng(6)
    values = of_lattice(rng.uniform(0.001, 0.01, 500).astype(np.float16), rng.integers(-8, 8, (500, BLOCK), np.int8))
    values[123] = rounded_to_bf16(values[123] + rng.normal(size=BLOCK).astype(np.float32) * 0.001)
    values[124] = 0
    plain = ggml.quantized(values, BLOCK, Q4_0).reshape(500, -1)
    data, tally = restored(values)
    assert (tally.blocks, tally.exact) == (500, 499)
    assert np.array_equal(data.reshape(500, -1)[123], plain[123])
    off = (dequantized(data) != values).any(axis=1)
    assert np.flatnonzero(off).tolist() == [123]
    assert (dequantized(plain) != values).any(axis=1).mean() > 0.5, "ggml alone loses something in most blocks"


def test_a_scale_that_f16_can_t_hold_keeps_every_k() -> None:
    """Values of F32 scales: the nearest F16 is a 4096th off at most, and never further from them than ggml's."""
    rng = np.random.default_rng(7)
    ks = rng.integers(-8, 8, (4000, BLOCK), np.int8)
    values = of_lattice(rng.uniform(0.001, 0.01, 4000).astype(np.float32), ks)
    data, tally = restored(values)
    assert tally.exact + tally.nearest == 4000
    assert tally.nearest > 0
    raw = data.reshape(-1, Q4_0.nbytes)
    found = np.concatenate([raw[:, 2:] & 15, raw[:, 2:] >> 4], axis=1).astype(np.int8) - 8
    scales = raw[:, :2].copy().view(np.float16)
    assert np.array_equal(found * np.sign(scales).astype(np.int8), ks)
    assert lattice.share(values) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, 1e-30])
def test_values_that_are_no_weights_are_left_alone(bad: float) -> None:
    values = of_lattice(np.full(40, 0.01), np.random.default_rng(8).integers(-8, 8, (40, BLOCK), np.int8))
    values[7, 3] = bad
    data = np.zeros(40 * Q4_0.nbytes, np.uint8)
    lattice.restore(data, values, tally := Tally())
    assert not data.reshape(40, -1)[7].any()
    assert tally.exact == 39
    assert lattice.share(values) == 39 / 40


def test_few_different_values_prove_nothing() -> None:
    values = np.full((50, BLOCK), 0.5, np.float32)
    values[:25] = 0
    assert lattice.share(values) is None


def trained(kind: checkpoints.Kind, *, embeddings: bool = True, seed: int = 0) -> checkpoints.Checkpoint:
    """A checkpoint whose matrices lie on the lattice."""
    made = checkpoints.make(kind, seed)
    rng = np.random.default_rng(seed)
    for name, values in made.tensors.items():
        is_matrix = values.ndim > 1 and "router" not in name and "per_layer_model_projection" not in name
        if not is_matrix or ("embed_tokens" in name and not embeddings):
            continue
        blocks = values.reshape(-1, BLOCK)
        scales = (np.abs(blocks).max(axis=1) / rng.choice([7, 7.5, 8], len(blocks))).astype(np.float16)
        ks = np.clip(np.rint(blocks / scales.astype(np.float32)[:, None]), -8, 7).astype(np.int8)
        made.tensors[name] = of_lattice(scales, ks).reshape(values.shape)
    return made


def differing(folder: Path, target: Path) -> set[str]:
    """The tensors of a GGUF whose values, rounded to BF16, are not those of the checkpoint."""
    source = checkpoint.read(folder)
    wrong = set()
    for tensor, entry in zip(oracle.GGUFReader(target).tensors, convert.plan(folder, "Q4_0").tensors, strict=True):
        if entry.source is None:
            continue
        with checkpoint.rows(source.tensors.values()) as rows:
            raw = rows.read(entry.source, 0, entry.source.rows)
        expected = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        values = oracle.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(-1)
        if not np.array_equal(rounded_to_bf16(np.ascontiguousarray(values)), expected):
            wrong.add(entry.name)
    return wrong


def converted(folder: Path, recipe: str, mode: str) -> convert.Converted:
    target = folder.with_name(f"{recipe}-{mode}.gguf")
    options = convert.Options(qat=mode, reproducible=True)  # type: ignore[arg-type]
    return convert.convert(folder, target, recipe, silent, Event(), options)


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_a_file_of_a_trained_checkpoint_is_the_checkpoint(kind: checkpoints.Kind, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", trained(kind))
    kept, plain = converted(folder, "Q4_0", "auto"), converted(folder, "Q4_0", "off")
    assert not differing(folder, kept.path)
    assert len(differing(folder, plain.path)) > 20
    assert kept.nbytes < plain.nbytes, "embeddings are Q4_0 too"
    marked = [tensor for tensor in kept.plan.tensors if tensor.lattice]
    assert {tensor.type.name for tensor in marked} == {"Q4_0"}
    tally = marked[0].lattice
    assert tally
    assert tally.blocks == tally.exact == sum(tensor.rows * tensor.row // BLOCK for tensor in marked)


def test_a_bf16_gguf_of_a_trained_checkpoint_is_quantized_to_the_same_file(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", trained("dense"))
    kept, whole = converted(folder, "Q4_0", "auto"), converted(folder, "BF16", "auto")
    target = tmp_path / "again.gguf"
    options = convert.Options(reproducible=True)
    again = requantize.requantize(whole.path, target, "Q4_0", silent, Event(), options)
    assert target.read_bytes() == kept.path.read_bytes()
    assert any(tensor.lattice for tensor in again.plan.tensors)
    assert requantize.requantize(whole.path, target, "Q6_K", silent, Event(), options).plan.warnings


def test_embeddings_off_the_lattice_keep_the_larger_type(tmp_path: Path) -> None:
    """As in Google's own files, whose sizes are those of Q6_K embeddings."""
    folder = checkpoints.write(tmp_path / "model", trained("ple", embeddings=False))
    kept = converted(folder, "Q4_0", "auto")
    types = {tensor.name: tensor.type.name for tensor in kept.plan.tensors}
    assert types["token_embd.weight"] == types["blk.0.ffn_up.weight"].replace("Q4_0", "Q6_K") == "Q6_K"
    assert differing(folder, kept.path) == {"token_embd.weight", "per_layer_token_embd.weight"}


@pytest.mark.parametrize("kind", checkpoints.KINDS)
def test_ordinary_weights_give_the_same_file_in_every_mode(kind: checkpoints.Kind, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", checkpoints.make(kind))
    auto, off = converted(folder, "Q4_0", "auto"), converted(folder, "Q4_0", "off")
    assert auto.path.read_bytes() == off.path.read_bytes()
    assert auto.plan.warnings == off.plan.warnings == ()
    with pytest.raises(UsageError, match="No weights lie on a Q4_0 lattice"):
        converted(folder, "Q4_0", "on")
    assert not (tmp_path / "Q4_0-on.gguf").exists()


def test_another_quant_of_a_trained_checkpoint_is_warned_of(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", trained("dense"))
    assert converted(folder, "Q8_0", "auto").plan.warnings == (
        "These weights were trained for Q4_0: --quant Q4_0 keeps them exactly, Q8_0 does not.",
    )
    assert converted(folder, "Q8_0", "off").plan.warnings == ()
    assert converted(folder, "BF16", "auto").plan.warnings == ()
    assert [*converted(folder, "Q2_K", "auto").plan.warnings] == [
        "These weights were trained for Q4_0: --quant Q4_0 keeps them exactly, Q2_K does not."
    ]
    with pytest.raises(UsageError, match="Q8_0 keeps nothing of a Q4_0 lattice"):
        converted(folder, "Q8_0", "on")
    with pytest.raises(UsageError, match="keeps all weights"):
        converted(folder, "BF16", "on")


def test_the_command_tells_what_was_kept(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "model", trained("dense"))
    arguments = ["convert", str(folder), "-q", "Q4_0", "-o"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "a.gguf")])
    assert done.exit_code == 0, done.output
    assert "Trained for Q4_0: " in done.stderr
    assert "blocks kept exactly." in done.stderr
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "b.gguf"), "--json"])
    told = checked(done.stdout)
    assert told["qat"]["tensors"] > 30
    assert told["qat"]["blocks"] == told["qat"]["exact"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "c.gguf"), "--json", "--qat", "off"])
    assert checked(done.stdout)["qat"] is None
