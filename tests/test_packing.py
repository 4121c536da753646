"""Packs: what goes into one, that it comes out whole or not at all, and that a hostile one does nothing."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local import copying, library, manifest, packing
from g4local.copying import Copy
from g4local.core.errors import Cancelled, G4Error, ModelNotFound, UnusableFile, UsageError
from g4local.core.progress import Progress, Report, silent
from g4local.manifest import Entry, Manifest
from g4local.packing import Wish
from g4local.settings import Paths, paths
from tests.convert import rewriting
from tests.families import Family
from tests.test_receipts import receipt


@pytest.fixture
def places(own_home: Path) -> Paths:
    return paths(os.environ)


@pytest.fixture
def stick(places: Paths, family: Family, tmp_path: Path) -> Path:
    """A pack of a model and what belongs to it."""
    pack(places, family.model, tmp_path / "stick")
    return tmp_path / "stick"


@pytest.mark.parametrize(("nbytes", "is_fat"), [((1 << 32) - 1, False), (1 << 32, True)])
def test_only_of_a_file_that_fat_can_not_hold_fat_is_spoken(nbytes: int, is_fat: bool) -> None:
    failed = OSError(errno.EFBIG, "File too large")
    error = copying._unwritable(Copy(Path("a"), Path("b"), nbytes), failed)
    assert ("FAT" in error.hint) is is_fat and "too large" in error.message


def pack(places: Paths, model: Path | str, folder: Path, **wish: Any) -> Manifest:
    return packing.pack(Wish(str(model), **wish), folder, places, silent, Event())


def unpack(places: Paths, folder: Path) -> list[str]:
    return [each.entry.kind for each in packing.unpack(folder, places, silent, Event()) if not each.was_here]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a pack's manifest."""
    path = folder / manifest.NAME
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_model_travels_with_what_belongs_to_it(places: Paths, family: Family, stick: Path) -> None:
    assert names(stick) == ["a.gguf", "b.gguf", "c.gguf", manifest.NAME]
    assert unpack(places, stick) == ["model", "drafter", "mmproj"]
    for each in (family.model, family.towers, family.drafter):
        assert (places.models / each.name).read_bytes() == each.read_bytes()
    drafter = library.drafter(library.find("a", places).path, print)
    assert drafter and drafter.name == "c.gguf"
    assert unpack(places, stick) == [], "they are here already"


def test_links_are_packed_as_the_files_that_they_lead_to(places: Paths, family: Family, tmp_path: Path) -> None:
    places.models.mkdir()
    (places.models / "mine.gguf").symlink_to(family.model)
    (places.models / "mine.receipt.json").symlink_to(family.model)  # none that is believed
    made = pack(places, "mine", tmp_path / "new" / "stick", sidecars=False)
    assert [entry.name for entry in made.files] == ["mine.gguf"]
    assert not (tmp_path / "new" / "stick" / "mine.gguf").is_symlink()


def test_a_model_in_several_files_travels_whole(places: Paths, family: Family, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    first = rewriting.write(family.model, parts / "big-{:05}-of-00003.gguf", parts=3)
    pack(places, first, tmp_path / "stick")
    assert unpack(places, tmp_path / "stick") == ["model"] * 3
    assert [name for name in names(places.models) if "pulled" not in name] == names(parts)
    rewrite(tmp_path / "stick", lambda content: content["files"].pop())
    with pytest.raises(UnusableFile, match="not what the pack's manifest says"):
        unpack(paths({"G4LOCAL_HOME": str(tmp_path / "other")}), tmp_path / "stick")


def test_a_checkpoint_is_converted_first(places: Paths, tmp_path: Path) -> None:
    made = pack(places, "demo", tmp_path / "stick", quant="q4_0")
    assert [entry.name for entry in made.files] == ["demo-Q4_0.gguf"]


def test_what_is_there_is_not_replaced(places: Paths, stick: Path, narrow: Family, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a pack already"):
        pack(places, narrow.model, stick)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.gguf").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        pack(places, narrow.model, tmp_path / "full")
    assert names(tmp_path / "full") == ["a.gguf"]
    places.models.mkdir()
    (places.models / "b.gguf").write_bytes(narrow.towers.read_bytes())
    with pytest.raises(UsageError, match="is there already"):
        unpack(places, stick)
    assert names(places.models) == ["b.gguf"]


@pytest.mark.parametrize("name", ["what?.gguf", "-x.gguf", "a:b.gguf"])
def test_what_could_not_be_unpacked_is_not_packed(places: Paths, family: Family, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="on every disk"):
        pack(places, shutil.copy(family.model, tmp_path / name), tmp_path / "stick")


def test_towers_alone_are_no_pack(places: Paths, family: Family, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only belongs to a model"):
        pack(places, family.towers, tmp_path / "stick")
    with pytest.raises(ModelNotFound):
        pack(places, "none", tmp_path / "stick")
    assert not (tmp_path / "stick").exists()


@pytest.mark.parametrize("name", ["a.gguf", "b.gguf", "c.gguf"])
def test_one_flipped_bit_keeps_all_of_it_out(places: Paths, stick: Path, name: str) -> None:
    content = bytearray((stick / name).read_bytes())
    content[-1] ^= 1
    (stick / name).write_bytes(content)
    with pytest.raises(UnusableFile, match="is not what was packed"):
        unpack(places, stick)
    assert names(places.models) == []


def _cancelled_at(nbytes: int) -> tuple[Report, Event]:
    cancel = Event()

    def report(progress: Progress) -> None:
        if progress.stage == "copy" and progress.done >= nbytes:
            cancel.set()

    return report, cancel


@pytest.mark.parametrize("nbytes", [0, 5_000_000, 11_297_792])
def test_what_is_stopped_leaves_nothing(
    places: Paths, family: Family, stick: Path, tmp_path: Path, nbytes: int
) -> None:
    report, cancel = _cancelled_at(nbytes)
    with pytest.raises(Cancelled):
        packing.unpack(stick, places, report, cancel)
    assert names(places.models) == []
    report, cancel = _cancelled_at(nbytes)
    with pytest.raises(Cancelled):
        packing.pack(Wish(str(family.model)), tmp_path / "other", places, report, cancel)
    assert not (tmp_path / "other").exists()


def test_a_disk_that_is_too_small_is_told_first(
    places: Paths, family: Family, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(G4Error, match="only 1 B free"):
        unpack(places, stick)
    with pytest.raises(G4Error, match="only 1 B free"):
        pack(places, family.model, tmp_path / "other")
    assert names(places.models) == [] and not (tmp_path / "other").exists()


def test_without_its_manifest_a_pack_leaves_no_files(
    places: Paths, family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifest, "write_whole", refuse)
    with pytest.raises(G4Error, match="No space left on device"):
        pack(places, family.model, tmp_path / "stick")
    assert not (tmp_path / "stick").exists()


HOSTILE_NAMES = [
    "/etc/passwd.gguf",
    "../a.gguf",
    "..\\a.gguf",
    "x/../../a.gguf",
    "",
    ".gguf",
    ".hidden.gguf",
    "-rf.gguf",
    "a.gguf\0",
    "a\n.gguf",
    "\u202eb.gguf",
    "c:a.gguf",
    "pulled.json",
    "a.gguf.part",
    "a.receipt.json",
    f"{'x' * 300}.gguf",
    "\ud800.gguf",
    "nothing.gguf",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_leads_elsewhere_or_is_none_is_refused(places: Paths, stick: Path, name: str) -> None:
    rewrite(stick, lambda content: content["files"][0].update(name=name))
    with pytest.raises(UnusableFile):
        unpack(places, stick)
    assert names(places.models) == []


def test_a_link_in_a_pack_is_not_followed(places: Paths, stick: Path, tmp_path: Path) -> None:
    for name, target in (("b.gguf", tmp_path / "b.gguf"), (manifest.NAME, tmp_path / "elsewhere.json")):
        (stick / name).rename(target)
        (stick / name).symlink_to(target)
        with pytest.raises(UnusableFile):
            unpack(places, stick)
        (stick / name).unlink()
        target.rename(stick / name)
    (stick / "b.gguf").unlink()
    os.mkfifo(stick / "b.gguf")
    with pytest.raises(UnusableFile, match="is a link, a folder or a device"):
        unpack(places, stick)
    (stick / manifest.NAME).unlink()
    os.mkfifo(stick / manifest.NAME)
    with pytest.raises(UnusableFile, match="it is no file"):
        unpack(places, stick)
    assert names(places.models) == []


def _twice(content: dict[str, Any]) -> None:
    content["files"].append(content["files"][0])


def _twice_in_capitals(content: dict[str, Any]) -> None:
    content["files"].append({**content["files"][0], "name": "A.gguf"})


@pytest.mark.parametrize(
    "change",
    [
        _twice,
        _twice_in_capitals,
        lambda content: content.update(schema="g4local.pack/2"),
        lambda content: content.update(files=[]),
        lambda content: content.update(files=None),
        lambda content: content.update(files=content["files"] * 400),
        lambda content: content.update(model=7),
        lambda content: content["files"].pop(0),
        lambda content: content["files"][0].update(bytes=2**70),
        lambda content: content["files"][0].update(bytes=-1),
        lambda content: content["files"][0].update(bytes=True),
        lambda content: content["files"][0].update(bytes=1e300),
        lambda content: content["files"][0].update(sha256="0" * 63),
        lambda content: content["files"][0].update(kind="drafter"),
        lambda content: content["files"][1].update(kind="model"),
        lambda content: content["files"][0].update(kind="program"),
        lambda content: content["files"][0].update(mode=0o777),
        lambda content: content["files"].append("b.gguf"),
        lambda content: content["files"][0].pop("sha256"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    places: Paths, stick: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    rewrite(stick, change)
    with pytest.raises(UnusableFile):
        unpack(places, stick)
    assert names(places.models) == []


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b"\xff\xfe", b"[" * 200_000, b'{"schema": ' + b"9" * 5000 + b"}", b" " * 1_000_001,
     b'{"schema": "g4local.pack/1", "schema": "g4local.pack/1"}'],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(places: Paths, stick: Path, text: bytes) -> None:
    (stick / manifest.NAME).write_bytes(text)
    with pytest.raises(UnusableFile):
        unpack(places, stick)


def test_a_folder_without_a_manifest_is_no_pack(places: Paths, family: Family) -> None:
    with pytest.raises(ModelNotFound, match="holds no pack"):
        unpack(places, family.model.parent)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(field=st.sampled_from(["schema", "model", "files", "name", "kind", "bytes", "sha256"]), value=JSON)
def test_whatever_stands_in_a_manifest_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    folder = tmp_path_factory.mktemp("pack")
    (folder / "a.gguf").write_bytes(b"GGUF")
    file = {"name": "a.gguf", "kind": "model", "bytes": 4, "sha256": sha256(b"GGUF").hexdigest()}
    content = {"schema": manifest.SCHEMA, "model": "a", "files": [file]}
    (file if field in file else content)[field] = value
    (folder / manifest.NAME).write_text(json.dumps(content), encoding="utf-8")
    try:
        found = manifest.read(folder)
    except UnusableFile:
        return
    assert found.files == (Entry("a.gguf", "model", 4, file["sha256"]),)


@pytest.fixture
def receipted(stick: Path, family: Family) -> Path:
    """The pack's receipt, of its model."""
    content = dict(receipt(stick / "a.gguf").content)
    content["model"] = {
        "name": "a.gguf",
        "bytes": family.model.stat().st_size,
        "sha256": sha256(family.model.read_bytes()).hexdigest(),
    }
    path = stick / "a.receipt.json"
    path.write_text(json.dumps(content))
    entry = {"name": path.name, "kind": "receipt"}
    rewrite(stick, lambda content: content["files"].append({**entry, **listed(path)}))
    return path


def listed(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()}


def test_a_receipt_travels_with_its_model(places: Paths, stick: Path, receipted: Path) -> None:
    assert "receipt" in unpack(places, stick)


@pytest.mark.parametrize("how", ["junk", "of another file", "of no model"])
def test_a_receipt_that_is_none_keeps_all_of_it_out(places: Paths, stick: Path, receipted: Path, how: str) -> None:
    if how == "of no model":
        receipted = receipted.rename(stick / "b.receipt.json")
    elif how == "junk":
        receipted.write_bytes(b"\x7fELF")
    else:
        receipted.write_text(
            receipted.read_text().replace(sha256((stick / "a.gguf").read_bytes()).hexdigest(), "0" * 64)
        )
    rewrite(stick, lambda content: content["files"][-1].update(name=receipted.name, **listed(receipted)))
    with pytest.raises(UnusableFile, match="no receipt of the model"):
        unpack(places, stick)
    assert names(places.models) == []
