"""What `g4local convert` and `g4local quantize` share: their flags, where the GGUF goes, the plan and the summary."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from os import environ
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from g4convert.recipes import RECIPES
from g4local.backend.measures import CHUNK_TOKENS, Reading
from g4local.cli import completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import G4Error
from g4local.core.messages import Json
from g4local.core.progress import Report
from g4local.settings import paths

if TYPE_CHECKING:
    from g4convert.convert import Converted, Options
    from g4convert.plan import Plan, TensorPlan
    from g4local.library import Model
    from g4local.receipts import Receipt
    from g4local.texts import Texts

SCHEMA, PLAN_SCHEMA = "g4local.convert/1", "g4local.plan/1"
"""The names and versions of the objects that --json prints, of `quantize` too."""


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
            help=f"One of {', '.join(RECIPES)}; `g4local quants` compares them.",
            autocompletion=completion.quants,
        ),
    ] = "Q4_K_M"
    qat: Annotated[
        Literal["auto", "on", "off"],
        typer.Option(
            "--qat", help="Keep weights that were trained for Q4_0 exactly: where they are, or else fail, or never."
        ),
    ] = "auto"
    imatrix: Annotated[
        str | None,
        typer.Option("--imatrix", metavar="FILE", help="An importance matrix: which columns of weights matter most."),
    ] = None
    tensor_type: Annotated[
        list[str] | None,
        typer.Option(
            "--tensor-type",
            metavar="REGEX=TYPE",
            help="The type of the tensors whose names match (repeatable; the first that matches counts).",
        ),
    ] = None
    embedding_type: Annotated[
        str, typer.Option("--embedding-type", metavar="TYPE", help="The type of all embeddings.")
    ] = ""
    ple_type: Annotated[
        str, typer.Option("--ple-type", metavar="TYPE", help="The type of the layers' embeddings (E2B, E4B).")
    ] = ""
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
    force: Annotated[bool, typer.Option("--force", "-f", help="Write over a GGUF that is there.")] = False
    as_json: options.AsJson = False

    @property
    def recipe(self) -> str:
        """The quant as the converter spells it."""
        return self.quant.upper()

    def options(self) -> "Options":
        """How the recipe is carried out; the errors of `imatrix.read` and `choice.guidance`."""
        from g4convert import choice, imatrix
        from g4convert.convert import Options

        importance = imatrix.read(self.imatrix) if self.imatrix is not None else None
        guidance = choice.guidance(self.tensor_type or (), self.embedding_type, self.ple_type, importance)
        return Options(qat=self.qat, guidance=guidance, reproducible=self.reproducible, tell=_warn)


@dataclass(frozen=True, slots=True)
class Towers:
    """The file beside a model that sees and hears."""

    type: str
    plan: Callable[[], "Plan"]


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
    towers: Towers | None = None
    """None: there are none, or they are left out."""
    warnings: tuple[str, ...] = ()


def carry_out(wanted: Conversion, source: Source) -> None:
    """Print the plan, or write the GGUF and print its path; a file of towers is told after it."""
    from g4local import converting, library, pins, receipts, texts

    for warning in source.warnings:
        output.warning(warning)
    choices = wanted.options()
    towers = source.towers
    if wanted.plan:
        plan = source.plan(wanted.recipe, choices)
        _print_plans(plan, towers.plan() if towers else None, wanted.as_json)
        _warn(plan)
        return
    target = wanted.target or converting.place(source.name, wanted.recipe, paths(environ))
    converting.expect_free(target, wanted.force)
    if towers:
        beside = library.beside(target, wanted.recipe, towers.type)
        converting.expect_free(beside, wanted.force)
        choices = replace(choices, mmproj=beside, mmproj_type=towers.type)
    text = texts.read([wanted.receipt], CHUNK_TOKENS) if wanted.receipt else None
    receipt = None
    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        done = source.write(target, wanted.recipe, bar.report, cancel, choices)
        receipts.forget(done.path)
        pins.forget_packed(done.path)
        try:
            receipt = _receipt(done.path, source.model, text, bar, cancel) if text else None
        except G4Error:
            bar.stop()
            _tell(done, source.warnings, None, wanted.as_json)
            output.note("Only the receipt is missing; `g4local compare --save` makes one.")
            raise
    _tell(done, source.warnings, receipt, wanted.as_json)


def _tell(done: "Converted", warned: tuple[str, ...], receipt: "Receipt | None", as_json: bool) -> None:
    """What was made, and what should be known of it; `warned` are the warnings that a person has seen already."""
    if as_json:
        more = {"qat": _lattice(done.plan), "warnings": list[Json]([*warned, *done.plan.warnings])}
        beside = {"mmproj": _made(done.towers) if done.towers else None}
        kept = {"receipt": dict(receipt.content) if receipt else None}
        output.json_line({"schema": SCHEMA, **_made(done), **more, **beside, **kept})
    else:
        for file in filter(None, (done, done.towers)):
            output.line(str(file.path))
            count, size = len(file.plan.tensors), output.human_bytes(file.nbytes)
            output.note(f"{file.plan.recipe.name}, {count} tensors, {size}")
        _print_lattice(done.plan)
        if receipt:
            output.note(receipt.line)


def _warn(plan: "Plan") -> None:
    for warning in plan.warnings:
        output.warning(warning)


def _receipt(made: Path, source: "Model", text: "Texts", bar: output.Bar, cancel: Event) -> "Receipt":
    """Compare the new GGUF with what it was made of, and keep the receipt beside it."""
    from g4local import library, receipts

    places = paths(environ)
    with library.borrowed(source, "BF16", places, bar.report, cancel) as base:
        receipt = receipts.made(receipts.Request(made, base, text, Reading()), places, bar.report, cancel)
    receipts.keep(receipt, made)
    return receipt


def _made(done: "Converted") -> dict[str, Json]:
    return {"path": str(done.path), "bytes": done.nbytes, **_summary(done.plan)}


def _print_plans(plan: "Plan", towers: "Plan | None", as_json: bool) -> None:
    if as_json:
        output.json_line({"schema": PLAN_SCHEMA, **_whole(plan), "mmproj": _whole(towers) if towers else None})
        return
    for each in filter(None, (plan, towers)):
        if each is towers:
            output.line()
        within = _common([tensor.source.name for tensor in each.tensors if tensor.source])
        output.table(
            ("TENSOR", "SHAPE", "TYPE", "SIZE", f"SOURCE IN {within[:-1]}" if within else "SOURCE"),
            [
                (
                    tensor.name,
                    " x ".join(map(str, tensor.shape)),
                    tensor.type.name,
                    output.human_bytes(tensor.nbytes),
                    _origin(tensor).removeprefix(within),
                )
                for tensor in each.tensors
            ],
        )
        types = Counter(tensor.type.name for tensor in each.tensors)
        counts = ", ".join(f"{count} {name}" for name, count in types.most_common())
        output.note(f"{each.recipe.name}: {len(each.tensors)} tensors, {output.human_bytes(each.nbytes)} ({counts})")
    if plan.skipped and not towers:
        output.note(f"Left out: {len(plan.skipped)} tensors.")


def _whole(plan: "Plan") -> dict[str, Json]:
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
    more: dict[str, Json] = {"skipped": list[Json](plan.skipped), "warnings": list[Json](plan.warnings)}
    return {**_summary(plan), "tensors": rows, **more}


def _common(names: Sequence[str]) -> str:
    """What all names begin with, up to a dot: what the first and the last of the alphabet do."""
    both = zip(min(names).split(".")[:-1], max(names).split(".")[:-1], strict=False)
    return "".join(f"{part}." for part, other in takewhile(lambda pair: pair[0] == pair[1], both))


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
