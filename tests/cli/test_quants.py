"""`g4local quants`, and what `convert` takes beside the name of a quant."""

import json
from pathlib import Path

import pytest

from g4convert import convert, gguf
from g4convert.recipes import RECIPES
from tests.cli.conftest import Run
from tests.cli.test_commands import DEMO, told
from tests.convert import family, importances


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An importance matrix for the demo model."""
    return importances.write(
        tmp_path_factory.mktemp("matrix") / "demo.gguf", family.importance(convert.plan(DEMO, "BF16"), reached=True)
    )


def test_every_quant_is_listed_with_its_sizes(g4local: Run) -> None:
    listed = json.loads(g4local("quants", "--json").stdout)
    found = {entry["name"]: entry for entry in listed["quants"]}
    assert [*found] == [*RECIPES]
    assert (found["Q4_K_M"]["bytes"]["31b"] / 2**30, found["Q4_K_M"]["imatrix"]) == (
        pytest.approx(17.389, abs=0.001),
        "helps",
    )
    assert found["Q8_0"]["bits_per_weight"]["12b"] == pytest.approx(8.5, abs=0.01)
    assert found["IQ2_XXS"]["imatrix"] == "needed"
    assert found["Q8_0"]["imatrix"] == "unused"
    assert "26b-a4b" not in found["Q1_0"]["bytes"], "its blocks do not fit"
    table = g4local("quants").stdout.splitlines()
    assert len(table) == len(RECIPES) + 1
    assert max(map(len, table)) <= 80


def test_help_names_every_quant(g4local: Run) -> None:
    words = g4local("convert", "--help").stdout.replace(",", " ").replace(";", " ").split()
    assert set(RECIPES) <= set(words)


def test_an_importance_matrix_and_types_by_hand_are_used_and_kept_in_the_file(
    g4local: Run, matrix: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.gguf"
    said = (
        "-q",
        "IQ4_XS",
        "--imatrix",
        str(matrix),
        "--tensor-type",
        r"blk\.0\.attn_q=Q8_0",
        "--embedding-type",
        "q5_0",
    )
    finished = g4local("convert", str(DEMO), "-o", str(target), *said, "--json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["warnings"] == []
    header = gguf.read(target)
    types = {tensor.name: tensor.type.name for tensor in header.tensors}
    assert (types["blk.0.attn_q.weight"], types["token_embd.weight"]) == ("Q8_0", "Q5_0")
    assert header.keys["quantize.imatrix.file"].data == matrix.name
    assert header.keys["quantize.imatrix.chunks_count"].data == 3


def test_what_hurts_is_told_in_the_plan_and_before_writing(g4local: Run, tmp_path: Path) -> None:
    entries = family.importance(convert.plan(DEMO, "BF16"), reached=True)
    entries.pop("blk.0.attn_q.weight")
    short = importances.write(tmp_path / "short.gguf", entries)
    said = ("-q", "Q4_0", "--imatrix", str(short))
    for more in (("--plan",), ("-o", str(tmp_path / "out.gguf"))):
        finished = g4local("convert", str(DEMO), *said, *more, "--json")
        (warning,) = json.loads(finished.stdout)["warnings"]
        assert "blk.0.attn_q.weight" in warning
        assert finished.stderr.count("warning: ") == 1


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("-q", "IQ2_XXS"), 2),
        (("--imatrix", "missing"), 2),
        (("--imatrix", ""), 2),
        (("--imatrix", str(DEMO / "config.json")), 4),
        (("--tensor-type", "nonsense"), 2),
        (("--tensor-type", "attn_x=Q8_0"), 2),
        (("--embedding-type", "Q9"), 2),
        (("-q", "BF16", "--embedding-type", "Q8_0"), 2),
    ],
)
def test_what_can_t_be_followed_is_one_sentence_and_no_file(
    flags: tuple[str, ...], code: int, g4local: Run, tmp_path: Path
) -> None:
    told(g4local("convert", str(DEMO), "-o", str(tmp_path / "out.gguf"), *flags), code)
    told(g4local("convert", str(DEMO), "--plan", *flags), code)
    assert list(tmp_path.iterdir()) == []
