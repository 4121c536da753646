"""How fast a model is here, as a user gets it: with child process, tokenizing, sampling and pipe.

A run has a child of its own: load, a short answer that warms up, then a prompt and an answer that are timed. The
prompt is other words in each run, so that nothing of it could have been kept.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from random import Random
from statistics import median
from threading import Event
from time import perf_counter

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import Completion, Guidance, LoadOptions, Sampling
from g4local.backend.host import kernel
from g4local.backend.tuning import Tuning
from g4local.core.errors import Cancelled, UsageError
from g4local.core.progress import Progress, Report, silent
from g4local.core.prompt import Segment
from g4local.settings import Paths

MARGIN = 0.03
"""What another setting must gain over the usual one to be kept; less is chance."""

_SAMPLING = Sampling(seed=1)
_ENDLESS = Guidance(endless=True)
_WARM_UP = Segment("This reads all weights once.")
_LETTERS = ("bcdfghklmnprstvw", "aeiou")


@dataclass(frozen=True, slots=True)
class Task:
    """What is timed."""

    prompt: int
    """Tokens of the prompt."""
    answer: int
    """Tokens of the answer, which does not end before; at least 2."""
    repetitions: int


@dataclass(frozen=True, slots=True)
class Speed:
    """What one run took, or the medians of several."""

    load_seconds: float
    """From nothing to a loaded model."""
    first_token_seconds: float
    """From the question to the first token of the answer."""
    prefill: float
    """Tokens of the prompt in a second, until the first token of the answer is there."""
    decode: float
    """Tokens of the answer in a second, after the first one."""
    peak_bytes: int | None
    """The most memory of the child at one time, pages of files counted; None where the system does not tell."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question and its answer took, as the fields of Speed say."""

    first_token_seconds: float
    prefill: float
    decode: float


def run(options: LoadOptions, task: Task, number: int, places: Paths, report: Report, cancel: Event) -> Speed:
    """Time one run; `number` picks its words. UsageError for a task that the context is too short for, Cancelled."""
    with closing(WorkerEngine(options, cache=places.cache, logs=places.logs)) as engine:
        began = perf_counter()
        info = engine.start(report, cancel)
        loaded = perf_counter()
        if task.prompt + task.answer > info.context:
            raise UsageError(
                f"{task.prompt} tokens and {task.answer} more do not fit into a context of {info.context}.",
                "Give a larger --ctx, or a smaller --prompt.",
            )
        answered(engine, [_WARM_UP], 2, silent, cancel)
        answer = answered(engine, prompt(engine, task.prompt, number, cancel), task.answer, report, cancel)
        peak = kernel.peak_memory(engine.pid or 0)
        return Speed(loaded - began, answer.first_token_seconds, answer.prefill, answer.decode, peak)


def medians(runs: Sequence[Speed]) -> Speed:
    """The median of each figure."""
    peaks = [each.peak_bytes for each in runs if each.peak_bytes is not None]
    return Speed(
        load_seconds=median(each.load_seconds for each in runs),
        first_token_seconds=median(each.first_token_seconds for each in runs),
        prefill=median(each.prefill for each in runs),
        decode=median(each.decode for each in runs),
        peak_bytes=int(median(peaks)) if peaks else None,
    )


def settings(usual: Tuning, threads: int) -> list[Tuning]:
    """What is worth trying where a setting is usual, and so many threads can run at one time."""
    cores = usual.batch_threads
    counts = dict.fromkeys(max(1, count) for count in (cores, usual.threads, threads, 3 * cores // 4, cores // 2))
    kinds = (True, False) if usual.extra_buffers else (False,)
    return [Tuning(count, count, kind) for kind in kinds for count in counts]


def timed(
    options: LoadOptions, every: Sequence[Tuning], task: Task, places: Paths, report: Report, cancel: Event
) -> dict[Tuning, list[Speed]]:
    """Time each setting so often as the task says, in rounds: what disturbs the machine for a while disturbs all."""
    total = task.repetitions * len(every)
    runs: dict[Tuning, list[Speed]] = {setting: [] for setting in every}

    def tell(progress: Progress) -> None:
        report(replace(progress, stage=f"run {done + 1} of {total}: {progress.stage}"))

    for done in range(total):
        number, index = divmod(done, len(every))
        chosen = replace(options, **asdict(every[index]))
        runs[every[index]].append(run(chosen, task, number, places, tell, cancel))
    return runs


def best(runs: Mapping[Tuning, Sequence[Speed]], task: Task, usual: Tuning) -> Tuning:
    """The setting with the shortest time for the task: threads for the prompt, threads for the answer, and weights.

    The runs had the same threads for both, those of the usual setting among them; what differs from it gains something.
    """
    speeds = {(setting.threads, setting.extra_buffers): medians(measured) for setting, measured in runs.items()}

    def quickest(kind: bool, at_first: int, seconds: Callable[[Speed], float]) -> tuple[float, int]:
        times = {count: seconds(each) for (count, its_kind), each in speeds.items() if its_kind == kind}
        count = min(times, key=lambda count: times[count])
        count = count if times[count] < (1 - MARGIN) * times[at_first] else at_first
        return times[count], count

    def combined(kind: bool) -> tuple[float, Tuning]:
        answer, threads = quickest(kind, usual.threads, lambda each: task.answer / each.decode)
        prompt, batch_threads = quickest(kind, usual.batch_threads, lambda each: task.prompt / each.prefill)
        return prompt + answer, Tuning(threads, batch_threads, kind)

    first = combined(usual.extra_buffers)
    others = [combined(kind) for kind in {kind for _, kind in speeds} - {usual.extra_buffers}]
    return min([(first[0] * (1 - MARGIN), first[1]), *others], key=lambda choice: choice[0])[1]


def prompt(engine: WorkerEngine, tokens: int, number: int, cancel: Event) -> list[Segment]:
    """A text of exactly so many tokens: `<bos>`, words of no language, and digits, each a token, to fill it up."""
    every = words(tokens, number).split(" ")

    def segments(count: int, digits: int = 0) -> list[Segment]:
        text = " ".join(every[:count]) + "7" * digits
        return [Segment("<bos>", special=True), *([Segment(text)] if text else [])]

    def length(count: int) -> int:
        return len(engine.tokenize(segments(count), cancel))

    count = tokens * tokens // length(tokens)
    while (missing := tokens - length(count)) < 0:
        count -= 1
    return segments(count, missing)


def words(count: int, number: int) -> str:
    """So many words of no language; `number` picks them."""
    random = Random(number)
    return " ".join("".join(random.choice(letters) for letters in _LETTERS * 2) for _ in range(count))


def answered(engine: WorkerEngine, asked: Sequence[Segment], tokens: int, report: Report, cancel: Event) -> Answer:
    """Time an answer of so many tokens, at least two; Cancelled."""
    began = perf_counter()
    times: list[float] = []
    with closing(engine.generate(asked, _SAMPLING, tokens, report, cancel, _ENDLESS)) as pieces:
        for said in pieces:
            if isinstance(said, Completion):
                if said.reason == "cancelled":
                    break
                first = times[0] - began
                fresh = said.prompt_tokens - said.reused_tokens
                return Answer(first, fresh / first, (len(times) - 1) / (times[-1] - times[0]))
            times.append(perf_counter())
            report(Progress("answer", len(times), tokens, "tokens"))
    raise Cancelled("Stopped.")
