"""SHA-256 of files, remembered for as long as a file keeps its size and its time, since 10 GB take a while.

What is remembered lies in one file of the cache: {path: [size, time in nanoseconds, hash in hex]}.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import BinaryIO

from g4local.core.errors import Cancelled, G4Error, reason
from g4local.core.files import read_json, write_whole
from g4local.core.progress import Progress, Report

MEMO = "checkpoint-hashes.json"
"""The file's name in the cache folder."""

_CHUNK = 1 << 20

Stamp = list[int | str]
"""A file's size, its time in nanoseconds and its SHA-256 in hex."""


def digests(files: Sequence[Path], memo: Path, report: Report, cancel: Event) -> dict[Path, str]:
    """Each file's hash, in the order given; G4Error when one can't be read, Cancelled."""
    known = _read(memo)
    sizes = {path: path.stat().st_size for path in files}
    found: dict[Path, str] = {}
    done = 0
    for path in files:
        found[path] = _remembered(path, known) or digest(path, _told(report, done, sum(sizes.values())), cancel)
        done += sizes[path]
    remember(found, memo)
    return found


def fresh(files: Sequence[Path], report: Report, cancel: Event) -> dict[Path, str]:
    """The same, of what lies on the disk now, whatever is remembered."""
    sizes = {path: path.stat().st_size for path in files}
    found: dict[Path, str] = {}
    done = 0
    for path in files:
        found[path] = digest(path, _told(report, done, sum(sizes.values())), cancel)
        done += sizes[path]
    return found


def remembered(files: Sequence[Path], memo: Path) -> dict[Path, str]:
    """The hashes that are known of files that have the size and the time that they had then."""
    known = _read(memo)
    return {path: found for path in files if (found := _remembered(path, known))}


def folders(memo: Path) -> set[Path]:
    """The folders of all files that were ever hashed, whether they are still there or not."""
    return {Path(name).parent for name in _read(memo)}


def remember(found: Mapping[Path, str], memo: Path) -> None:
    """Keep hashes for as long as the files stay as they are; where that can't be, only time is lost."""
    known = _read(memo)
    with suppress(OSError):
        merged = {**known, **{str(path.resolve()): [*_stamp(path), digest] for path, digest in found.items()}}
        if merged != known:
            write_whole(memo, json.dumps(merged))


def digest(path: Path, tell: Callable[[int], None], cancel: Event) -> str:
    """A file's hash, read now; `tell` is told how many bytes were read. G4Error when it can't be read, Cancelled."""
    try:
        with path.open("rb") as file:
            return digest_of(chunks(path, file), tell, cancel)
    except OSError as error:
        raise _unreadable(path, error) from error


def digest_of(chunks: Iterable[bytes], tell: Callable[[int], None], cancel: Event) -> str:
    """The hash of what comes chunk by chunk; Cancelled between two of them."""
    state, count = sha256(), 0
    for chunk in chunks:
        if cancel.is_set():
            raise stopped()
        state.update(chunk)
        tell(count := count + len(chunk))
    return state.hexdigest()


def chunks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """What is left of an open file, piece by piece; G4Error when it can't be read."""
    try:
        while chunk := file.read(_CHUNK):
            yield chunk
    except OSError as error:
        raise _unreadable(path, error) from error


def stopped() -> Cancelled:
    """The error of a job that was asked to stop and leaves nothing behind."""
    return Cancelled("Stopped.", "Nothing is left of it.")


def _unreadable(path: Path, error: OSError) -> G4Error:
    return G4Error(f"{path} can't be read: {reason(error)}.", "Check the file and your rights.")


def _told(report: Report, before: int, total: int) -> Callable[[int], None]:
    return lambda count: report(Progress("hash", before + count, total, "bytes"))


def _remembered(path: Path, known: Mapping[str, Stamp]) -> str:
    entry = known.get(str(path.resolve()))
    return str(entry[2]) if entry and entry[:2] == _stamp(path) else ""


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _read(memo: Path) -> dict[str, Stamp]:
    """What was hashed before; nothing when the file is missing or broken."""
    entries = read_json(memo)
    if not isinstance(entries, dict):
        return {}
    return {name: entry for name, entry in entries.items() if isinstance(entry, list) and len(entry) == 3}
