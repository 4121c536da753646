"""`g4local fit`: what a model would take on this machine, and what fits, before anything is loaded."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.backend.engine import LoadOptions
from g4local.cli import completion, options, output, request
from g4local.core.errors import ModelNotFound, UsageError
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.backend.fit.fitting import Fit, Resources
    from g4local.planner import Candidate

SCHEMA = "g4local.fit/1"
"""The name and version of the object that --json prints."""

_CONTEXTS = (8192, 32768, 131072, 262144)
_QUANTS = ("BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")
_FEW_QUANTS = ("Q8_0", "Q4_K_M")
"""For the table of all sizes."""


def fit(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="As for run, or e2b, e4b, 12b, 26b-a4b, 31b, which need no file; without it, all of these.",
            autocompletion=completion.models_and_sizes,
        ),
    ] = None,
    quant: options.Quant = None,
    ctx: request.Context = 4096,
    kv_type: request.KvKind = "f16",
    lazy_ple: request.LazyPle = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Tell whether a model fits into memory here; without one, which."""
    from g4local import planner

    there = planner.resources()
    asked = LoadOptions(Path(), context=ctx, kv_type=kv_type, lazy_ple=lazy_ple)
    chosen, candidates = _candidates(model, quant.upper() if quant else None)
    table = list(_table(candidates, asked, there, every_kind=chosen is not None))
    if as_json:
        one = _object(chosen, asked, there) if chosen else {"available_bytes": there.available}
        output.json_line({"schema": SCHEMA, **one, "table": [_row(*entry) for entry in table]})
        return
    if chosen:
        _print(chosen, asked, there)
    else:
        output.line(f"{_memory(there)} With {kv_type} keys and values, by tokens of context:")
    output.line("" if chosen is None else "\nBy kind of keys and values (CONTEXT) and tokens of context:")
    _print_table(table, sizes=chosen is None)


def _candidates(name: str | None, quant: str | None) -> tuple["Candidate | None", list["Candidate"]]:
    """The model that is meant, and all that are to be compared: what it could be quantized to, or all sizes."""
    from g4local import inventory, library, planner

    if name is None:
        quants = (quant,) if quant else _FEW_QUANTS
        return None, [planner.of_size(size, each) for size in planner.SIZES for each in quants]
    size = name.lower() if name.lower() in planner.SIZES and not Path(name).exists() else ""
    try:
        found = None if size else library.find(name, paths(environ))
    except ModelNotFound as error:
        size, said = _known(name)
        if not size:
            raise ModelNotFound(error.message, f"{error.hint} Or one of {', '.join(planner.SIZES)}.") from error
        if quant and said:
            raise UsageError(f"{name} says already which quant it is.", "Leave out --quant.") from error
        found, quant = None, quant or said
    if found and found.kind == "gguf":
        if quant:
            raise UsageError(f"{found.path} is a GGUF already and is run as it is.", "Leave out --quant.")
        only = inventory.gguf(found.path, found.name, output.warning)
        return only, [only]
    first = quant or (found.recipe if found else library.DEFAULT_RECIPE)
    every = {
        recipe: planner.of_checkpoint(found.path, found.name, recipe) if found else planner.of_size(size, recipe)
        for recipe in dict.fromkeys((first,) if quant else (*_QUANTS, first))
    }
    return every[first], list(every.values())


def _known(name: str) -> tuple[str, str | None]:
    """The size and the recipe that a name of `pull` means, such as e2b:q8_0; nothing and None for any other."""
    from g4local import catalog

    base, _, quant = name.partition(":")
    size = catalog.known(base)
    if size is None:
        return "", None
    entry = next((each for each in size.models if quant and each.is_called(quant)), None)
    return size.name, (entry.quant if entry else quant.upper()).removeprefix("QAT-") or None


def _table(
    candidates: Sequence["Candidate"], asked: LoadOptions, there: "Resources", *, every_kind: bool
) -> Iterator[tuple["Candidate", "Fit"]]:
    """Each candidate in each context, with every kind of keys and values or the one that was asked for."""
    from g4local import inventory
    from g4local.backend.fit import fitting

    for candidate in candidates:
        trained = candidate.model.shape.trained_context
        kinds = fitting.kv_types(candidate.model)
        for kv_type in kinds if every_kind else (asked.kv_type,):
            for context in [context for context in _CONTEXTS if context <= trained] or [trained]:
                yield candidate, inventory.fit(candidate, replace(asked, kv_type=kv_type, context=context), there)


def _print(candidate: "Candidate", asked: LoadOptions, there: "Resources") -> None:
    from g4local import inventory
    from g4local.backend.fit import fitting

    result = inventory.fit(candidate, asked, there)
    need, size, kv_type = result.need, output.human_bytes, result.setting.kv_type
    table = f" (and {size(candidate.model.weights.table)} that are read row by row)" if result.setting.lazy else ""
    full, sliding = need.kv_full, need.kv_sliding
    kept = size(result.checkpoint_bytes)
    largest = fitting.largest_context(candidate.model, result.setting, there)
    lines = {
        f"{result.setting.context:,} tokens": f"{size(need.total)}: {result.verdict}",
        "  weights": size(need.weights) + table,
        "  context": f"{size(full + sliding)} as {kv_type}: {size(full)} grow with it, {size(sliding)} do not",
        "  computing": size(need.compute + need.output) + _plain_attention(candidate, result),
        "  checkpoint": f"{size(need.checkpoint)}, a way back to an earlier turn; up to {kept} are kept",
        "  program": size(need.process),
        "  drafter": _drafter(candidate, result),
        "  on GPUs": f"{size(need.device)}, {result.placement.layers} layers" if need.device else "",
        "largest": f"{largest:,} tokens" if largest else "none fits with ease",
    }
    output.line(f"{candidate.name}, {candidate.quant}. {_memory(there)}")
    output.fields({name: text for name, text in lines.items() if text})
    if result.verdict != "yes":
        output.line(fitting.way_out(result, candidate.model, there))


def _drafter(candidate: "Candidate", result: "Fit") -> str:
    """What the assistant takes that lies beside the model, or that it is left out."""
    if result.setting.drafter:
        return output.human_bytes(result.need.drafter) if result.need.drafter else ""
    return "left out: there is too little memory for it" if candidate.drafter else ""


def _plain_attention(candidate: "Candidate", result: "Fit") -> str:
    """Why there is more to compute in than for a context that is longer."""
    from g4local.backend.fit import memory

    shape, context = candidate.model.shape, result.setting.context
    if memory.flash_attention(shape, context, result.setting.kv_type, on_gpu=result.placement.layers > 0):
        return ""
    plain, flash = (memory.compute_bytes(shape, context, flash=each, batch=memory.PIECE) for each in (False, True))
    more, most = (output.human_bytes(nbytes) for nbytes in (plain - flash, memory.PLAIN_ATTENTION_BYTES))
    return f"; {more} of it keep reuse exact, given up above {most}"


def _memory(there: "Resources") -> str:
    gpus = "".join(f", {output.human_bytes(gpu.free_bytes)} of {gpu.name}" for gpu in there.gpus)
    known = "unknown" if there.available is None else output.human_bytes(there.available)
    return f"Memory that can be had: {known}{gpus}."


def _print_table(table: Sequence[tuple["Candidate", "Fit"]], *, sizes: bool) -> None:
    """One line for each candidate and kind of keys and values, one column for each context."""
    contexts = sorted({result.setting.context for _, result in table})
    rows = []
    for (name, quant, kv_type), entries in groupby(
        table, lambda entry: (entry[0].name, entry[0].quant, entry[1].setting.kv_type)
    ):
        cells = {
            result.setting.context: f"{output.human_bytes(result.need.total)} {result.verdict}" for _, result in entries
        }
        rows.append(
            (name if sizes else quant, quant if sizes else kv_type, *(cells.get(each, "") for each in contexts))
        )
    heads = ("SIZE", "QUANT") if sizes else ("QUANT", "CONTEXT")
    output.table((*heads, *(f"{context:,}" for context in contexts)), rows)


def _object(candidate: "Candidate", asked: LoadOptions, there: "Resources") -> dict[str, Json]:
    from g4local import inventory
    from g4local.backend.fit import fitting

    result = inventory.fit(candidate, asked, there)
    return {
        **_row(candidate, result),
        "available_bytes": there.available,
        "gpus": [{"name": gpu.name, "free_bytes": gpu.free_bytes} for gpu in there.gpus],
        "lazy_ple": result.setting.lazy,
        "need": dict(asdict(result.need)),
        "gpu_layers": result.placement.layers,
        "cpu_expert_layers": result.placement.cpu_experts,
        "checkpoint_bytes": result.checkpoint_bytes,
        "largest_context": fitting.largest_context(candidate.model, result.setting, there),
        "advice": fitting.way_out(result, candidate.model, there) if result.verdict != "yes" else None,
    }


def _row(candidate: "Candidate", result: "Fit") -> dict[str, Json]:
    return {
        "model": candidate.name,
        "quant": candidate.quant,
        "context": result.setting.context,
        "kv_type": result.setting.kv_type,
        "bytes": result.need.total,
        "fits": result.verdict,
    }
