"""A conversion that has one file of its checkpoint at a time, for disks that can't hold all of them beside the GGUF."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import BinaryIO

from g4convert import checkpoint, verify, writer
from g4convert.convert import Converted, Job
from g4convert.plan import TensorPlan
from g4local.core.progress import Progress, Report

Bring = Callable[[Path], AbstractContextManager[None]]
"""Takes a file of the checkpoint, which is whole as long as the block lasts."""


@dataclass(frozen=True, slots=True)
class _Output:
    """A GGUF that is being written."""

    job: Job
    target: Path
    file: BinaryIO
    start: int
    """Where its data begins."""

    def tensors(self, source: Path | None) -> list[TensorPlan]:
        """What is made of one file of the checkpoint; None: of nothing."""
        return [tensor for tensor in self.job.plan.tensors if _path(tensor) == source]


def convert(
    jobs: list[tuple[Job, Path]], bring: Bring, report: Report, cancel: Event, threads: int = 0
) -> list[Converted]:
    """Write the GGUFs of a checkpoint, the model's and perhaps its towers', all or none of them.

    Each file of the checkpoint is asked for once, and all that is made of it is written where the plan has its place.
    The bytes are those of `convert.convert` without a look for weights that were trained for Q4_0; so are the errors.
    `threads`: 0 is all cores.
    """
    done, total = 0, sum(job.plan.nbytes for job, _ in jobs)
    with ExitStack() as stack:
        outputs = [_begun(stack, job, target) for job, target in jobs]
        for source in sorted({_path(tensor) for job, _ in jobs for tensor in job.plan.tensors}, key=str):
            with bring(source) if source else nullcontext():
                for output in outputs:
                    told = _after(report, done, total)
                    done += _write(output, source, told, cancel, threads or os.cpu_count() or 1)
        for output in outputs:
            writer.flush(output.file)
            verify.check(Path(output.file.name), output.job.plan, output.job.keys)
    return [Converted(each.target, each.start + each.job.plan.nbytes, each.job.plan) for each in outputs]


def _begun(stack: ExitStack, job: Job, target: Path) -> _Output:
    """A file with all that stands before its data."""
    head = writer.head(job.keys, job.plan)
    file = stack.enter_context(writer.beside(target, len(head) + job.plan.nbytes))
    writer.append(file, head)
    return _Output(job, target, file, len(head))


def _write(output: _Output, source: Path | None, report: Report, cancel: Event, threads: int) -> int:
    """Write what is made of one file of the checkpoint; how many bytes that is."""
    tensors = output.tensors(source)
    done = 0
    with checkpoint.rows(tensor.source for tensor in tensors if tensor.source) as rows:
        for tensor in tensors:
            writer.flush(output.file)
            output.file.seek(output.start + tensor.offset)
            only = replace(output.job.plan, tensors=(tensor,))
            writer.write(output.file, only, rows, threads, _after(report, done, 0), cancel)
            done += tensor.nbytes
    return done


def _after(report: Report, before: int, total: int) -> Report:
    """A report of a part of what is done, after so many bytes of other parts; 0: their total is told further on."""
    return lambda told: report(Progress("convert", before + told.done, total or told.total, "bytes"))


def _path(tensor: TensorPlan) -> Path | None:
    return tensor.source.path if tensor.source else None
