"""The whole conversion, read top to bottom: a folder of safetensors becomes a GGUF."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from g4convert import (
    advice,
    architectures,
    checkpoint,
    ggml,
    imatrix,
    media,
    metadata,
    mmproj,
    provenance,
    qat,
    recipes,
    spec,
    tokenizer,
    verify,
    weighting,
    writer,
)
from g4convert import plan as planning
from g4convert.choice import Guidance
from g4convert.gguf import Value, u32
from g4convert.plan import Plan
from g4convert.qat import Mode
from g4local.core.errors import UsageError
from g4local.core.progress import Report

RECIPES: Sequence[str] = tuple(recipes.RECIPES)
"""What `recipe` may be, the largest first."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A finished GGUF."""

    path: Path
    nbytes: int
    plan: Plan
    towers: "Converted | None" = None
    """The file beside it that sees and hears, where one was asked for."""


@dataclass(frozen=True, slots=True)
class Job:
    """A GGUF to be written, of which everything is known but the weights."""

    source: Mapping[str, checkpoint.SourceTensor]
    """All that lies in the files that are read, also what is left out."""
    plan: Plan
    keys: dict[str, Value]
    """Of the GGUF, in the file's order."""


def _nobody(plan: Plan) -> None:
    """Takes a plan that nobody wants to see."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a recipe is carried out."""

    threads: int = 0
    """0: all cores."""
    qat: Mode = "auto"
    """Whether weights that were trained for Q4_0 are kept exactly."""
    guidance: Guidance = field(default_factory=Guidance)
    """Types that the user chooses, and the importance matrix."""
    reproducible: bool = False
    """True: the file says nothing of where it comes from, and has the bytes of llama.cpp's tools."""
    mmproj: Path | None = None
    """Where the towers go; None: they are left out. Both files appear, or neither."""
    mmproj_type: str = "BF16"
    tell: Callable[[Plan], None] = _nobody
    """Is told the model's plan before anything is written."""


def convert(
    folder: Path, target: Path, recipe: str, report: Report, cancel: Event, options: Options | None = None
) -> Converted:
    """Write the GGUF of a checkpoint; the target appears whole or not at all.

    Raises BadCheckpoint, UnknownArchitecture, UsageError (recipe or target), Cancelled,
    or G4Error when it can't be written.
    """
    options = options or Options()
    model = prepare(folder, recipe, options)
    options.tell(model.plan)
    if options.mmproj is None:
        return write(model, target, report, cancel, options)
    towers = prepare_towers(folder, options)
    writer.expect_room(target, model.plan.nbytes + towers.plan.nbytes)
    with writing(towers, options.mmproj, report, cancel, options) as beside:
        return replace(write(model, target, report, cancel, options), towers=beside)


def write(job: Job, target: Path, report: Report, cancel: Event, options: Options) -> Converted:
    """Do a job; the target appears whole or not at all."""
    with writing(job, target, report, cancel, options) as done:
        return done


@contextmanager
def writing(job: Job, target: Path, report: Report, cancel: Event, options: Options) -> Iterator[Converted]:
    """Do a job, of which the target appears when the block ends, whole, or not at all when the block fails."""
    matrix = options.guidance.importance
    read = [*(tensor.path for tensor in job.source.values()), *([Path(matrix.name)] if matrix else [])]
    if target.resolve() in {path.resolve() for path in set(read)}:
        raise UsageError(f"{target} is one of the files that are read.", "Give another name.")
    head = writer.head(job.keys, job.plan)
    nbytes = len(head) + job.plan.nbytes
    with writer.beside(target, nbytes) as file, checkpoint.rows(job.source.values()) as rows:
        writer.append(file, head)
        writer.write(file, job.plan, rows, options.threads or os.cpu_count() or 1, report, cancel)
        writer.flush(file)
        verify.check(Path(file.name), job.plan, job.keys)
        yield Converted(target, nbytes, job.plan)


def plan(folder: Path, recipe: str, options: Options | None = None) -> Plan:
    """What `convert` would write, without writing it; the same errors as `convert`, but for tokenizer and target."""
    options = options or Options()
    source = checkpoint.read(folder)
    whole = planned(source, recipes.find(recipe), options.guidance)[1]
    return keeping(Job(source.tensors, whole, {}), options).plan


def prepare(folder: Path, recipe: str, options: Options | None = None) -> Job:
    """Everything before the first weight is read."""
    options = options or Options()
    mix = recipes.find(recipe)
    source = checkpoint.read(folder)
    model, whole = planned(source, mix, options.guidance)
    keys = {
        **metadata.keys(folder, model.architecture),
        **spec.keys(model, mix.file_type),
        **({} if model.drafts_for else metadata.suppressed(folder)),
        "general.quantization_version": u32(ggml.QUANTIZATION_VERSION),
        **tokenizer.keys(folder, source.config, model.vocab_size),
    }
    if mix.is_quantized:
        for last in ("general.quantization_version", "general.file_type"):
            keys[last] = keys.pop(last)
    if options.guidance.importance:
        keys |= imatrix.keys(options.guidance.importance, bare=not options.reproducible)
    job = keeping(Job(source.tensors, whole, keys), options)
    if options.reproducible:
        return job
    return replace(job, keys=keys | provenance.of_checkpoint(source, job.plan, options.guidance))


def senses(folder: Path) -> mmproj.Senses:
    """What a checkpoint can see and hear with; BadCheckpoint when it can't be read."""
    return mmproj.senses(checkpoint.read(folder))


def plan_towers(folder: Path, name: str) -> Plan:
    """What the towers' file of the type named would hold, without writing it."""
    return mmproj.planned(checkpoint.read(folder), name)[1]


def prepare_towers(folder: Path, options: Options) -> Job:
    """Everything for the towers' file before the first weight is read."""
    source = checkpoint.read(folder)
    model, whole = mmproj.planned(source, options.mmproj_type)
    keys = mmproj.keys(source, model, whole)
    if not options.reproducible:
        keys |= media.activation(model) | provenance.of_checkpoint(source, whole)
    return Job(source.tensors, whole, keys)


def planned(
    source: checkpoint.Checkpoint, mix: recipes.Recipe, given: Guidance | None = None
) -> tuple[spec.ModelSpec, Plan]:
    """A checkpoint's numbers, and the plan for it."""
    architecture = architectures.find(source.config)
    model = architecture.read(source.config)
    matched = planning.match(architecture.rules(model), source.tensors, architecture.prefixes, architecture.skips)
    return model, planning.make(matched, mix, spec.traits(model), given or Guidance())


def keeping(job: Job, options: Options) -> Job:
    """The job that keeps what was trained for Q4_0, and says what hurts; for this some weights are read already.

    UsageError when it needs an importance matrix.
    """
    weighting.expect_enough(job.plan.recipe, job.plan.tensors, options.guidance)
    with checkpoint.rows(job.source.values()) as rows:
        adapted = qat.adapted(job.plan, rows, options.qat)
    known = advice.warnings(adapted.plan, guided=options.guidance.importance is not None)
    return replace(job, plan=replace(adapted.plan, warnings=(*job.plan.warnings, *adapted.warnings, *known)))
