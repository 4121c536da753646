"""`g4local pull`: a model comes from the hub into the models folder."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import environ
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.cli import completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core import offline
from g4local.core.errors import UsageError
from g4local.core.messages import Json
from g4local.core.progress import Progress, Report
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.pulling import Context, Pulled

SCHEMA = "g4local.pull/1"
"""The name and version of the object that --json prints."""

_SECONDS = 0.5
"""Between two lines of progress for scripts."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be pulled of a model; each field is a flag."""

    quant: Annotated[
        str | None,
        typer.Option(
            "--quant",
            "-q",
            metavar="NAME",
            help="The quant, as behind the colon; with --from-checkpoint any that `quants` lists.",
            autocompletion=completion.quants,
        ),
    ] = None
    mmproj: Annotated[bool, typer.Option("--mmproj", help="Get the file that sees and hears, too.")] = False
    drafter: Annotated[bool, typer.Option("--drafter", help="Get the drafter, too.")] = False
    from_checkpoint: Annotated[
        bool, typer.Option("--from-checkpoint", help="Download the safetensors, and convert them here.")
    ] = False
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the safetensors of --from-checkpoint, until you delete them.")
    ] = False
    update: Annotated[
        bool, typer.Option("--update", help="Take what the hub has now, also if it is another file than before.")
    ] = False


@options.takes(Wish)
def pull(
    wish: Wish,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="e2b, e4b, 12b, 26b, 31b, with a quant behind a colon if not the usual one (e2b:q8_0), or "
            "OWNER/REPO[:QUANT|:FILE] on the hub.",
            autocompletion=completion.pullable,
        ),
    ],
    as_json: options.AsJson = False,
    stream_json: Annotated[
        bool, typer.Option("--stream-json", help="Print the progress as JSON lines, and that object last.")
    ] = False,
) -> None:
    """Download a model, or go on with a download; prints the path.

    A file appears when it is whole and its hash is right. Mirrors (HF_ENDPOINT), proxies (HTTPS_PROXY) and tokens
    (HF_TOKEN) are used as by other programs.
    """
    from g4local import pulling

    cancel, warnings = Event(), list[str]()
    with output.Bar() as bar, interruptible(cancel):
        report = _lines() if stream_json else bar.report
        pulled = _pulled(model, wish, pulling.Context(paths(environ), report, cancel, warnings.append))
    if as_json or stream_json:
        result = _object(model, pulled, warnings)
        output.json_line({"type": "result", **result} if stream_json else result)
        return
    for each in pulled:
        output.line(str(each.path))
    _tell(pulled, warnings)


def _pulled(model: str, wish: Wish, context: "Context") -> list["Pulled"]:
    from g4local import catalog, library, making, pulling

    if model == library.DEMO:
        raise UsageError("The demo model is built in, so there is nothing to pull.", "g4local run demo")
    if sys.stderr and sys.stderr.isatty() and not offline.is_on():
        output.note("Asking the hub.")
    reference = catalog.reference(model)
    if wish.quant and (reference.quant or reference.file):
        raise UsageError(f"{model} says already which file it is.", "Leave out --quant, or what is behind the colon.")
    if wish.from_checkpoint:
        if wish.update or wish.drafter:
            raise UsageError("--from-checkpoint makes a model and its towers.", "Leave out --update and --drafter.")
        return making.make(reference, making.Wish(wish.quant, wish.mmproj, wish.keep), context)
    if wish.keep:
        raise UsageError("--keep keeps what --from-checkpoint downloads.", "Leave it out; a GGUF is kept anyway.")
    reference = replace(reference, quant=wish.quant or reference.quant)
    return pulling.pull(reference, pulling.Choice(wish.mmproj, wish.drafter, wish.update), context)


def _tell(pulled: Sequence["Pulled"], warnings: Sequence[str]) -> None:
    for warning in warnings:
        output.warning(warning)
    for each in pulled:
        output.note(each.told)
        if each.is_first:
            output.note(f"sha256 {each.pin.digest}, which a later pull of it has to find again.")


def _lines() -> Report:
    """A Report that prints a JSON line each half second, and at each new stage."""
    last = ("", 0.0)

    def report(progress: Progress) -> None:
        nonlocal last
        stage, before = last
        if progress.stage == stage and monotonic() - before < _SECONDS and progress.done != progress.total:
            return
        last = progress.stage, monotonic()
        output.json_line(
            {
                "type": "progress",
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
                "unit": progress.unit,
            }
        )

    return report


def _object(model: str, pulled: Sequence["Pulled"], warnings: Sequence[str]) -> dict[str, Json]:
    files: list[Json] = [
        {
            "name": each.pin.name,
            "path": str(each.path),
            "kind": each.pin.kind,
            "quant": each.pin.quant,
            "bytes": each.pin.nbytes,
            "sha256": each.pin.digest if len(each.pin.digest) == 64 else None,
            "repo": each.pin.repo,
            "file": each.pin.path or None,
            "commit": each.pin.commit,
            "origin": each.origin,
            "first": each.is_first,
        }
        for each in pulled
    ]
    return {"schema": SCHEMA, "model": model, "files": files, "warnings": list[Json](warnings)}
