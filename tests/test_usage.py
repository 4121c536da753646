"""How much lies where: each byte is counted once, in one place."""

import os
from pathlib import Path

import pytest

from g4local import usage
from g4local.settings import Paths, paths


@pytest.fixture
def places(own_home: Path) -> Paths:
    return paths(os.environ)


def write(path: Path, nbytes: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(nbytes))
    return path


def test_each_byte_lies_in_one_place(places: Paths, tmp_path: Path) -> None:
    write(places.models / "a.gguf", 1)
    write(places.converted / "b.gguf", 20)
    write(places.cache / "probe.json", 300)
    write(places.snapshots / "key" / "whole.g4snap", 4_000)
    for ending in ("", "-wal", "-shm"):
        write(places.sessions.with_name(places.sessions.name + ending), 10_000)
    write(places.logs / "engine.log", 500_000)
    write(places.checkpoints / "c0ffee" / "x" / "model.safetensors", 6_000_000)
    found = {each.name: each.nbytes for each in usage.places(places)}
    assert {name: nbytes for name, nbytes in found.items() if nbytes} == {
        "models": 1,
        "converted": 20,
        "cache": 300,
        "snapshots": 4_000,
        "sessions": 30_000,
        "logs": 500_000,
        "checkpoints": 6_000_000,
    }
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(found.values()) == sum(path.stat().st_size for path in files)
    assert sum(each.files for each in usage.places(places)) == len(files)


def test_links_and_second_names_take_nothing(places: Paths, tmp_path: Path) -> None:
    far = write(tmp_path / "elsewhere" / "far.gguf", 7_000)
    near = write(places.models / "near.gguf", 100)
    (places.models / "again.gguf").hardlink_to(near)
    (places.models / "link.gguf").symlink_to(far)
    (places.models / "nowhere.gguf").symlink_to(tmp_path / "none")
    (places.models / "folder").symlink_to(far.parent)
    models = usage.places(places)[0]
    assert (models.name, models.nbytes, models.linked_nbytes) == ("models", 100, 7_000)


def test_before_there_is_anything_there_is_room(places: Paths) -> None:
    assert {each.nbytes for each in usage.places(places)} == {0}
    assert usage.free(places)
