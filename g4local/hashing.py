"""SHA-256 of files, remembered for as long as a file keeps its size and its time, since 10 GB take a while."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import BinaryIO

from g4local.core import stamps
from g4local.core.errors import Cancelled, G4Error, reason
from g4local.core.progress import Progress, Report

MEMO = "checkpoint-hashes.json"
"""The name of its memo in the cache folder."""

_CHUNK = 1 << 20


def digests(files: Sequence[Path], memo: Path, report: Report, cancel: Event) -> dict[Path, str]:
    """Each file's hash, in the order given; G4Error when one can't be read, Cancelled."""
    known = stamps.known(files, memo)
    sizes = {path: path.stat().st_size for path in files}
    found: dict[Path, str] = {}
    done = 0
    for path in files:
        found[path] = known.get(path) or digest(path, _told(report, done, sum(sizes.values())), cancel)
        done += sizes[path]
    stamps.remember(found, memo)
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
