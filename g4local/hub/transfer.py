"""One file comes from the hub, over as many connections as it takes: hashed as it comes, seen when it is whole.

A part lies beside its target, named after its hash, so that what came of one file is never joined to another. Its
bytes are what a killed process had written, and all of them are used: they are read again for the hash, and the rest
is asked for by a byte range. A lock on the part keeps two processes from writing it at once.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, BinaryIO

from g4local.core import offline
from g4local.core.errors import G4Error, NetworkError, reason
from g4local.core.files import plainly
from g4local.core.locks import is_still, try_lock
from g4local.hub import client
from g4local.hub.client import Passing
from g4local.hub.listing import Remote
from g4local.hub.patience import Pace, Patience, persistently, stopped

if TYPE_CHECKING:
    from httpx2 import Response

FIRST_NBYTES = 512
"""Of a file, which tell what it is."""
_CHUNK = 1 << 20
_LOCK_SECONDS = 0.2
_SHA256_DIGITS = 64
_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_NBYTES = 1024
"""A pointer is shorter."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_MOST_AT_ONCE = 20_000_000_000
"""Bytes that one request asks for; networks for content refuse to give more than 50 GB in an answer, but for ranges."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file of the hub, and where it goes."""

    file: Remote
    target: Path
    replaces: tuple[int, int] | None = None
    """Device and number of another file that has the target's name for as long as this one has not come."""
    expect: Callable[[bytes], None] | None = None
    """Is given the first `FIRST_NBYTES`, or all that there is, and raises when the rest is not worth to come."""

    @property
    def part(self) -> Path:
        """Where its bytes are gathered."""
        return self.target.with_name(f"{self.target.name}.{self.file.digest[:16]}.part")

    @property
    def is_here(self) -> bool:
        """Whether the target is there with the right size, and is not what is to be replaced."""
        try:
            about = self.target.stat()
        except OSError:
            return False
        is_whole = stat.S_ISREG(about.st_mode) and about.st_size == self.file.nbytes
        return is_whole and (about.st_dev, about.st_ino) != self.replaces


def fetch(wanted: Wanted, tell: Callable[[int], None], cancel: Event) -> None:
    """Bring a file to its place; `tell` is told how many of its bytes are here.

    NetworkError when it can't be had or is not what was announced, G4Error when it can't be written, Cancelled. What
    came is kept for the next time, unless its hash is wrong.
    """
    file = wanted.file
    with _alone(wanted, cancel) as part:
        if part is None:
            tell(file.nbytes)
            return
        digest = _digest(file)
        done = _known(part, digest, file.nbytes, tell, cancel)
        is_expected = _is_expected(wanted, part, done)
        for chunk in _pieces(file, done, cancel):
            _write(part, chunk, wanted.part)
            digest.update(chunk)
            done += len(chunk)
            is_expected = is_expected or _is_expected(wanted, part, done)
            tell(done)
        _finish(wanted, part, digest.hexdigest())


def _is_expected(wanted: Wanted, part: BinaryIO, done: int) -> bool:
    """Whether enough has come to be looked at; what is not expected is removed."""
    if wanted.expect is None or done < min(FIRST_NBYTES, wanted.file.nbytes):
        return False
    part.seek(0)
    try:
        wanted.expect(part.read(FIRST_NBYTES))
    except G4Error:
        part.truncate(0)
        raise
    return True


def beginning(file: Remote, nbytes: int, cancel: Event) -> bytes:
    """The first bytes of a file, which no hash vouches for; fewer if it has no more."""

    def ask() -> bytes:
        came = b""
        with closing(_connection(file, 0, Pace())) as pieces:
            for piece in pieces:
                came += piece
                if len(came) >= nbytes:
                    break
        return came[:nbytes]

    return persistently(ask, cancel)


def is_part(path: Path) -> bool:
    """Whether a file's name is that of a part: what came of a download that was stopped."""
    return re.fullmatch(r".+\.[0-9a-f]{16}\.part", path.name) is not None


def git_or_sha256(path: Path, file: Remote, cancel: Event) -> str:
    """The hash of a file on this disk, of the kind that the remote one is known by."""
    digest = _digest(file)
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            if cancel.is_set():
                raise stopped()
            digest.update(chunk)
    return digest.hexdigest()


def _digest(file: Remote) -> "hashlib._Hash":
    """git's SHA-1 of a blob begins with its size."""
    if len(file.digest) == _SHA256_DIGITS:
        return hashlib.sha256()
    return hashlib.sha1(f"blob {file.nbytes}\0".encode(), usedforsecurity=False)


def _known(part: BinaryIO, digest: "hashlib._Hash", nbytes: int, tell: Callable[[int], None], cancel: Event) -> int:
    """How many bytes came earlier; they are added to the hash, and a part that is too long is begun anew."""
    if part.seek(0, os.SEEK_END) > nbytes:
        part.truncate(0)
    tell(part.seek(0))
    while chunk := part.read(_CHUNK):
        if cancel.is_set():
            raise stopped()
        digest.update(chunk)
        tell(part.tell())
    return part.tell()


def _pieces(file: Remote, done: int, cancel: Event) -> Iterator[bytes]:
    """The bytes of a file from `done` on; a connection that is lost, cut off, stalled or slow is opened anew."""
    patience, pace = Patience(cancel), Pace()
    while done < file.nbytes:
        pace.reopened()
        try:
            for chunk in _connection(file, done, pace):
                if cancel.is_set():
                    raise stopped()
                done += len(chunk)
                patience.renew()
                yield chunk
        except Passing as failure:
            patience.wait(failure)


def _connection(file: Remote, done: int, pace: Pace) -> Generator[bytes]:
    """What one connection brings of a file, from `done` on, as the network gives it: the rest, or much of it."""
    from huggingface_hub import constants, hf_hub_url

    offline.expect_network(f"{file.repo}/{file.path}")
    headers = {**client.headers(), "Accept-Encoding": "identity", **_range(file, done)}
    url = hf_hub_url(file.repo, file.path, revision=file.commit, endpoint=constants.ENDPOINT)
    with (
        client.told(f"{file.repo}/{file.path}"),
        client.session().stream("GET", url, headers=headers, timeout=client.timeout()) as response,
    ):
        client.expect_success(response)
        start, end = _span(file, done, response)
        skip = done - start
        for chunk in response.iter_raw():
            rest, skip = chunk[skip:], max(skip - len(chunk), 0)
            if rest:
                done += len(rest)
                if done > end:
                    raise _other(file, f"more than the {end} bytes that were announced came")
                yield rest
            pace.add(len(chunk))
        if done < end:
            raise Passing(f"{file.path} ended after {done} of {file.nbytes} bytes.")


def _range(file: Remote, done: int) -> dict[str, str]:
    """The header that asks for the bytes from `done` on; none where the whole file is asked for at once."""
    end = done + _MOST_AT_ONCE
    if end < file.nbytes:
        return {"Range": f"bytes={done}-{end - 1}"}
    return {"Range": f"bytes={done}-"} if done else {}


def _span(file: Remote, done: int, response: "Response") -> tuple[int, int]:
    """Where the bytes of an answer begin and end; all of it when the server gives no ranges.

    NetworkError when it is another file.
    """
    partial = response.headers.get("Content-Range", "") if response.status_code == 206 else ""
    whole = response.headers.get("Content-Length")
    if partial:
        found = _CONTENT_RANGE.fullmatch(partial)
        if found and int(found[1]) == done <= int(found[2]) and found[3] in (str(file.nbytes), "*"):
            return done, min(int(found[2]) + 1, file.nbytes)
        raise _other(file, f"the server answers with {partial} instead of bytes {done}- of {file.nbytes}")
    if whole is not None and whole != str(file.nbytes):
        if whole.isdecimal() and int(whole) < _POINTER_NBYTES and response.read().startswith(_POINTER):
            raise _other(file, "the server has only its Git LFS pointer")
        raise _other(file, f"the server has {whole} bytes instead of {file.nbytes}")
    return 0, file.nbytes


def _write(part: BinaryIO, content: bytes, path: Path) -> None:
    """Append bytes past all buffers, so that they outlive this process; a write may take fewer than it is given."""
    rest = memoryview(content)
    with writing(path):
        while rest:
            rest = rest[part.write(rest) :]


def _finish(wanted: Wanted, part: BinaryIO, digest: str) -> None:
    """Let the target appear, or delete what came when its hash is wrong."""
    if digest != wanted.file.digest:
        wanted.part.unlink(missing_ok=True)
        raise _other(wanted.file, f"its hash is {digest[:16]}… instead of {wanted.file.digest[:16]}…")
    with writing(wanted.target):
        os.fsync(part.fileno())
        wanted.part.replace(wanted.target)


@contextmanager
def _alone(wanted: Wanted, cancel: Event) -> Iterator[BinaryIO | None]:
    """The part, locked, and no link or pipe; None when another process has finished the file meanwhile."""
    while True:
        with writing(wanted.part):
            wanted.part.parent.mkdir(parents=True, exist_ok=True)
            part = open(wanted.part, "a+b", buffering=0, opener=plainly)  # noqa: SIM115
        with part:
            while not try_lock(part):
                if cancel.wait(_LOCK_SECONDS):
                    raise stopped()
            if is_still(wanted.part, part.fileno()):
                if wanted.is_here:
                    wanted.part.unlink()
                    yield None
                else:
                    with _unless_empty(wanted.part, part):
                        yield part
                return


@contextmanager
def _unless_empty(path: Path, part: BinaryIO) -> Iterator[None]:
    """Leave no part of which nothing came; it is locked yet."""
    try:
        yield
    finally:
        if not os.fstat(part.fileno()).st_size:
            path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """G4Error for what goes wrong on the disk."""
    try:
        yield
    except OSError as error:
        raise G4Error(
            f"{path} can't be written: {reason(error)}.",
            "Make room, or check your rights there; what came is kept, and pulling again goes on.",
        ) from error


def _other(file: Remote, what: str) -> NetworkError:
    return NetworkError(
        f"{file.repo}/{file.path} is not what the hub announces: {what}.",
        "Pull again; if that helps not, tell its owner.",
    )
