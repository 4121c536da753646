"""Small files of our own, which appear whole or not at all; what large ones are known by, and room for them."""

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from g4local.core.errors import G4Error
from g4local.core.units import human_bytes

_MOST_BYTES = 1 << 24
"""Of a JSON file; what we write has a few hundred entries at most."""
_HEAD = 1 << 16
"""Bytes of a GGUF's beginning: its keys, among them its name and its quantization."""


def known_by(path: Path) -> str:
    """What a model's file is known by, wherever it lies: the SHA-256 of its size and its beginning; OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        return sha256(b"%d " % file.seek(0, 2) + head).hexdigest()


def nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists: where its disk can be looked at."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def free(folder: Path) -> int:
    """Bytes that are free on the disk of a folder, which need not be there yet; OSError."""
    return shutil.disk_usage(nearest(folder)).free


def expect_room(folder: Path, nbytes: int, what: str, hint: str) -> None:
    """G4Error where a folder's disk has not so many bytes free; `what` says of them in a sentence what they are for."""
    there = free(folder)
    if there < nbytes:
        raise G4Error(f"{human_bytes(nbytes)} {what}, but {nearest(folder)} has only {human_bytes(there)} free.", hint)


def plainly(path: str, flags: int) -> int:
    """An opener for `open`: what has the name itself, never what a link leads to; nobody waits for a pipe's other end.

    (`Path.open` takes no opener.)
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and rename it; folders are made, and nothing is left behind by an OSError."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """The value in a JSON file; None when it is missing, damaged, no file, nested beyond reason, or far too long."""
    try:
        is_ours = path.is_file() and path.stat().st_size <= _MOST_BYTES
        return json.loads(path.read_bytes()) if is_ours else None
    except (OSError, ValueError, RecursionError):
        return None
