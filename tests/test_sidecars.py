"""What belongs together is found by what stands in the files."""

import shutil
from pathlib import Path

import gguf as oracle
import numpy as np
import pytest

from g4local import library, sidecars
from g4local.core.errors import BadGguf, ModelNotFound
from tests.families import NARROW, WIDE, Family


@pytest.fixture
def mixed(tmp_path: Path, family: Family, narrow: Family) -> Path:
    """Both families in one folder, under names that say the opposite."""
    names = ("mmproj-x.gguf", "model.gguf", "31B.gguf")
    for width, each in (("wide", family), ("narrow", narrow)):
        for name, source in zip(names, (each.model, each.towers, each.drafter), strict=True):
            shutil.copy(source, tmp_path / f"{width}-{name}")
    return tmp_path


def test_a_file_is_what_it_says_inside(family: Family, narrow: Family) -> None:
    for each, width in ((family, WIDE), (narrow, NARROW)):
        parts = [sidecars.read(path) for path in (each.model, each.towers, each.drafter)]
        assert [part.kind for part in parts] == ["model", "mmproj", "drafter"]
        assert [part.width for part in parts] == [width] * 3


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_towers_and_drafters_are_found_by_width_and_never_by_name(mixed: Path, width: str) -> None:
    model = sidecars.read(mixed / f"{width}-mmproj-x.gguf")
    found = sidecars.beside(model, "mmproj", "drafter")
    assert {part.kind: part.path.name for part in found} == {
        "mmproj": f"{width}-model.gguf",
        "drafter": f"{width}-31B.gguf",
    }
    drafter = library.drafter(model.path, print)
    assert drafter and drafter.name == f"{width}-31B.gguf"


def test_what_was_made_for_a_model_does_not_fit_another_one_nor_itself(family: Family, narrow: Family) -> None:
    model, towers, drafter = (sidecars.read(path) for path in (family.model, family.towers, family.drafter))
    other = sidecars.read(narrow.model)
    assert towers.fits(model) and drafter.fits(model)
    assert not any(part.fits(other) for part in (towers, drafter, model))
    assert not model.fits(model)


def test_towers_in_sixteen_bits_and_the_smallest_drafter_come_first(tmp_path: Path, family: Family) -> None:
    shutil.copy(family.model, tmp_path / "model.gguf")
    shutil.copy(family.towers, tmp_path / "z.gguf")
    header = sidecars.read(family.towers)
    assert header.file_type == 32
    for name in ("a", "b"):
        shutil.copy(family.drafter, tmp_path / f"{name}.gguf")
    with (tmp_path / "a.gguf").open("ab") as file:
        file.write(bytes(64))
    found = sidecars.best(sidecars.beside(sidecars.read(tmp_path / "model.gguf"), "mmproj", "drafter"))
    assert [part.path.name for part in found] == ["b.gguf", "z.gguf"]


def test_other_families_and_what_can_not_be_read_are_refused(tmp_path: Path) -> None:
    file = oracle.GGUFWriter(tmp_path / "gemma-3-towers.gguf", "clip")
    file.add_string("clip.vision.projector_type", "gemma3")
    file.add_uint32("clip.vision.projection_dim", WIDE)
    file.add_tensor("v.patch_embd.weight", np.ones((4, 3, 2, 2), np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    with pytest.raises(BadGguf, match="another family"):
        sidecars.read(tmp_path / "gemma-3-towers.gguf")
    with pytest.raises(ModelNotFound):
        sidecars.read(tmp_path / "none.gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(BadGguf):
        sidecars.read(tmp_path / "broken.gguf")
    assert list(sidecars.readable([tmp_path / "broken.gguf"])) == []
