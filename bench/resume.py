"""How soon a chat goes on after a restart: `python -m bench.resume MODEL.gguf [TOKENS]`, about 1,500 tokens without it.

A chat of so many tokens is asked something and closed; a new engine, with the snapshots that were left, asks the next
question. The same question is then asked of an engine without snapshots, which has to read all of the chat. Told: what
loading takes, the next turn's way to the first token, and what of that was reading a snapshot. A machine that does
nothing else is needed for times that mean something.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import Completion, LoadOptions, Sampling
from g4local.chat.template import render, variant_of
from g4local.core.messages import Message
from g4local.core.progress import Progress, silent
from g4local.core.prompt import Segment
from g4local.settings import paths

MOST_RATIO = 0.05
"""The first token is to come within this share of the time that reading all of the chat takes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn of one engine."""

    load: float
    restore: float
    """Seconds of reading a snapshot; 0: none was read."""
    first_token: float
    """Seconds from the question to the first token, loading left out."""
    prompt: int
    reused: int


def main(path: Path, tokens: int) -> None:
    with TemporaryDirectory() as folder:
        options = LoadOptions(path, context=max(4096, 2 * tokens), snapshots=Path(folder))
        talk = [Message("user", long(options, tokens))]
        first = turn(options, talk)
        talk += [Message("assistant", "Yes."), Message("user", "And what follows from that?")]
        restored = turn(options, talk)
        afresh = turn(LoadOptions(path, context=options.context), talk)
        nbytes = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    print(f"{'':24}{'load':>8}{'restore':>9}{'first token':>13}{'prompt':>8}{'processed':>11}")
    for name, each in (("first turn", first), ("after a restart", restored), ("without snapshots", afresh)):
        print(
            f"{name:24}{each.load:8.2f}{each.restore:9.3f}{each.first_token:13.2f}{each.prompt:8}"
            f"{each.prompt - each.reused:11}"
        )
    ratio = restored.first_token / afresh.first_token
    print(
        f"snapshots: {nbytes / 1e6:.1f} MB; the first token comes in {ratio:.1%} of the time (wanted: {MOST_RATIO:.0%})"
    )


def turn(options: LoadOptions, talk: list[Message]) -> Measured:
    """Ask a new engine, and close it. What it says is of no use: of random weights it would be no words."""
    engine = WorkerEngine(options, cache=paths({}).cache)
    restored_at: list[float] = []

    def report(progress: Progress) -> None:
        if progress.stage == "restore":
            restored_at.append(perf_counter())

    try:
        started = perf_counter()
        info = engine.start(silent, Event())
        loaded = perf_counter()
        prompt = render(talk, variant=variant_of(info))
        first, end = 0.0, None
        for each in engine.generate(prompt, Sampling(temperature=0), 16, report, Event()):
            first = first or perf_counter()
            end = each
        assert isinstance(end, Completion)
        seconds = restored_at[-1] - restored_at[0] if restored_at else 0.0
        return Measured(loaded - started, seconds, first - loaded, end.prompt_tokens, end.reused_tokens)
    finally:
        engine.close()


def long(options: LoadOptions, tokens: int) -> str:
    """A question of about so many tokens, no word of which comes twice soon."""
    words = [f"w{index * 7919 % 100003}" for index in range(tokens)]
    engine = WorkerEngine(options, cache=paths({}).cache)
    try:
        count = len(engine.tokenize([Segment(" ".join(words))], Event()))
    finally:
        engine.close()
    return " ".join(words[: max(1, tokens * len(words) // count)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1500)
