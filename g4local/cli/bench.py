"""`g4local bench`: how fast a model is on this machine, and which setting makes it fastest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import environ
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from g4local.backend.engine import LoadOptions
from g4local.cli import options, output, request
from g4local.cli.interrupts import interruptible
from g4local.core.errors import UsageError
from g4local.core.messages import Json
from g4local.settings import Paths, paths

if TYPE_CHECKING:
    from g4local.backend.tuning import Tuning
    from g4local.speed import Speed, Task

    Runs = Mapping[Tuning, Sequence[Speed]]

SCHEMA = "g4local.bench/1"
"""The name and version of the object that --json prints."""

_HEADS = ("prefill t/s", "decode t/s", "first", "load", "memory")


@dataclass(frozen=True, slots=True)
class Flags:
    """What is measured, and how the model is loaded; each field is a flag."""

    model: options.Model
    prompt: Annotated[int, typer.Option("--prompt", "-p", min=1, metavar="N", help="Tokens of the prompt.")] = 512
    answer: Annotated[int, typer.Option("--answer", "-n", min=2, metavar="N", help="Tokens of the answer.")] = 128
    repetitions: Annotated[
        int, typer.Option("--repetitions", "-r", min=1, metavar="N", help="Runs, of which the medians count.")
    ] = 3
    tune: Annotated[
        bool, typer.Option("--tune", help="Try numbers of threads, and repacked weights or none; keep the fastest.")
    ] = False
    ctx: request.Context = 4096
    threads: request.Threads = 0
    gpu_layers: request.GpuLayers = None
    kv_type: request.KvKind = "f16"
    lazy_ple: request.LazyPle = "auto"
    force_load: request.ForceLoad = False
    quant: options.Quant = None
    as_json: options.AsJson = False


@options.takes(Flags)
def bench(flags: Flags) -> None:
    """Measure how fast a model is here: tokens a second, memory.

    Everything is as in `run`: the engine's process, and sampling. After --tune, loads of this model use the fastest
    setting that was found, unless --threads says otherwise.
    """
    from g4local import library, speed
    from g4local.backend import tuning

    if flags.tune and flags.threads:
        raise UsageError("--tune tries numbers of threads itself.", "Leave out --threads.")
    places, cancel = paths(environ), Event()
    task = speed.Task(flags.prompt, flags.answer, flags.repetitions)
    found = library.find(flags.model, places)
    with output.Bar() as bar, interruptible(cancel):
        asked = _options(flags, library.gguf(found, flags.quant, places, bar.report, cancel))

        def timed(every: "Sequence[Tuning]") -> "Runs":
            return speed.timed(asked, every, task, places, bar.report, cancel)

        used, runs = (
            _tuned(asked.path, task, places, timed) if flags.tune else (tuning.setting(asked, places.cache), {})
        )
        if used not in runs:
            runs = {**runs, **timed([used])}
    if flags.tune:
        _keep(asked.path, used, places)
    is_tuned = not flags.threads and tuning.known(asked.path, places.cache) == used
    if flags.as_json:
        output.json_line(_object(flags, asked.path, runs, used, is_tuned=is_tuned))
        return
    output.line(f"{found.name}: {task.prompt} tokens of prompt, {task.answer} of answer")
    output.line(_words(used, is_tuned))
    if flags.tune:
        rows = [(*_cells(setting), *_figures(speed.medians(speeds))) for setting, speeds in runs.items()]
        output.table(("THREADS", "PROMPTS", "REPACKED", *_HEADS), rows)
        if is_tuned:
            output.line(_why(used, tuning.usual(asked.path, places.cache), runs, task))
    else:
        rows = [(str(number), *_figures(each)) for number, each in enumerate(runs[used], 1)]
        output.table(("RUN", *_HEADS), [*rows, ("median", *_figures(speed.medians(runs[used])))])


def _tuned(
    path: Path, task: "Task", places: Paths, timed: "Callable[[Sequence[Tuning]], Runs]"
) -> "tuple[Tuning, Runs]":
    """The best setting for a model, and what was tried for it."""
    from g4local import speed
    from g4local.backend import tuning
    from g4local.backend.host import machine

    usual = tuning.usual(path, places.cache)
    runs = timed(speed.settings(usual, machine.hardware_threads()))
    return speed.best(runs, task, usual), runs


def _options(flags: Flags, path: Path) -> LoadOptions:
    return LoadOptions(
        path,
        context=flags.ctx,
        threads=flags.threads,
        gpu_layers=flags.gpu_layers,
        kv_type=flags.kv_type,
        lazy_ple=flags.lazy_ple,
        draft="off",  # the random text of a benchmark repeats itself as no answer does
        force=flags.force_load,
    )


def _keep(path: Path, best: "Tuning", places: Paths) -> None:
    from g4local.backend import tuning

    try:
        tuning.keep(path, places.cache, best)
    except OSError as error:
        output.warning(f"What was found can't be kept in {places.cache}: {error.strerror}.")


def _words(used: "Tuning", is_tuned: bool) -> str:
    threads = "1 thread" if used.threads == 1 else f"{used.threads} threads"
    threads += f", {used.batch_threads} for prompts" if used.batch_threads != used.threads else ""
    kept = " (kept by --tune)" if is_tuned else ""
    return f"{threads}, weights {'repacked' if used.extra_buffers else 'as they are'}{kept}"


def _why(used: "Tuning", usual: "Tuning", runs: "Runs", task: "Task") -> str:
    """What was kept, and what it gains for the task that was measured."""
    from g4local.speed import medians

    if used == usual:
        return "The usual setting is as fast as any; nothing else is kept."
    seconds = {
        setting: task.prompt / speed.prefill + task.answer / speed.decode
        for setting, speed in ((each, medians(runs[each])) for each in (used, usual) if each in runs)
    }
    gain = (
        f": {100 * (seconds[usual] / seconds[used] - 1):.0f} % faster than the usual setting"
        if usual in seconds
        else ""
    )
    return f"Kept: {_words(used, is_tuned=False)}{gain}."


def _cells(setting: "Tuning") -> tuple[str, str, str]:
    return str(setting.threads), str(setting.batch_threads), "yes" if setting.extra_buffers else "no"


def _figures(speed: "Speed") -> tuple[str, ...]:
    """The cells of a row; under a tenth of a second, or of a token, nobody cares."""
    return (
        f"{speed.prefill:,.1f}",
        f"{speed.decode:,.1f}",
        f"{speed.first_token_seconds:,.2f} s",
        f"{speed.load_seconds:,.2f} s",
        "unknown" if speed.peak_bytes is None else output.human_bytes(speed.peak_bytes),
    )


def _object(flags: Flags, path: Path, runs: "Runs", used: "Tuning", *, is_tuned: bool) -> dict[str, Json]:
    from g4local.speed import medians

    return {
        "schema": SCHEMA,
        "model": flags.model,
        "path": str(path),
        "prompt_tokens": flags.prompt,
        "answer_tokens": flags.answer,
        "context": flags.ctx,
        "kv_type": flags.kv_type,
        **asdict(used),
        "tuned": is_tuned,
        "median": _speed(medians(runs[used])),
        "settings": [
            {
                **asdict(setting),
                "median": _speed(medians(speeds)),
                "runs": [_speed(each) for each in speeds],
            }
            for setting, speeds in runs.items()
        ],
    }


def _speed(speed: "Speed") -> dict[str, Json]:
    return {
        "prefill_tokens_per_second": speed.prefill,
        "decode_tokens_per_second": speed.decode,
        "first_token_seconds": speed.first_token_seconds,
        "load_seconds": speed.load_seconds,
        "peak_bytes": speed.peak_bytes,
    }
