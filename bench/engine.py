"""The engine against llama.cpp itself, side by side: `python -m bench.engine MODEL.gguf`.

Ours is what `g4local run` has: child process, default sampling, its own choice of threads and repacked weights. The peer
is the plainest loop over llama-cpp-python (bench/plain.py), in the fastest setting of threads and repacked weights that
is found first; and llama.cpp's own programs, where paths to them are given. Who is measured takes turns; the medians of
all rounds, and their ratios, are printed in Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from threading import Event
from time import perf_counter

from bench import tools
from bench.plain import Setting, Took
from g4local import speed
from g4local.backend import kernel, machine
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Piece, Sampling
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core.events import TurnFinished
from g4local.core.progress import silent
from g4local.settings import paths

_SEARCHED = 2
"""Rounds of the search for the fastest setting."""
_FIRST_ANSWER = 16
"""Tokens of the answer to a chat's first question."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what ours and each peer took in each round."""

    name: str
    unit: str
    values: Mapping[str, Sequence[float]]
    """By the name of who was measured, "g4local" among them."""
    is_rate: bool
    """Whether more is better."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL.gguf")
    for program in ("llama-bench", "llama-server", "llama-completion"):
        parser.add_argument(f"--{program}", type=Path, metavar="PATH")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the prompt")
    parser.add_argument("--answer", type=int, default=64, help="tokens of the answer")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    task = speed.Task(given.prompt, given.answer, given.rounds)
    model: Path = given.model
    print(f"{machine.processor()}, {os.cpu_count()} processors; {model.name}, {task.prompt} + {task.answer} tokens\n")
    with closing(WorkerEngine(LoadOptions(model), cache=paths(os.environ).cache)) as ours:
        best = _searched(model, ours, task)
        rows = rates(model, ours, best, task, given.llama_bench)
        if given.llama_server:
            rows.append(second_turns(model, ours, best, task, given.llama_server))
    if given.llama_completion:
        rows.append(starts(model, best, task, given.llama_completion))
    print(table(rows))


def fastest(found: Mapping[Setting, Sequence[Took]]) -> Setting:
    """The setting with the shortest median for prompt and answer together, of those without flash attention."""
    seconds = {
        setting: median(took.prefill + took.decode for took in runs)
        for setting, runs in found.items()
        if not setting.flash
    }
    return min(seconds, key=lambda setting: seconds[setting])


def rates(model: Path, ours: WorkerEngine, best: Setting, task: speed.Task, llama_bench: Path | None) -> list[Row]:
    """Tokens of the prompt and of the answer in a second, and the peak of memory."""
    prefill: dict[str, list[float]] = {}
    decode: dict[str, list[float]] = {}

    def note(name: str, rate: tuple[float, float]) -> None:
        prefill.setdefault(name, []).append(rate[0])
        decode.setdefault(name, []).append(rate[1])

    with _plain(model, best) as plain:
        for number in range(task.repetitions):
            _note(f"prompt and answer, round {number + 1}")
            note("g4local", _rate(speed.answered(ours, task, number, silent, Event()), task))
            note("plain", _rate(plain.run(_ids(ours, task, number), task.answer), task))
            if llama_bench:
                note("llama-bench", tools.rates(llama_bench, model, best, task.prompt, task.answer))
        peaks = {"g4local": [_peak(ours.pid)], "plain": [_peak(plain.pid)]}
    return [
        Row("prompt, tokens/s", prefill, is_rate=True),
        Row("answer, tokens/s", decode, is_rate=True),
        Row("peak memory, MB", peaks, is_rate=False),
    ]
