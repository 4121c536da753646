"""What `g4local convert` and `g4local quantize` share: their flags, where the GGUF goes, the plan and the summary."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from os import environ
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from g4local.backend.measures import Reading
from g4local.cli import completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import G4Error, UsageError
from g4local.core.messages import Json
from g4local.core.progress import Report
from g4local.settings import paths

if TYPE_CHECKING:
    from g4convert.convert import Converted, Options
    from g4convert.plan import Plan, TensorPlan
    from g4local.library import Model
    from g4local.receipts import Receipt
    from g4local.texts import Texts


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is wanted of a conversion; each field is a flag."""

    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The GGUF; without it, a file in the models folder."),
    ] = None
    quant: Annotated[
        str,
        typer.Option(
            "--quant",
            "-q",
            metavar="NAME",
            help="BF16, F16, F32, Q8_0, Q4_0 or Q4_K_M, among others.",
            autocompletion=completion.quants,
        ),
    ] = "Q4_K_M"
    qat: Annotated[
        Literal["auto", "on", "off"],
        typer.Option(
            "--qat", help="Keep weights that were trained for Q4_0 exactly: where they are, or else fail, or never."
        ),
    ] = "auto"
    reproducible: Annotated[
        bool,
        typer.Option("--reproducible", help="Leave out where the GGUF comes from: llama.cpp's own bytes."),
    ] = False
    receipt: Annotated[
        Path | None,
        typer.Option(
            "--receipt",
            metavar="TEXT",
            help="Compare the result with BF16 on this text, and keep the figures beside it.",
        ),
    ] = None
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be written, and write nothing.")] = False
    force: Annotated[bool, typer.Option("--force", "-f", help="Write over a file that is there.")] = False
    as_json: options.AsJson = False

    @property
    def recipe(self) -> str:
        """The quant as the converter spells it."""
        return self.quant.upper()


@dataclass(frozen=True, slots=True)
class Source:
    """What a GGUF is made of, and how."""

    name: str
    """How the GGUF's own name begins."""
    plan: Callable[[str, "Options"], "Plan"]
    """What a recipe would make of it."""
    write: Callable[[Path, str, Report, Event, "Options"], "Converted"]
    model: "Model"
    """The source itself, which a receipt compares with."""


def carry_out(wanted: Conversion, source: Source) -> None:
    """Print the plan, or write the GGUF and print its path."""
    from g4convert.convert import Options
    from g4local import library, receipts, texts

    choices = Options(qat=wanted.qat, reproducible=wanted.reproducible)
    if wanted.plan:
        _print_plan(source.plan(wanted.recipe, choices), wanted.as_json)
        return
    target = wanted.target or library.models_folder(paths(environ)) / f"{source.name}-{wanted.recipe}.gguf"
    expect_free(target, wanted.force)
    text = texts.read([wanted.receipt]) if wanted.receipt else None
    receipt = None
    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        done = source.write(target, wanted.recipe, bar.report, cancel, choices)
        receipts.forget(done.path)
        if text:
            receipt = _receipt(done.path, source.model, text, bar, cancel)
    if wanted.as_json:
        made: dict[str, Json] = {"path": str(done.path), "bytes": done.nbytes, **_summary(done.plan)}
        told = {**made, "qat": _lattice(done.plan), "warnings": list[Json](done.plan.warnings)}
        output.json_line({**told, "receipt": dict(receipt.content) if receipt else None})
    else:
        output.line(str(done.path))
        output.note(f"{wanted.recipe}, {len(done.plan.tensors)} tensors, {output.human_bytes(done.nbytes)}")
        _print_lattice(done.plan)
        if receipt:
            output.note(receipt.line)
    for warning in done.plan.warnings:
        output.warning(warning)


def _receipt(made: Path, source: "Model", text: "Texts", bar: output.Bar, cancel: Event) -> "Receipt":
    """Compare the new GGUF with what it was made of, and keep the receipt beside it."""
    from g4local import library, receipts

    places = paths(environ)
    try:
        with library.borrowed(source, "BF16", places, bar.report, cancel) as base:
            receipt = receipts.made(receipts.Request(made, base, text, Reading()), places, bar.report, cancel)
        receipts.keep(receipt, made)
    except G4Error:
        bar.stop()
        output.note(f"{made} is written; only its receipt is not.")
        raise
    return receipt


def expect_free(target: Path, force: bool) -> None:
    """UsageError when something has this name and was not to be written over."""
    with suppress(OSError):  # one that can't be a name at all is told when it is written
        if target.exists() and not force:
            raise UsageError(f"{target} is there already.", "Give another name with -o, or --force to write over it.")


def _print_plan(plan: "Plan", as_json: bool) -> None:
    if as_json:
        rows: list[Json] = [
            {
                "name": tensor.name,
                "source": tensor.source.name if tensor.source else None,
                "source_type": tensor.source.dtype if tensor.source else None,
                "shape": list(tensor.shape),
                "type": tensor.type.name,
                "bytes": tensor.nbytes,
            }
            for tensor in plan.tensors
        ]
        output.json_line({**_summary(plan), "tensors": rows, "skipped": list(plan.skipped)})
        return
    output.table(
        ("TENSOR", "SHAPE", "TYPE", "SIZE", "SOURCE"),
        [
            (
                tensor.name,
                " x ".join(map(str, tensor.shape)),
                tensor.type.name,
                output.human_bytes(tensor.nbytes),
                _origin(tensor),
            )
            for tensor in plan.tensors
        ],
    )
    output.note(f"{plan.recipe.name}: {len(plan.tensors)} tensors, {output.human_bytes(plan.nbytes)}")
    if plan.skipped:
        output.note(f"Left out: {len(plan.skipped)} tensors of the vision and audio towers.")


def _origin(tensor: "TensorPlan") -> str:
    """Where a tensor comes from: its name in the checkpoint, or its type in the GGUF."""
    if tensor.source is None:
        return "(made)"
    return tensor.source.dtype if tensor.source.name == tensor.name else tensor.source.name


def _summary(plan: "Plan") -> dict[str, Json]:
    types = Counter(tensor.type.name for tensor in plan.tensors)
    return {"quant": plan.recipe.name, "data_bytes": plan.nbytes, "types": dict[str, Json](types)}


def _lattice(plan: "Plan") -> dict[str, Json] | None:
    """What was kept of weights that were trained for Q4_0."""
    marked = [tensor.lattice for tensor in plan.tensors if tensor.lattice]
    if not marked:
        return None
    tally = marked[0]
    return {"tensors": len(marked), "blocks": tally.blocks, "exact": tally.exact, "nearest": tally.nearest}


def _print_lattice(plan: "Plan") -> None:
    match _lattice(plan):
        case {"tensors": int(tensors), "blocks": int(blocks), "exact": int(exact)}:
            share = "all" if exact == blocks else f"{exact:,} of"
            output.note(f"Trained for Q4_0: {tensors} tensors, {share} {blocks:,} blocks kept exactly.")
