"""Verifying: what a file is compared with, and that nothing that differs is passed over."""

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from g4convert.gguf import string
from g4local import hashing, library, pins, receipts, verifying
from g4local.core.errors import Cancelled, ModelNotFound, UsageError
from g4local.core.progress import silent
from g4local.pins import Pin
from g4local.releases import Release
from g4local.settings import Paths, paths
from g4local.verifying import Verdict
from tests import checkpoints
from tests.convert import rewriting
from tests.families import Family
from tests.test_receipts import RESULT

JULY = "{%- set preserve_thinking = true -%}<|tool_call>call:"
APRIL = "{#- OpenAI Chat Completions: -#}<|tool_call>call:"


@pytest.fixture
def places(own_home: Path, family: Family) -> Paths:
    found = paths(os.environ)
    shutil.copytree(family.model.parent, found.models)
    return found


def verify(places: Paths, name: str | None = None) -> dict[str, Verdict]:
    return {each.path.name: each for each in verifying.verify(name, places, silent, Event())}


def flip(path: Path, place: int = -1) -> None:
    """Change a bit as a failing disk does: size and time stay."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def pin(places: Paths, name: str, digest: str | None = None) -> None:
    content = (places.models / name).read_bytes()
    found = Pin(name, "owner/repo", name, "c0ffee", len(content), digest or sha256(content).hexdigest())
    pins.remember(places.models, [found])


def test_what_a_file_came_with_is_known_however_its_path_leads_there(
    places: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(places, "a.gguf", "0" * 64)
    monkeypatch.chdir(places.models.parent)
    (tmp_path / "folder").symlink_to(places.models)
    (tmp_path / "link.gguf").symlink_to(places.models / "a.gguf")
    for name in ("models/a.gguf", "models/../models/a.gguf", f"{tmp_path}/folder/a.gguf", f"{tmp_path}/link.gguf"):
        (first, *_) = verifying.verify(name, places, silent, Event())
        assert first.against[-1:] == ("pull",) and "with which it came" in first.problems[-1], name
    elsewhere = shutil.move(places.models / "a.gguf", tmp_path / "a.gguf")
    assert verify(places, str(elsewhere))["a.gguf"].is_whole
    (places.models / "a.gguf").symlink_to(elsewhere)
    assert not verify(places, "models/a.gguf")["a.gguf"].is_whole


def test_what_is_seen_first_is_kept_and_found_again(places: Paths) -> None:
    first = verify(places)
    assert set(first) == {"a.gguf", "b.gguf", "c.gguf"}
    assert all(each.is_whole and each.against == () for each in first.values())
    digests = {name: sha256((places.models / name).read_bytes()).hexdigest() for name in first}
    assert {name: each.digest for name, each in first.items()} == digests
    assert {each.against for each in verify(places).values()} == {("earlier",)}


def test_a_flipped_bit_is_found_again_and_again(places: Paths) -> None:
    verify(places)
    flip(places.models / "b.gguf")
    for _ in range(2):
        found = verify(places)
        assert [name for name, each in found.items() if not each.is_whole] == ["b.gguf"]
        assert "the disk may be failing" in found["b.gguf"].problems[0]
    flip(places.models / "b.gguf")
    assert verify(places)["b.gguf"].is_whole


def test_a_file_that_was_written_anew_is_no_failing_disk(places: Paths, narrow: Family) -> None:
    verify(places)
    shutil.copy(narrow.model, places.models / "a.gguf")
    assert verify(places)["a.gguf"].against == ()


def test_what_was_pulled_has_to_be_as_it_was_pulled(places: Paths) -> None:
    pin(places, "a.gguf")
    pin(places, "b.gguf")
    pin(places, "c.gguf", digest="0" * 40)  # of git, which says nothing here
    assert verify(places)["a.gguf"].against == ("pull",)
    (places.models / "a.gguf").write_bytes((places.models / "a.gguf").read_bytes() + b"\0")
    flip(places.models / "b.gguf")
    found = verify(places)
    assert "instead of" in found["a.gguf"].problems[0] and "3,311,201 bytes" in found["a.gguf"].problems[1]
    assert len(found["b.gguf"].problems) == 2 and found["c.gguf"].is_whole


def test_a_receipt_tells_the_hash_too(places: Paths) -> None:
    model = places.models / "a.gguf"
    told = {"name": "a.gguf", "bytes": model.stat().st_size, "sha256": sha256(model.read_bytes()).hexdigest()}
    content = {"schema": receipts.SCHEMA, "model": told, "text": {"names": []}}
    result = {"result": {name: getattr(RESULT, name) for name in RESULT.__slots__}}
    receipts.place(model).write_text(json.dumps({**content, **result}))
    assert verify(places, "a")["a.gguf"].against == ("receipt",)
    flip(model)
    assert "as its receipt says" in " ".join(verify(places, "a")["a.gguf"].problems)


@pytest.mark.parametrize(
    ("template", "note"),
    [
        (JULY, ()),
        ("  ", ()),
        (APRIL, ("carries the April template; the built-in July one is used",)),
        (checkpoints.TEMPLATE, ("carries a template that is not Google's; the built-in July one is used",)),
    ],
)
def test_an_old_template_is_told(places: Paths, family: Family, template: str, note: tuple[str, ...]) -> None:
    rewriting.write(family.model, places.models / "other.gguf", more={"tokenizer.chat_template": string(template)})
    assert verify(places, "other")["other.gguf"].notes == note


def test_a_known_release_is_called_so_and_is_found_by_that_name(places: Paths, known_release: Release) -> None:
    (verdict,) = (each for name, each in verify(places, "a").items() if name == "a.gguf")
    assert verdict.against == () and f"is {known_release.told}" in verdict.notes
    assert known_release.called == "e2b:qat-q4_0"
    assert library.find("e2b", places).path == places.models / "a.gguf"
    flip(places.models / "a.gguf")
    found = verify(places, "e2b:qat")["a.gguf"]
    assert found.against == ("earlier", "pull") and "with which it came" in found.problems[1]


def test_a_model_is_verified_with_what_fits_it_and_wherever_it_lies(
    places: Paths, narrow: Family, tmp_path: Path
) -> None:
    shutil.copy(narrow.towers, places.models / "towers.gguf")
    assert set(verify(places, "a")) == {"a.gguf", "b.gguf", "c.gguf"}
    parts = tmp_path / "parts"
    parts.mkdir()
    first = rewriting.write(narrow.model, parts / "big-{:05}-of-00003.gguf", parts=3)
    assert len(verify(places, str(first))) == 3
    first.with_name("big-00002-of-00003.gguf").unlink()
    assert "can't be used" in verify(places, str(first))[first.name].problems[0]


def test_what_can_not_be_read_differs(places: Paths, tmp_path: Path) -> None:
    (places.models / "cut.gguf").write_bytes((places.models / "a.gguf").read_bytes()[:5000])
    (places.models / "gone.gguf").symlink_to(tmp_path / "unplugged")
    (places.models / "folder.gguf").mkdir()
    found = verify(places)
    assert {name for name, each in found.items() if not each.is_whole} == {"cut.gguf", "gone.gguf"}
    assert found["gone.gguf"].problems == (f"is a link to {tmp_path}/unplugged, which is not there",)
    (places.models / "gone.gguf").unlink()
    (places.models / "gone.gguf").symlink_to("/dev/zero")
    assert verify(places)["gone.gguf"].problems == ("is no file",)


def test_other_things_are_no_models(places: Paths, tmp_path: Path) -> None:
    for name, error in (("demo", UsageError), ("none", ModelNotFound), (str(tmp_path), UsageError)):
        with pytest.raises(error):
            verify(places, name)


def test_it_can_be_stopped(places: Paths) -> None:
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        verifying.verify(None, places, silent, cancel)
    assert not (places.cache / hashing.MEMO).exists()
