"""What it costs to hold an answer to a form: `python -m bench.constraint MODEL.gguf`.

Three answers to one prompt, in turns: a free one, one that may be anything (its tokens are those of the free one, and
what is seen is the check of each), and a JSON object that holds a text. A refused token costs a mask over the words and
another draw. How many are refused is the model's affair; one with random weights is refused often.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter

from g4local import speed
from g4local.backend import tuning
from g4local.backend.engine import Completion, Constraint, Guidance, LoadOptions, Sampling
from g4local.backend.generation.guide import Guide
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp.stop import StopFlag
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from g4local.settings import paths

TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
FORMS = {
    "free": None,
    "anything": Constraint("regex", "(?s:.*)"),
    "a text in JSON": Constraint("schema", json.dumps(TEXT)),
}
_WORDS = 20
"""Of the prompt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer's cost."""

    tokens: int
    first: float
    """Seconds to the first token, with what is done for a form before it."""
    rest: float
    """Seconds for the tokens after it."""
    masks: tuple[float, ...]
    """Seconds that each mask took, without the draw after it."""

    @property
    def each(self) -> float:
        """Seconds for a token after the first."""
        return self.rest / (self.tokens - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL.gguf")
    parser.add_argument("--answer", type=int, default=64, help="tokens of an answer, at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    options = LoadOptions(given.model, threads=given.threads, draft="off")
    found = tuning.setting(options, paths(os.environ).cache)
    options = replace(options, **asdict(found))
    answers: dict[str, list[Answer]] = {name: [] for name in FORMS}
    with closing(LlamaEngine(options, StopFlag(), silent)) as engine:
        for number in range(given.rounds):
            for name, form in FORMS.items():
                print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
                answers[name].append(answered(engine, form, given.answer, number))
    print(f"{given.model.name}, {engine.info.vocab_size:,} tokens in the vocabulary, answers of {given.answer}\n")
    print(table(answers))


def answered(engine: LlamaEngine, form: Constraint | None, tokens: int, number: int) -> Answer:
    """Time an answer that is held to a form; `number` picks the prompt's words and the answer's seed."""
    prompt = [Segment("<bos>", special=True), Segment(speed.words(_WORDS, number))]
    guidance = Guidance(answer=form, endless=form is not FORMS["a text in JSON"], loop_guard=False)
    times = [perf_counter()]
    with _watched() as masks:
        for said in engine.generate(prompt, Sampling(seed=number), tokens, silent, guidance):
            if not isinstance(said, Completion):
                times.append(perf_counter())
    return Answer(len(times) - 1, times[1] - times[0], times[-1] - times[1], tuple(masks))


def table(answers: dict[str, list[Answer]]) -> str:
    """The medians in Markdown, and how much slower a token is than in a free answer."""
    free = median(answer.each for answer in answers["free"])
    lines = ["| | tokens/s | cost | refused | a mask | first token |", "|---|---:|---:|---:|---:|---:|"]
    for name, runs in answers.items():
        each = median(answer.each for answer in runs)
        masks = [seconds for answer in runs for seconds in answer.masks]
        refused = len(masks) / sum(answer.tokens for answer in runs)
        mask = f"{1000 * median(masks):.2f} ms" if masks else ""
        first = median(answer.first for answer in runs)
        cost = 100 * (each / free - 1)
        lines.append(f"| {name} | {1 / each:,.1f} | {cost:+.1f} % | {refused:.1%} | {mask} | {first:.2f} s |")
    return "\n".join(lines)


@contextmanager
def _watched() -> Iterator[list[float]]:
    """The seconds that each mask takes while this is open."""
    seconds: list[float] = []
    allowed = Guide._allowed

    def timed(guide: Guide):  # type: ignore[no-untyped-def]
        began = perf_counter()
        tokens = allowed(guide)
        seconds.append(perf_counter() - began)
        return tokens

    Guide._allowed = timed  # type: ignore[method-assign]
    try:
        yield seconds
    finally:
        Guide._allowed = allowed  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
