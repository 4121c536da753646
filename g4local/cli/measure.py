"""`g4local imatrix` and `g4local compare`: what is measured by reading a text with a model."""

from dataclasses import dataclass
from os import environ
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.backend.measures import CHUNK_TOKENS, FEWEST_TOKENS, Reading
from g4local.cli import completion, options, output
from g4local.cli.interrupts import interruptible
from g4local.core.errors import Cancelled
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4convert.imatrix import Importance

SCHEMA = "g4local.imatrix/1"
"""The name and version of the object that `imatrix --json` prints; that of `compare` is a receipt."""

_BASE = "BF16"
_NAMED = 3
"""Weights that are named when experts were not reached; --json names all."""

Texts = Annotated[list[Path], typer.Argument(metavar="TEXT", help="Files of plain text, read one after the other.")]


@dataclass(frozen=True, slots=True)
class Flags:
    """How the text is read; each field is a flag."""

    ctx: Annotated[int, typer.Option("--ctx", metavar="N", min=FEWEST_TOKENS, help="Tokens of a chunk.")] = CHUNK_TOKENS
    parse_special: Annotated[
        bool, typer.Option("--parse-special", help="Names of control tokens in the text, such as <|turn>, are tokens.")
    ] = False
    threads: Annotated[
        int, typer.Option("--threads", "-t", metavar="N", min=0, max=512, help="CPU threads; 0 is what suits here.")
    ] = 0
    as_json: options.AsJson = False

    @property
    def reading(self) -> Reading:
        """How a model reads the text."""
        return Reading(self.ctx, self.parse_special, self.threads)


@options.takes(Flags)
def imatrix(
    flags: Flags,
    model: options.Model,
    texts: Texts,
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file; without it, NAME.imatrix.gguf here."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Write over a GGUF that is there.")] = False,
) -> None:
    """Compute an importance matrix, which makes quants better.

    The model reads the texts; how large the inputs of its weights were is kept for `convert --imatrix`. One that was
    stopped goes on where it was. Give long and varied text, like what the model will be used for.
    """
    from g4local import converting, importance, library
    from g4local import texts as textfiles
    from g4local.backend.measuring import Process

    places = paths(environ)
    found = library.find(model, places)
    content = textfiles.read(texts, flags.ctx)
    target = target or Path(f"{found.name}.imatrix.gguf")
    converting.expect_free(target, force)
    cancel = Event()
    with (
        output.Bar() as bar,
        interruptible(cancel),
        library.borrowed(found, _BASE, places, bar.report, cancel) as gguf,
    ):
        digest = library.gguf_hash(gguf, places, bar.report, cancel)
        request = importance.Request(gguf, digest, content, flags.reading, target)
        so_far = importance.begun(request)
        if so_far.chunks:
            bar.stop()
            output.note(f"Going on after {so_far.chunks} chunks that were read before.")
        try:
            result = importance.compute(request, so_far, Process(places.logs), bar.report, cancel)
        except Cancelled:
            raise Cancelled("Stopped.", "The same command goes on where the last ten chunks were kept.") from None
    if flags.as_json:
        output.json_line(_object(target, result))
    else:
        output.line(str(target))
        output.note(f"{result.chunks} chunks of {result.chunk_tokens} tokens, {len(result.sums)} weights")
        _warn_of_unreached(result)


@options.takes(Flags)
def compare(
    flags: Flags,
    model: options.Model,
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="What MODEL was made of: a GGUF or a checkpoint folder, which is taken as BF16.",
            autocompletion=completion.models,
        ),
    ],
    texts: Texts,
    save: Annotated[bool, typer.Option("--save", help="Keep it beside MODEL, for `show`.")] = False,
) -> None:
    """Compare a quantized model with what it was made of.

    Tells the KL divergence (0 is none), how often both find the same token the likeliest, and both perplexities.
    """
    from g4local import library, receipts
    from g4local import texts as textfiles

    places = paths(environ)
    found, other = library.find(model, places), library.find(base, places)
    content = textfiles.read(texts, flags.ctx)
    cancel = Event()
    with (
        output.Bar() as bar,
        interruptible(cancel),
        library.borrowed(other, _BASE, places, bar.report, cancel) as original,
    ):
        gguf = library.gguf(found, None, places, bar.report, cancel)
        if original.stat().st_size < gguf.stat().st_size:
            output.warning(
                f"{original.name} is smaller than {gguf.name}: what was quantized comes first, its base after."
            )
        request = receipts.Request(gguf, original, content, flags.reading)
        receipt = receipts.made(request, places, bar.report, cancel)
    if save:
        receipts.keep(receipt, gguf)
    if flags.as_json:
        output.json_line(dict(receipt.content))
    else:
        output.line(receipt.line)
        output.note(f"Measured on {receipt.table['measured on']}.")


def _object(target: Path, result: "Importance") -> dict[str, Json]:
    return {
        "schema": SCHEMA,
        "path": str(target),
        "chunks": result.chunks,
        "chunk_tokens": result.chunk_tokens,
        "weights": len(result.sums),
        "unreached": {name: list[Json](experts) for name, experts in _unreached(result).items()},
    }


def _unreached(result: "Importance") -> dict[str, tuple[int, ...]]:
    """The experts that no token reached, by the weight's name."""
    return {name: experts for name in result.sums if (experts := result.unreached(name))}


def _warn_of_unreached(result: "Importance") -> None:
    if weights := _unreached(result):
        named = ", ".join(f"{name} ({len(experts)} of them)" for name, experts in list(weights.items())[:_NAMED])
        more = f" and {len(weights) - _NAMED} weights more" if len(weights) > _NAMED else ""
        output.warning(f"No token reached some experts of {named}{more}; they count alike. More text reaches more.")
