"""What g4local has on this disk: how much lies in each of its places."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from g4local.core import files
from g4local.settings import Paths

_BESIDE = ("", "-wal", "-shm")
"""Ends of the names of a database's files."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the places, without those that lie inside it and are places of their own."""

    name: str
    """As the field of `Paths`."""
    path: Path
    files: int
    nbytes: int
    """A file with several names counts once, a link for nothing."""
    linked_nbytes: int
    """Of files elsewhere, to which links lead."""


def places(paths: Paths) -> list[Place]:
    """Every place, whether there is something or not; what can't be looked at counts for nothing."""
    known = {field.name: getattr(paths, field.name) for field in fields(paths)}
    return [_place(name, path, set(known.values()) - {path}) for name, path in known.items()]


def free(paths: Paths) -> int | None:
    """Bytes that are free where models go; None where that can't be known."""
    with suppress(OSError, StopIteration):
        return files.free(paths.models)
    return None


def _place(name: str, path: Path, others: Collection[Path]) -> Place:
    seen: set[tuple[int, int]] = set()
    nbytes = linked = 0
    for file in _files(path, others):
        with suppress(OSError):
            stat = file.lstat()
            if (stat.st_dev, stat.st_ino) in seen:
                continue
            seen.add((stat.st_dev, stat.st_ino))
            if file.is_symlink():
                linked += file.stat().st_size
            else:
                nbytes += stat.st_size
    return Place(name, path, len(seen), nbytes, linked)


def _files(path: Path, others: Collection[Path]) -> Iterator[Path]:
    """The files below a folder that lie in none of the other places; a file with those of its database."""
    for ending in _BESIDE:
        file = path.with_name(path.name + ending)
        if file.is_file():
            yield file
    for folder, folders, names in os.walk(path):
        folders[:] = [each for each in folders if Path(folder, each) not in others]
        yield from (Path(folder, each) for each in names if Path(folder, each) not in others)
