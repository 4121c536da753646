"""What drafts bring and cost: `python -m bench.drafts MODEL.gguf [--assistant ASSISTANT.gguf]`.

Three answers, each with drafts and without, in turns: a source file that the prompt has with another word in it, prose
after other prose, and words of no language. The answers are given: each token is sampled as ever, and then the text's
own is taken, so that a model with random weights will do. An assistant's guesses can't be right then; what is measured
is what it costs to give them up. Before that, what a batch of some rows takes beside a single one.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter

from g4local import speed
from g4local.backend import tuning
from g4local.backend.engine import MOST_DRAFTS, Completion, Guidance, LoadOptions, Sampling
from g4local.backend.generation.guide import Guide
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp.stop import StopFlag
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from g4local.settings import paths

ROOT = Path(__file__).parents[1]
ROWS = range(1, 2 + MOST_DRAFTS)


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt and the answer that is said to it, in tokens."""

    name: str
    prompt: list[int]
    answer: list[int]


@dataclass(frozen=True, slots=True)
class Run:
    """One answer."""

    seconds: float
    """For all tokens but the first."""
    drafted: int
    accepted: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL.gguf")
    parser.add_argument("--assistant", type=Path, metavar="ASSISTANT.gguf")
    parser.add_argument("--prompt", type=int, default=384, help="tokens of a prompt")
    parser.add_argument("--answer", type=int, default=128, help="tokens of an answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    draft = "mtp" if given.assistant else "ngram"
    options = LoadOptions(given.model, threads=given.threads, draft=draft, drafter=given.assistant)
    found = tuning.setting(options, paths(os.environ).cache)
    options = replace(options, **asdict(found))
    with closing(LlamaEngine(options, StopFlag(), silent)) as engine:
        print(f"{given.model.name}, {options.threads} threads, drafts by {draft}\n")
        print(table_of_rows(rows(engine, given.rounds)) + "\n")
        every = tasks(engine, given.prompt, given.answer)
        runs: dict[str, tuple[list[Run], list[Run]]] = {task.name: ([], []) for task in every}
        for number in range(given.rounds):
            for task in every:
                for drafts, place in ((False, 0), (True, 1)):
                    print(f"round {number + 1}: {task.name}", file=sys.stderr, flush=True)
                    runs[task.name][place].append(said(engine, task, drafts=drafts))
        print(table(runs, given.answer))


def tasks(engine: LlamaEngine, prompt: int, answer: int) -> list[Task]:
    """The three texts."""

    def tokens(text: str) -> list[int]:
        return engine.tokenize([Segment(text)])

    code = (ROOT / "g4local" / "backend" / "state" / "prefix.py").read_text(encoding="utf-8")
    first, second = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "ARCHITECTURE.md"))
    texts = {
        "a file with a word changed": (code, code.replace("cache", "store")),
        "prose": (first, second),
        "words of no language": (speed.words(prompt, 1), speed.words(answer, 2)),
    }
    beginning = engine.tokenize([Segment("<bos>", special=True)])
    return [
        Task(name, [*beginning, *tokens(asked)[: prompt - 1]], tokens(answered)[:answer])
        for name, (asked, answered) in texts.items()
    ]


def said(engine: LlamaEngine, task: Task, *, drafts: bool) -> Run:
    """Time an answer whose tokens are given."""
    drafter = engine._drafter
    try:
        engine._drafter = drafter if drafts else None
        with _scripted(task.answer):
            times = []
            guidance = Guidance(endless=True, loop_guard=False)
            for item in engine.extend(task.prompt, set(), Sampling(seed=1), len(task.answer), silent, guidance):
                if isinstance(item, Completion):
                    return Run(times[-1] - times[0], item.drafted_tokens, item.accepted_tokens)
                times.append(perf_counter())
    finally:
        engine._drafter = drafter
    raise AssertionError("a generation ends with its Completion")


def rows(engine: LlamaEngine, rounds: int) -> dict[int, float]:
    """Seconds of a batch, by its rows."""
    cache, seconds = engine._cache, {count: [] for count in ROWS}  # type: dict[int, list[float]]
    cache.clear()
    cache.decode(engine.tokenize([Segment(speed.words(100, 3))])[:256], logits=1)
    length = len(cache.tokens)
    for number in range(4 * rounds):
        for count in ROWS:
            began = perf_counter()
            cache.decode([100 + number] * count, logits=count)
            seconds[count].append(perf_counter() - began)
            cache.cut(length)
    return {count: median(each) for count, each in seconds.items()}


def table_of_rows(seconds: Mapping[int, float]) -> str:
    """What a batch takes beside a single row, in Markdown, and what each further row does."""
    lines = ["| rows | ms | of one | each further |", "|---:|---:|---:|---:|"]
    for count, each in seconds.items():
        whole = each / seconds[1]
        further = f"{(whole - 1) / (count - 1):.2f}" if count > 1 else ""
        lines.append(f"| {count} | {1000 * each:.1f} | {whole:.2f} | {further} |")
    return "\n".join(lines)


def table(runs: Mapping[str, tuple[Sequence[Run], Sequence[Run]]], tokens: int) -> str:
    """The medians in Markdown, and how much faster an answer is with drafts."""
    lines = ["| answer | tokens/s | with drafts | ratio | drafted | held |", "|---|---:|---:|---:|---:|---:|"]
    for name, (without, with_drafts) in runs.items():
        plain, drafted = (median(run.seconds for run in each) for each in (without, with_drafts))
        rates = f"{(tokens - 1) / plain:.1f} | {(tokens - 1) / drafted:.1f} | {plain / drafted:.2f}"
        lines.append(f"| {name} | {rates} | {with_drafts[0].drafted} | {with_drafts[0].accepted} |")
    return "\n".join(lines)


@contextmanager
def _scripted(answer: Sequence[int]) -> Iterator[None]:
    """Let these tokens be said while this is open; each is sampled all the same."""
    sample, left = Guide.sample, iter(answer)

    def scripted(guide: Guide, context: int, row: int = -1) -> int:
        sample(guide, context, row)
        return next(left)

    Guide.sample = scripted  # type: ignore[method-assign]
    try:
        yield
    finally:
        Guide.sample = sample  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
