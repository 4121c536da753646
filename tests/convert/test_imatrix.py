"""Importance matrices: both of llama.cpp's formats, and none that is damaged."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from g4convert import imatrix
from g4local.core.errors import BadGguf, BadImatrix, G4Error, UsageError
from tests.convert import importances

SUMS = np.arange(12, dtype=np.float32).reshape(3, 4) + np.float32(0.1)
ENTRIES: importances.Entries = {
    "blk.0.ffn_down_exps.weight": (SUMS, [7, 0, 3]),
    "blk.0.attn_q.weight": (SUMS[:1], [3]),
}


def test_the_gguf_format_is_read_by_expert(tmp_path: Path) -> None:
    path = importances.write(tmp_path / "im.gguf", ENTRIES, ["a.txt", "b.txt"], chunks=5)
    found = imatrix.read(str(path))
    assert (found.datasets, found.chunks, found.chunk_tokens, found.name) == (("a.txt", "b.txt"), 5, 512, str(path))
    assert set(found.sums) == set(found.counts) == set(ENTRIES)
    weights = found.weights("blk.0.ffn_down_exps.weight")
    assert weights.dtype == np.float32
    assert weights.tolist() == [(SUMS[0] / np.float32(7)).tolist(), [1.0] * 4, (SUMS[2] / np.float32(3)).tolist()]
    assert found.unreached("blk.0.ffn_down_exps.weight") == (1,)
    assert found.unreached("blk.0.attn_q.weight") == ()


def test_the_legacy_format_is_divided_by_its_calls(tmp_path: Path) -> None:
    path = importances.write_legacy(tmp_path / "im.dat", {**ENTRIES, "x": (SUMS, [0])})
    found = imatrix.read(str(path))
    assert (found.datasets, found.chunks, found.chunk_tokens) == (("text.txt",), 3, 0)
    assert found.weights("blk.0.attn_q.weight").tolist() == [(SUMS[0] / np.float32(3)).tolist()]
    assert found.weights("blk.0.ffn_down_exps.weight").tolist() == [(SUMS / np.float32(7)).reshape(-1).tolist()]
    assert found.weights("x").tolist() == [SUMS.reshape(-1).tolist()], "llama-quantize takes the sums for means then"


def test_a_legacy_file_may_end_after_its_entries(tmp_path: Path) -> None:
    path = importances.write_legacy(tmp_path / "im.dat", ENTRIES, "")
    path.write_bytes(path.read_bytes()[:-8])
    found = imatrix.read(str(path))
    assert (found.datasets, found.chunks, len(found.sums)) == ((), 0, 2)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"x": (SUMS, [1.0] * 5)}, "12 sums for 5 counts"),
        ({"x": (-SUMS, [1, 1, 1])}, "below 0"),
        ({"x": (SUMS * np.float32(np.inf), [1, 1, 1])}, "infinite"),
        ({"x": (SUMS * np.float32(np.nan), [1, 1, 1])}, "not a number"),
        ({"x": (SUMS, [1, np.nan, 1])}, "impossible counts"),
        ({"x": (SUMS, [1, 1e30, 1])}, "impossible counts"),
        ({}, "lacks what"),
    ],
)
def test_impossible_numbers_are_one_sentence(entries: importances.Entries, said: str, tmp_path: Path) -> None:
    path = importances.write(tmp_path / "im.gguf", entries)
    with pytest.raises(BadImatrix, match=said) as caught:
        imatrix.read(str(path))
    assert caught.value.hint


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        imatrix.read(str(tmp_path / "missing"))
    for content, error in ((b"", BadImatrix), (b"some text, longer than a number", BadImatrix), (b"GGUF1", BadGguf)):
        (tmp_path / "im").write_bytes(content)
        with pytest.raises(error):
            imatrix.read(str(tmp_path / "im"))
    for number in (-1, 0, 2**31 - 1):
        (tmp_path / "im").write_bytes(number.to_bytes(4, "little", signed=True) * 9)
        with pytest.raises(BadImatrix):
            imatrix.read(str(tmp_path / "im"))


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A file of each format."""
    folder = tmp_path_factory.mktemp("imatrix")
    return (
        importances.write(folder / "im.gguf", ENTRIES).read_bytes(),
        importances.write_legacy(folder / "im.dat", ENTRIES).read_bytes(),
    )


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(intact: tuple[bytes, bytes], data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(data.draw(st.sampled_from(intact)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    path = tmp_path / "im"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(G4Error):
        found = imatrix.read(str(path))
        assert all(np.isfinite(found.weights(name)).all() for name in found.sums)
