"""Pulling: which files come, under which names, and what is trusted."""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from g4local import library, pins, pulling
from g4local.catalog import catalog, reference
from g4local.core.errors import G4Error, ModelNotFound, NetworkError, UsageError
from g4local.core.progress import silent
from g4local.hub import downloading
from g4local.pulling import Choice, Context, Pulled
from g4local.settings import Paths, paths
from tests.conftest import Tiny
from tests.hub_server import Fault
from tests.hubs import Hub, noise

REPO = "owner/gemma-tiny-GGUF"
E2B = "google/gemma-4-E2B-it-qat-q4_0-gguf"


@pytest.fixture
def places(own_home: Path) -> Paths:
    return paths(os.environ)


def pull(name: str, places: Paths, told: list[str] | None = None, **choice: bool) -> list[Pulled]:
    tell = told.append if told is not None else lambda text: None
    return pulling.pull(reference(name), Choice(**choice), Context(places, silent, Event(), tell))


def names(places: Paths) -> list[str]:
    return sorted(path.name for path in places.models.iterdir() if not path.name.startswith((".", "pulled")))


def test_a_pulled_model_has_a_plain_name_and_can_be_found_by_it(here: Hub, places: Paths, tiny: Tiny) -> None:
    here.put(REPO, "sub/gemma-tiny-Q8_0.gguf", tiny("dense", "Q8_0").read_bytes())
    told: list[str] = []
    (pulled,) = pull(f"{REPO}:q8_0", places, told)
    assert (pulled.origin, pulled.is_first, told) == ("download", True, [])
    assert names(places) == ["gemma-tiny-Q8_0.gguf"]
    assert library.find("gemma-tiny-Q8_0", places).path == pulled.path
    for name in (REPO, f"hf.co/{REPO}:Q8_0", f"{REPO}:gemma-tiny-Q8_0.gguf"):
        assert library.find(name, places).path == pulled.path
    for name in (f"{REPO}:q4_0", "other/repo:q8_0"):
        with pytest.raises(ModelNotFound):
            library.find(name, places)
    again = pull(f"{REPO}:q8_0", places)
    assert (again[0].origin, again[0].is_first) == ("here", False)


def test_a_size_that_was_pulled_is_found_by_its_name(here: Hub, places: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    (places.models).mkdir()
    with pytest.raises(ModelNotFound) as caught:
        library.find("26b", places)
    assert "g4local pull 26b" in caught.value.hint
    here.put("google/gemma-4-26B-A4B-it-qat-q4_0-gguf", "gemma-4-26B_q4_0-it.gguf", noise(2000))
    pull("26b", places, update=True)
    for name in ("26b", "26b-a4b", "gemma-4-26b-a4b-it", "26b:qat", "26B-A4B:QAT-Q4_0"):
        assert library.find(name, places).path.name == "gemma-4-26B_q4_0-it.gguf"
    with pytest.raises(ModelNotFound):
        library.find("26b:q8_0", places)
    here.faults(Fault("api", status=500))
    assert [each.origin for each in pull("26b", places)] == ["here"]
    assert here.log() == []


def test_a_size_that_was_converted_is_found_by_its_name(places: Paths) -> None:
    places.models.mkdir()
    (places.models / "gemma-4-E2B-it-Q5_K_M.gguf").write_bytes(b"GGUF")
    assert library.find("e2b", places).name == "gemma-4-E2B-it-Q5_K_M"
    assert library.find("e2b:q5_k_m", places).name == "gemma-4-E2B-it-Q5_K_M"
    with pytest.raises(ModelNotFound):
        library.find("e2b:q8_0", places)


def test_towers_are_not_taken_for_their_model(places: Paths) -> None:
    places.models.mkdir()
    towers = places.models / "gemma-4-E2B-it-mmproj.gguf"
    towers.write_bytes(_clip())
    with pytest.raises(ModelNotFound):
        library.find("e2b", places)


def _clip() -> bytes:
    """The beginning of a GGUF with towers."""
    key, value = b"general.architecture", b"clip"
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", len(key)) + key + struct.pack("<I", 8)
    return head + struct.pack("<Q", len(value)) + value


def test_model_towers_and_drafter_come_together(here: Hub, places: Paths) -> None:
    here.put(REPO, "gemma-tiny-Q4_K_M.gguf", noise(300_000))
    here.put(REPO, "mmproj-F16.gguf", noise(200_000, 1, "clip"))
    here.put(REPO, "mtp-gemma-tiny.gguf", noise(100_000, 2, "gemma4-assistant"))
    told: list[str] = []
    pulled = pull(REPO, places, told, mmproj=True, drafter=True)
    assert [each.pin.kind for each in pulled] == ["model", "mmproj", "drafter"]
    assert names(places) == ["gemma-tiny-Q4_K_M.gguf", "gemma-tiny-mmproj-F16.gguf", "mtp-gemma-tiny.gguf"]
    assert (places.models / "gemma-tiny-mmproj-F16.gguf").read_bytes() == noise(200_000, 1, "clip")
    assert told == []


def test_what_is_here_as_it_is_asked_for_is_found_without_the_hub(here: Hub, places: Paths) -> None:
    part = "gemma-tiny-BF16-0000{}-of-00002.gguf".format
    for name in ("gemma-tiny-Q8_0.gguf", "other-gemma-Q8_0.gguf", "mmproj-F16.gguf", part(1), part(2)):
        here.put(REPO, name, noise(2000, len(name), "clip" if "mmproj" in name else "gemma4"))
    asked = (REPO, f"{REPO}:bf16", f"{REPO}@v1:q8_0", f"{REPO}:mmproj-F16.gguf")
    for name in asked:
        pull(name, places, mmproj=name == REPO)
    here.faults(Fault("api", status=500))
    for name in (*asked, f"{REPO}:q8_0", f"{REPO}:{part(2)}"):
        assert {each.origin for each in pull(name, places, mmproj=name == REPO)} == {"here"}, name
    assert here.log() == []
    for name in (f"{REPO}:q4_0", f"{REPO}@v2:q8_0", f"{REPO}@v1", f"{REPO}:other-gemma-Q8_0.gguf"):
        with pytest.raises(NetworkError):
            pull(name, places)
    here.faults()
    pull(f"{REPO}:other-gemma-Q8_0.gguf", places)
    assert [each.path.name for each in pull(f"{REPO}:q8_0", places)] == ["gemma-tiny-Q8_0.gguf"]


def test_a_file_that_was_named_alone_is_not_what_its_quant_means(here: Hub, places: Paths) -> None:
    for name in ("a-gemma-Q8_0.gguf", "b-gemma-Q8_0.gguf"):
        here.put(REPO, name, noise(2000, ord(name[0])))
    pull(f"{REPO}:b-gemma-Q8_0.gguf", places)
    assert pull(f"{REPO}:q8_0", places)[0].path.name == "a-gemma-Q8_0.gguf"
    assert library.find(f"{REPO}:q8_0", places).name == "a-gemma-Q8_0"


def test_revisions_are_remembered_each_for_itself(here: Hub, places: Paths) -> None:
    contents = {}
    for number, revision in enumerate(("@v1", "", "@refs/pr/2")):
        contents[revision] = here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, number))
        (pulled,) = pull(f"{REPO}{revision}:q8_0", places)
        assert pulled.path.read_bytes() == contents[revision]
        assert pulled.pin.called == f"{REPO}{revision}:q8_0"
    for revision, content in contents.items():
        assert library.find(f"{REPO}{revision}:q8_0", places).path.read_bytes() == content
        assert pull(f"{REPO}{revision}:q8_0", places)[0].origin == "here"
    assert names(places) == [
        "gemma-tiny-Q8_0.gguf",
        "owner-gemma-tiny-Q8_0.gguf",
        "owner-refs-pr-2-gemma-tiny-Q8_0.gguf",
    ]
    with pytest.raises(ModelNotFound):
        library.find(f"{REPO}@v3:q8_0", places)
    (places.models / "owner-gemma-tiny-Q8_0.gguf").unlink()
    assert library.find(f"{REPO}:q8_0", places).path.name in names(places), (
        "that of a revision, where there is no other"
    )


def test_towers_that_are_named_are_taken_for_what_they_are(here: Hub, places: Paths) -> None:
    here.put(REPO, "mmproj-gemma-F16.gguf", _clip())
    told: list[str] = []
    (pulled,) = pull(f"{REPO}:mmproj-gemma-F16.gguf", places, told)
    assert (pulled.pin.kind, told) == ("mmproj", [])


def test_two_repositories_with_the_same_name_for_a_file_do_not_meet(here: Hub, places: Paths) -> None:
    here.put("one/gemma-x-GGUF", "gemma-x-Q8_0.gguf", noise(2000, 1))
    here.put("two/gemma-x-GGUF", "gemma-x-Q8_0.gguf", noise(2000, 2))
    here.put("three/gemma-x-GGUF", "gemma-x-Q8_0.gguf", noise(2000, 3))
    pull("one/gemma-x-GGUF", places)
    pull("two/gemma-x-GGUF", places)
    assert names(places) == ["gemma-x-Q8_0.gguf", "two-gemma-x-Q8_0.gguf"]
    assert (places.models / "two-gemma-x-Q8_0.gguf").read_bytes() == noise(2000, 2)
    (places.models / "three-gemma-x-Q8_0.gguf").write_bytes(b"the user's own")
    with pytest.raises(UsageError, match="another file"):
        pull("three/gemma-x-GGUF", places)
    assert (places.models / "three-gemma-x-Q8_0.gguf").read_bytes() == b"the user's own"


def test_a_file_that_the_user_had_already_is_taken_as_it_is(here: Hub, places: Paths) -> None:
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000))
    places.models.mkdir()
    (places.models / "gemma-tiny-Q8_0.gguf").write_bytes(noise(2000))
    assert pull(REPO, places)[0].origin == "here"
    assert here.sent() == 0 and len(pins.read(places.models)) == 1


def test_a_file_that_changed_on_the_hub_is_refused_until_it_is_asked_for(here: Hub, places: Paths) -> None:
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 1))
    pull(f"{REPO}:q8_0", places)
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 2))
    with pytest.raises(NetworkError, match="another file now") as caught:
        pull(REPO, places)
    assert "--update" in caught.value.hint
    assert (places.models / "gemma-tiny-Q8_0.gguf").read_bytes() == noise(2000, 1)
    pull(f"{REPO}:q8_0", places, update=True)
    assert (places.models / "gemma-tiny-Q8_0.gguf").read_bytes() == noise(2000, 2)
    assert names(places) == ["gemma-tiny-Q8_0.gguf"]
    pull(f"{REPO}:q8_0", places)


def test_what_is_to_be_updated_stays_until_the_new_file_is_whole(here: Hub, places: Paths) -> None:
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 1))
    (pulled,) = pull(REPO, places)
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 2))
    for fault in (Fault("cdn", status=418), Fault("cdn", flip_at=5)):
        here.faults(fault)
        with pytest.raises(NetworkError):
            pull(REPO, places, update=True)
        assert pulled.path.read_bytes() == noise(2000, 1)
        assert [pin.digest for pin in pins.read(places.models).values()] == [pulled.pin.digest]
    here.faults()
    (fresh,) = pull(REPO, places, update=True)
    assert (fresh.origin, fresh.path.read_bytes()) == ("download", noise(2000, 2))
    assert names(places) == ["gemma-tiny-Q8_0.gguf"]


def test_an_update_that_was_killed_before_it_was_remembered_does_not_come_twice(here: Hub, places: Paths) -> None:
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 1))
    (pulled,) = pull(REPO, places)
    pulled.path.write_bytes(here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 2)))
    (fresh,) = pull(REPO, places, update=True)
    assert fresh.origin == "here" and pins.read(places.models)[fresh.pin.key].digest != pulled.pin.digest


def test_a_file_with_another_hash_than_the_catalogs_is_refused(here: Hub, places: Paths) -> None:
    here.put(E2B, "gemma-4-E2B_q4_0-it.gguf", noise(2000))
    with pytest.raises(NetworkError, match="fa401b55") as caught:
        pull("e2b", places)
    assert caught.value.exit_code == 7
    assert not list(places.models.glob("*.gguf"))


def test_a_file_of_another_size_than_the_catalogs_is_told(here: Hub, places: Paths) -> None:
    here.put("ggml-org/gemma-4-E2B-it-GGUF", "gemma-4-E2B-it-Q8_0.gguf", noise(2000))
    told: list[str] = []
    pull("e2b:q8_0", places, told)
    assert "has 2000 bytes; it had 4967497152" in told[0]


def test_what_was_deleted_comes_again_and_must_be_the_same(here: Hub, places: Paths) -> None:
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 1))
    (pulled,) = pull(REPO, places)
    pulled.path.unlink()
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 2))
    with pytest.raises(NetworkError, match="pulled before"):
        pull(REPO, places)
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(2000, 1))
    assert pull(REPO, places)[0].origin == "download"


def test_a_model_in_several_files_comes_whole(here: Hub, places: Paths) -> None:
    for number in (1, 2, 3):
        here.put(REPO, f"BF16/gemma-tiny-BF16-0000{number}-of-00003.gguf", noise(2000, number))
    pulled = pull(f"{REPO}:bf16", places)
    assert [each.path.read_bytes() for each in pulled] == [noise(2000, number) for number in (1, 2, 3)]
    first = f"{REPO}:gemma-tiny-BF16-00001-of-00003.gguf"
    pulled[1].path.unlink()
    assert [each.origin for each in pull(first, places)] == ["here", "download", "here"]


def test_the_files_of_one_model_have_names_that_go_together(here: Hub, places: Paths) -> None:
    part = "gemma-tiny-BF16-0000{}-of-00003.gguf".format
    for number in (1, 2, 3):
        here.put(REPO, part(number), noise(2000, number))
    places.models.mkdir()
    (places.models / part(2)).write_bytes(b"another model's")
    for _ in range(2):
        assert [each.path.name for each in pull(REPO, places)] == [f"owner-{part(number)}" for number in (1, 2, 3)]
    (places.models / part(2)).unlink()
    (places.models / f"owner-{part(3)}").unlink()
    assert [each.path.name for each in pull(REPO, places)] == [f"owner-{part(number)}" for number in (1, 2, 3)]
    (places.models / f"owner-{part(3)}").write_bytes(b"another model's")
    assert [each.path.name for each in pull(REPO, places)] == [part(number) for number in (1, 2, 3)]


def test_a_model_of_which_the_hub_lacks_a_file_is_refused(here: Hub, places: Paths) -> None:
    for number in (1, 3):
        here.put(REPO, f"gemma-tiny-BF16-0000{number}-of-00003.gguf", noise(2000, number))
    here.put(REPO, "gemma-tiny-BF16-00002-of-00004.gguf", noise(2000, 2))
    for name in (f"{REPO}:bf16", f"{REPO}:gemma-tiny-BF16-00001-of-00003.gguf"):
        with pytest.raises(ModelNotFound, match="2 of the 3 files"):
            pull(name, places)
    assert names(places) == []


def test_one_file_that_fails_leaves_the_others(here: Hub, places: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "_AT_ONCE", 1)
    here.put(REPO, "gemma-tiny-Q4_K_M.gguf", noise(2000))
    here.put(REPO, "mmproj-F16.gguf", noise(500_000, 1, "clip"))
    here.faults(Fault("cdn", "mmproj", flip_at=400_000))
    with pytest.raises(NetworkError, match="hash"):
        pull(REPO, places, mmproj=True)
    assert names(places) == ["gemma-tiny-Q4_K_M.gguf"]
    assert [pin.name for pin in pins.read(places.models).values()] == ["gemma-tiny-Q4_K_M.gguf"]


def test_a_disk_without_room_is_found_before_anything_comes(
    here: Hub, places: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(50_000))
    monkeypatch.setattr("shutil.disk_usage", lambda folder: _Usage(49_000))
    with pytest.raises(G4Error, match=r"50\.0 kB are still to come") as caught:
        pull(REPO, places)
    assert caught.value.exit_code == 1
    assert here.sent() == 0 and names(places) == []


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


@pytest.fixture
def cached(here: Hub, tmp_path: Path) -> Iterator[Path]:
    """A file that another program has downloaded into Hugging Face's cache."""
    from huggingface_hub import hf_hub_download

    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(50_000))
    yield Path(hf_hub_download(REPO, "gemma-tiny-Q8_0.gguf", cache_dir=tmp_path / "hf"))


def test_an_update_that_is_in_the_cache_replaces_the_file(here: Hub, places: Paths, cached: Path) -> None:
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(50_000, 1))
    pull(REPO, places)
    here.put(REPO, "gemma-tiny-Q8_0.gguf", noise(50_000))
    (pulled,) = pull(REPO, places, update=True)
    assert pulled.origin == "cache" and pulled.path.resolve() == cached.resolve()
    assert names(places) == ["gemma-tiny-Q8_0.gguf"]


def test_a_file_in_hugging_faces_cache_is_used_where_it_is(here: Hub, places: Paths, cached: Path) -> None:
    here.faults()
    (pulled,) = pull(REPO, places)
    assert pulled.origin == "cache" and here.sent() == 0
    assert pulled.path.is_symlink() and pulled.path.resolve() == cached.resolve()
    cached.resolve().unlink()
    (pulled,) = pull(REPO, places)
    assert pulled.origin == "download" and not pulled.path.is_symlink()


def test_a_damaged_file_in_the_cache_is_not(here: Hub, places: Paths, cached: Path) -> None:
    content = bytearray(cached.read_bytes())
    content[7] ^= 1
    cached.resolve().write_bytes(content)
    (pulled,) = pull(REPO, places)
    assert pulled.origin == "download" and pulled.path.read_bytes() == noise(50_000)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"files": 1}', b'{"files": [1, {"name": 2}, {"name": "../x"}, {}]}', b"\xff" * 9]
)
def test_what_was_remembered_may_be_damaged(places: Paths, content: bytes) -> None:
    places.models.mkdir()
    (places.models / "pulled.json").write_bytes(content)
    assert pins.read(places.models) == {}


def test_pins_with_paths_for_names_are_not_believed(places: Paths) -> None:
    pin = pins.Pin("m.gguf", "o/r", "m.gguf", "c", 1, "0" * 64)
    pins.remember(places.models, [pin])
    file = places.models / "pulled.json"
    content = json.loads(file.read_text())
    assert pins.read(places.models) == {"o/r/m.gguf": pin}
    content["files"][0]["name"] = "../m.gguf"
    file.write_text(json.dumps(content))
    assert pins.read(places.models) == {}


def test_every_size_can_be_asked_for() -> None:
    for size in catalog().values():
        assert [target.entry.kind for target in pulling._targets(reference(size.name), Choice(True, True))] == [
            "model",
            "mmproj",
            "drafter",
        ]
