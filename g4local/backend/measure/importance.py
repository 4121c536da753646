"""What a text puts into the weights of a model: the child's part of an importance matrix."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np

from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.measure.collector import Collector
from g4local.backend.measure.reader import Reader
from g4local.backend.measures import SUMMED_CHUNKS, Sums, SumsRequest
from g4local.core.errors import AGAIN, EngineError
from g4local.core.progress import Progress, Report


def summed(request: SumsRequest, stop: StopFlag, report: Report) -> Iterator[Sums]:
    """The sums of the chunks since the last ones, after every SUMMED_CHUNKS and at the end; nothing of none.

    They are told after the same chunks wherever the reading began, so adding them up gives the same bits whether a
    text was read in one go or not.
    """
    collector = Collector()
    with closing(Reader(request.model, request.reading, stop, report, collector.callback)) as reader:
        chunks = reader.chunks(request.text)
        for done, chunk in enumerate(chunks[request.first :], request.first + 1):
            report(Progress("imatrix", done - 1, len(chunks), "chunks"))
            reader.read(reader.begin(chunk))
            if done % SUMMED_CHUNKS == 0 or done == len(chunks):
                yield _told(collector, done, len(chunks), request)
                collector.clear()


def _told(collector: Collector, done: int, total: int, request: SumsRequest) -> Sums:
    names = sorted(collector.sums)
    if wrong := [name for name in names if not np.isfinite(collector.sums[name]).all()]:
        raise EngineError(
            f"{request.model.name} computes values that are no numbers as inputs of {wrong[0]}.",
            AGAIN,
        )
    file = request.folder / f"{done}.f32"
    with file.open("wb") as content:
        for name in names:
            collector.sums[name].astype("<f4").tofile(content)
    return Sums(
        chunks=done,
        total=total,
        file=file,
        columns={name: collector.sums[name].shape[1] for name in names},
        counts={name: collector.counts[name].tolist() for name in names},
    )
