"""What lists tell of models: the same numbers as the files, the catalog and the planner."""

import os
import shutil
from pathlib import Path

import pytest

from g4convert import gguf, recipes
from g4local import inventory, library, pins, planner
from g4local.backend.engine import LoadOptions
from g4local.backend.fit.fitting import Resources
from g4local.library import Model
from g4local.pins import Pin
from g4local.settings import Paths, paths
from tests.conftest import Tiny
from tests.families import Family


def places() -> Paths:
    return paths(os.environ)


def test_a_model_that_is_here_is_told_by_its_file(tiny: Tiny) -> None:
    path = tiny("ple", "Q8_0")
    found = inventory.local(Model("tiny", path, "gguf"))
    assert (found.quant, found.nbytes, found.modified) == ("Q8_0", path.stat().st_size, path.stat().st_mtime)


def test_one_that_can_not_be_read_stays_in_the_list(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF, but not for long")
    assert inventory.local(Model("a", tmp_path / "a.gguf", "gguf")).quant == inventory.UNREADABLE


def test_what_was_read_once_is_not_read_again_until_it_changes(
    tiny: Tiny, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, other = library.models_folder(places()), tiny("dense", "Q4_0")
    shutil.copy(tiny("dense", "Q8_0"), models / "a.gguf")
    (models / "broken.gguf").write_bytes(b"GGUF, but not for long")
    expected = {"demo": "Q8_0", "a": "Q8_0", "broken": inventory.UNREADABLE}
    assert {each.model.name: each.quant for each in inventory.listed(places())} == expected
    seen: list[Path] = []
    read = gguf.read
    monkeypatch.setattr(gguf, "read", lambda path, *more: seen.append(path) or read(path, *more))
    assert {each.model.name: each.quant for each in inventory.listed(places())} == expected
    assert seen == [models / "broken.gguf"]
    shutil.copy(other, models / "a.gguf")
    for _ in range(2):
        assert {each.model.name: each.quant for each in inventory.listed(places())} == {**expected, "a": "Q4_0"}
    assert seen.count(models / "a.gguf") == 1


def test_a_list_needs_no_place_to_remember_in(tiny: Tiny, own_home: Path) -> None:
    shutil.copy(tiny("dense", "Q8_0"), library.models_folder(places()) / "a.gguf")
    places().cache.write_text("no folder")
    assert [each.quant for each in inventory.listed(places())] == ["Q8_0", "Q8_0"]


def test_the_demo_is_told_as_it_will_be_quantized() -> None:
    found = inventory.local(library.find("demo", places()))
    assert (found.quant, found.model.kind) == (library.DEMO_RECIPE, "checkpoint")


def test_every_offer_has_a_recipe_and_a_size_that_is_known_or_reckoned() -> None:
    for offer in inventory.offers(places()):
        if offer.entry.kind == "model":
            assert offer.recipe in recipes.RECIPES
            assert offer.nbytes > 1e9
        assert not offer.is_here


def test_an_offer_that_was_pulled_is_here_as_long_as_its_file_is() -> None:
    models = library.models_folder(places())
    (models / "a.gguf").write_bytes(b"12345")
    pins.remember(models, [Pin("a.gguf", "owner/repo", "a.gguf", "", 5, "0" * 64, "e2b", "Q8_0", "model")])
    assert [offer.name for offer in inventory.offers(places()) if offer.is_here] == ["e2b:q8_0"]
    (models / "a.gguf").unlink()
    assert not any(offer.is_here for offer in inventory.offers(places()))


def test_a_drafter_counts_unless_only_the_model_fits(tmp_path: Path, family: Family) -> None:
    for source in (family.model, family.drafter):
        shutil.copy(source, tmp_path)
    candidate = inventory.gguf(tmp_path / family.model.name, "tiny", print)
    assert candidate.drafter > 0
    asked = LoadOptions(Path(), context=1024)
    roomy = inventory.fit(candidate, asked, Resources(1 << 40))
    assert roomy.setting.drafter == candidate.drafter
    narrow = inventory.fit(candidate, asked, Resources(roomy.need.total - roomy.need.drafter))
    assert (narrow.setting.drafter, narrow.verdict) == (0, "tight")


def test_a_size_of_the_family_fits_as_the_planner_says() -> None:
    candidate = planner.of_size("31b", "Q8_0")
    fit = inventory.fit(candidate, LoadOptions(Path(), context=8192), Resources(8 << 30))
    assert (fit.verdict, fit.setting.context) == ("no", 8192)
