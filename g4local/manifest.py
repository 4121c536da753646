"""The manifest of a pack: which files belong to it, how long they are, and their hashes.

{"schema": "g4local.pack/1", "model": its name, "g4local": version,
 "files": [{"name": ..., "kind": "model" | "mmproj" | "drafter" | "receipt", "bytes": ..., "sha256": ...}]}

A pack may come from anybody, so nothing in it is believed: a name is that of a file in the pack's own folder, or the
pack is refused.
"""

import json
import os
import re
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from g4local import __version__
from g4local.catalog import Kind
from g4local.core.errors import G4Error, ModelNotFound, UnusableFile, reason
from g4local.core.files import plainly, write_whole

NAME = "g4local-pack.json"
SCHEMA = "g4local.pack/1"

PackedKind = Kind | Literal["receipt"]

_KINDS: dict[str, PackedKind] = {kind: kind for kind in (*get_args(Kind), "receipt")}
_ENDINGS = {"receipt": ".receipt.json"}
_MOST_BYTES = 1_000_000
_MOST_FILES = 1000
_LONGEST_NAME = 240
"""Bytes; file systems take 255, and `.part` comes behind it."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a pack."""

    name: str
    kind: PackedKind
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a pack holds."""

    model: str
    files: tuple[Entry, ...]


def write(folder: Path, manifest: Manifest) -> None:
    """Write it into a pack's folder, whole or not at all; G4Error."""
    content = {"schema": SCHEMA, "g4local": __version__, **asdict(manifest)}
    try:
        write_whole(folder / NAME, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise G4Error(
            f"{folder / NAME} can't be written: {reason(error)}.", "Check the disk and your rights."
        ) from error


def read(folder: Path) -> Manifest:
    """A pack's manifest, of files that lie in its folder with the sizes that it tells.

    ModelNotFound where there is none, UnusableFile for one that is not to be believed.
    """
    path = folder / NAME
    content = _content(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise _bad(path, f"it is none of the kind {SCHEMA}")
    listed, model = content.get("files"), content.get("model")
    if not isinstance(listed, list) or not 0 < len(listed) <= _MOST_FILES:
        raise _bad(path, f"it names no files, or more than {_MOST_FILES}")
    if not isinstance(model, str) or not model.isprintable():
        raise _bad(path, "it does not tell the model's name")
    entries = tuple(_entry(path, each) for each in listed)
    _expect_each_once(path, [entry.name for entry in entries])
    if not any(entry.kind == "model" for entry in entries):
        raise _bad(path, "it names no model")
    for entry in entries:
        _expect_here(path, entry)
    return Manifest(model, entries)


def is_plain(name: str, ending: str = ".gguf") -> bool:
    """Whether a name leads to no other folder, hides nothing and can be had on every disk."""
    is_sound = name.isprintable() and not set(name) & set('/\\:*?"<>|') and name[:1] not in ".-~ "
    return is_sound and name.endswith(ending) and len(name) > len(ending) and len(name.encode()) <= _LONGEST_NAME


def _content(path: Path) -> Any:
    """The JSON in a file that is short, and is no link and no pipe; an object's names differ."""
    try:
        with open(path, "rb", opener=plainly) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _bad(path, "it is no file")
            text = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelNotFound(
            f"{path.parent} holds no pack.", "`g4local pack` makes one; `g4local import` takes GGUFs without one."
        ) from error
    except OSError as error:
        raise _bad(path, f"it can't be read ({reason(error)})") from error
    if len(text) > _MOST_BYTES:
        raise _bad(path, f"it has more than {_MOST_BYTES:,} bytes")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise _bad(path, "it is no sound JSON") from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _entry(path: Path, entry: object) -> Entry:
    match entry:
        case {"name": str(name), "kind": str(kind), "bytes": int(nbytes), "sha256": str(digest), **more} if not more:
            pass
        case _:
            raise _bad(path, "an entry of its files is none")
    if kind not in _KINDS or isinstance(nbytes, bool) or nbytes < 0 or not _DIGEST.fullmatch(digest):
        raise _bad(path, f"what it says of {name[:80]!r} makes no sense")
    if not is_plain(name, _ENDINGS.get(kind, ".gguf")):
        raise _bad(path, f"{name[:80]!r} is no name for a file of a pack")
    return Entry(name, _KINDS[kind], nbytes, digest)


def _expect_each_once(path: Path, names: Sequence[str]) -> None:
    """UnusableFile for names that are the same on some file system."""
    seen: set[str] = set()
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold()
        if folded in seen:
            raise _bad(path, f"it names {name!r} twice")
        seen.add(folded)


def _expect_here(path: Path, entry: Entry) -> None:
    file = path.with_name(entry.name)
    try:
        found = file.lstat()
    except OSError as error:
        raise _bad(path, f"{entry.name} can't be read ({reason(error)})") from error
    if not stat.S_ISREG(found.st_mode):
        raise _bad(path, f"{entry.name} is a link, a folder or a device")
    if found.st_size != entry.bytes:
        raise _bad(path, f"{entry.name} has {found.st_size:,} bytes instead of {entry.bytes:,}")


def _bad(path: Path, what: str) -> UnusableFile:
    return UnusableFile(f"{path} is the manifest of no whole pack: {what}.", "Make the pack again, or copy it again.")
