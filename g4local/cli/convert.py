"""`g4local convert`: a Hugging Face checkpoint becomes a GGUF."""

from collections import Counter
from os import environ
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import ModelNotFound, UsageError
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4convert.plan import Plan


def convert(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The checkpoint: config.json, safetensors, tokenizer.")],
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The GGUF; without it, a file in the models folder."),
    ] = None,
    quant: Annotated[
        str,
        typer.Option(
            "--quant",
            "-q",
            metavar="NAME",
            help="BF16, F16, F32, Q8_0, Q4_0 or Q4_K_M, among others.",
            autocompletion=completion.quants,
        ),
    ] = "Q4_K_M",
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be written, and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Write over a file that is there.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Turn a Gemma 4 checkpoint into one GGUF; prints the file's path."""
    from g4convert import convert as converter
    from g4local import library

    recipe = quant.upper()
    if not folder.is_dir():
        raise ModelNotFound(
            f"There is no folder {folder}.", "Give the folder that holds config.json and *.safetensors."
        )
    if plan:
        _print_plan(converter.plan(folder, recipe), as_json)
        return
    if target is None:
        target = library.models_folder(paths(environ)) / f"{folder.resolve().name}-{recipe}.gguf"
    if _is_there(target) and not force:
        raise UsageError(f"{target} is there already.", "Give another name with -o, or --force to write over it.")
    cancel = Event()
    with output.Bar() as bar, interruptible(cancel):
        done = converter.convert(folder, target, recipe, bar.report, cancel)
    if as_json:
        output.json_line({"path": str(done.path), "bytes": done.nbytes, **_summary(done.plan)})
    else:
        output.line(str(done.path))
        output.note(f"{recipe}, {len(done.plan.tensors)} tensors, {output.human_bytes(done.nbytes)}")


def _is_there(path: Path) -> bool:
    """Whether something has this name; one that can't be a name at all is told when it is written."""
    try:
        return path.exists()
    except OSError:
        return False


def _print_plan(plan: "Plan", as_json: bool) -> None:
    if as_json:
        rows: list[Json] = [
            {
                "name": tensor.name,
                "source": tensor.source.name if tensor.source else None,
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
                tensor.source.name if tensor.source else "(made)",
            )
            for tensor in plan.tensors
        ],
    )
    output.note(f"{plan.recipe.name}: {len(plan.tensors)} tensors, {output.human_bytes(plan.nbytes)}")
    if plan.skipped:
        output.note(f"Left out: {len(plan.skipped)} tensors of the vision and audio towers.")


def _summary(plan: "Plan") -> dict[str, Json]:
    types = Counter(tensor.type.name for tensor in plan.tensors)
    return {"quant": plan.recipe.name, "data_bytes": plan.nbytes, "types": dict[str, Json](types)}
