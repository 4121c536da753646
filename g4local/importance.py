"""Importance matrices of one's own: a model reads texts in a child, and what its weights were multiplied with is kept.

What is known so far lies beside the target, as `TARGET.partial`, until the target is there. A second run with the same
model, the same text and the same versions goes on from it, and comes to the same bits.
"""

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import numpy as np

from g4convert import gguf, imatrix, imatrix_writer
from g4convert.gguf import string
from g4convert.imatrix import Importance
from g4local import __version__
from g4local.backend import measuring
from g4local.backend.measures import Reading, Sums, SumsRequest
from g4local.backend.measuring import Process
from g4local.core.errors import ModelNotFound, UnusableFile, UsageError
from g4local.core.progress import Report
from g4local.texts import Texts

_RUN = "g4local.imatrix.run"
"""The key under which a partial result tells what it was made of."""


@dataclass(frozen=True, slots=True)
class Request:
    """The matrix that is wanted."""

    model: Path
    """A GGUF."""
    model_hash: str
    """Its SHA-256 in hex."""
    texts: Texts
    reading: Reading
    target: Path

    @property
    def run(self) -> str:
        """A hash of all that the result hangs on, but for this machine."""
        versions = [__version__, version("llama-cpp-python")]
        parts = [self.model_hash, self.texts.sha256, asdict(replace(self.reading, threads=0)), versions]
        return sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def partial(self) -> Path:
        """Where what is known so far lies."""
        return self.target.with_name(self.target.name + ".partial")


def begun(request: Request) -> Importance:
    """What an earlier run left of this very request; without chunks when there is nothing.

    UsageError when the target has no folder, or is one of the files that are read.
    """
    read = {Path(name).resolve() for name in (*request.texts.names, str(request.model))}
    if request.target.resolve() in read:
        raise UsageError(f"{request.target} is one of the files that are read.", "Give another name with -o.")
    if not request.target.parent.is_dir():
        raise UsageError(f"There is no folder {request.target.parent}.", "Create it, or choose another place.")
    try:
        left = gguf.read(request.partial, longest=0).keys.get(_RUN)
        if left == string(request.run):
            return imatrix.read(str(request.partial))
    except (ModelNotFound, UnusableFile):
        pass
    return Importance({}, {}, request.texts.names, 0, request.reading.chunk_tokens)


def compute(request: Request, so_far: Importance, process: Process, report: Report, cancel: Event) -> Importance:
    """Read what is not read yet and write the target, which appears whole or not at all.

    The errors of `measuring.sums`, or G4Error when a file can't be written; what is known so far is left for the next
    run.
    """
    with TemporaryDirectory(prefix="g4local-") as folder:
        wanted = SumsRequest(request.model, request.texts.content, request.reading, Path(folder), first=so_far.chunks)
        for told in measuring.sums(wanted, process, report, cancel):
            so_far = _added(so_far, told)
            if told.chunks < told.total:
                imatrix_writer.write(request.partial, so_far, {_RUN: string(request.run)})
    whole = replace(so_far, datasets=request.texts.names, name=str(request.target))
    imatrix_writer.write(request.target, whole, {})
    request.partial.unlink(missing_ok=True)
    return whole


def _added(so_far: Importance, told: Sums) -> Importance:
    """The sums and counts with those of some chunks more."""
    content = np.fromfile(told.file, "<f4")
    told.file.unlink()
    sums, counts, start = {**so_far.sums}, {**so_far.counts}, 0
    for name, row in told.columns.items():
        seen = np.array(told.counts[name], np.int64)
        added = content[start : (start := start + len(seen) * row)].reshape(len(seen), row)
        sums[name] = sums[name] + added if name in sums else added
        counts[name] = counts[name] + seen if name in counts else seen
    return replace(so_far, sums=sums, counts=counts, chunks=told.chunks)
