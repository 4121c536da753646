"""The engine against llama.cpp itself, side by side: `python -m bench.engine MODEL.gguf`.

Ours is what `g4local run --draft off` has: child process, sampling, its own choice of threads and repacked weights. The
peer is the plainest loop over llama-cpp-python (bench/plain.py), in the setting of threads and repacked weights that is
found to be the fastest; and llama.cpp's own programs, where paths to them are given. Who is measured takes turns; the
medians of all rounds are printed in Markdown, with the ratio of ours to the best of the others.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from threading import Event
from time import perf_counter

from bench import tools
from bench.plain import Setting, Took
from g4local import speed
from g4local.backend import tuning
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Sampling
from g4local.backend.host import kernel, machine
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core.events import TurnFinished
from g4local.core.progress import silent
from g4local.settings import paths

_SEARCHED = 2
"""Rounds of the search for the fastest setting."""
OURS, PLAIN = "g4local", "llama-cpp-python"

_FIRST_ANSWER = 16
"""Tokens of the answer to a chat's first question."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what ours and the peers did in each round."""

    name: str
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
    with closing(WorkerEngine(LoadOptions(model, draft="off"), cache=paths(os.environ).cache)) as ours:
        best = _searched(model, ours, task)
        rows = rates(model, ours, best, task, given.llama_bench)
        if given.llama_server:
            rows.append(second_turns(model, ours, best, task, given.llama_server))
    if given.llama_completion:
        rows.append(starts(model, best, task, given.llama_completion))
    print(table(rows))


def fastest(found: Mapping[Setting, Sequence[Took]]) -> Setting:
    """The setting with the shortest medians, of those without flash attention; threads may differ for the two parts."""
    plain = {setting: runs for setting, runs in found.items() if not setting.flash}
    choices = []
    for repack in {setting.repack for setting in plain}:
        kind = {setting: runs for setting, runs in plain.items() if setting.repack == repack}
        prompt, batch_threads = min(
            (median(took.prefill for took in runs), each.threads) for each, runs in kind.items()
        )
        answer, threads = min((median(took.decode for took in runs), each.threads) for each, runs in kind.items())
        choices.append((prompt + answer, Setting(threads, batch_threads, repack)))
    return min(choices, key=lambda choice: choice[0])[1]


def rates(model: Path, ours: WorkerEngine, best: Setting, task: speed.Task, llama_bench: Path | None) -> list[Row]:
    """Tokens of the prompt and of the answer in a second, and the peak of memory."""
    prefill: dict[str, list[float]] = {}
    decode: dict[str, list[float]] = {}

    def note(name: str, *rate: float) -> None:
        for values, figure in zip((prefill, decode), rate, strict=True):
            values.setdefault(name, []).append(figure)

    with _plain(model, best) as plain:
        for number in range(task.repetitions):
            _tell(f"prompt and answer, round {number + 1}")
            asked = speed.prompt(ours, task.prompt, number, Event())
            answer = speed.answered(ours, asked, task.answer, silent, Event())
            note(OURS, answer.prefill, answer.decode)
            took = plain.run(ours.tokenize(asked, Event()), task.answer)
            note(PLAIN, task.prompt / took.prefill, (task.answer - 1) / took.decode)
            if llama_bench:
                note("llama-bench", *tools.rates(llama_bench, model, best, task.prompt, task.answer))
        peaks = {OURS: [_peak(ours.pid)], PLAIN: [_peak(plain.pid)]}
    return [
        Row("prompt, tokens/s", prefill, is_rate=True),
        Row("answer, tokens/s", decode, is_rate=True),
        Row("peak memory, MB", peaks, is_rate=False),
    ]


def second_turns(model: Path, ours: WorkerEngine, best: Setting, task: speed.Task, llama_server: Path) -> Row:
    """Seconds until the first token of a chat's second answer, when the first question was long."""
    seconds: dict[str, list[float]] = {OURS: [], "llama-server": []}
    second = "And what follows from that?"
    with tools.server(llama_server, model, best) as server:
        for number in range(task.repetitions):
            _tell(f"two turns, round {number + 1}")
            first = speed.words(task.prompt // 3, 100 + number)
            talk = Conversation(ours, options=_options(_FIRST_ANSWER))
            _said(talk, first)
            talk.options = _options(1)
            seconds[OURS].append(_said(talk, second).timing.ttft)
            history = [{"role": "user", "content": first}]
            history.append({"role": "assistant", "content": server.answer(history, _FIRST_ANSWER)})
            began = perf_counter()
            server.answer([*history, {"role": "user", "content": second}], 1)
            seconds["llama-server"].append(perf_counter() - began)
    return Row("second turn, s to its first token", seconds, is_rate=False)


def starts(model: Path, best: Setting, task: speed.Task, llama_completion: Path) -> Row:
    """Seconds from a program's start to the first of what it says, with the model's file in the page cache."""
    asked = "The quick brown fox jumps over the lazy dog, and the dog"
    program = "from g4local.cli import main; main()"
    own = [sys.executable, "-P", "-c", program, "run", str(model), "--raw", "-n", "8", "--temp", "0"]
    own += ["--draft", "off", "--no-snapshots", "--no-save", asked]
    theirs = tools.completion(llama_completion, model, best, asked)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    seconds: dict[str, list[float]] = {OURS: [], "llama-completion": []}
    for number in range(task.repetitions + 1):
        _tell(f"starts, round {number}")
        for name, command in ((OURS, own), ("llama-completion", theirs)):
            took = tools.first_byte(command, environment)
            if number:  # the first time, Python compiles
                seconds[name].append(took)
    return Row("start, s to the first text", seconds, is_rate=False)


def table(rows: Sequence[Row]) -> str:
    """The medians in Markdown, and the ratio of ours to the best of the others."""
    others = list(dict.fromkeys(name for row in rows for name in row.values if name != OURS))
    lines = [f"| | {' | '.join((OURS, *others))} | ratio |", f"|---|{'---:|' * (len(others) + 2)}"]
    for row in rows:
        medians = {name: median(values) for name, values in row.values.items()}
        peers = [medians[name] for name in others if name in medians]
        ratio = medians[OURS] / (max(peers) if row.is_rate else min(peers))
        cells = [_number(medians[name]) if name in medians else "" for name in (OURS, *others)]
        lines.append(f"| {row.name} | {' | '.join(cells)} | {ratio:.2f} |")
    return "\n".join(lines)


class _Process:
    """The plain loop in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self._process = process

    def run(self, prompt: Sequence[int], answer: int) -> Took:
        """What a prompt and an answer take it; RuntimeError when it ends."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"prompt": prompt, "answer": answer}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"bench.plain ended with {self._process.wait()}.")
        return Took(**json.loads(line))


@contextmanager
def _plain(model: Path, setting: Setting) -> Iterator[_Process]:
    """The plain loop, loaded and warm."""
    command = [sys.executable, "-m", "bench.plain", str(model), json.dumps(asdict(setting))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        loop = _Process(process)
        loop.run(list(range(20, 36)), 2)
        yield loop
        process.communicate()


def _searched(model: Path, ours: WorkerEngine, task: speed.Task) -> Setting:
    """Look for the fastest plain setting, and print what each took; flash attention is tried with the fastest alone."""
    asked = speed.prompt(ours, task.prompt, 99, Event())
    tokens = ours.tokenize(asked, Event())
    every = speed.settings(tuning.usual(model, paths(os.environ).cache), machine.hardware_threads())
    found: dict[Setting, list[Took]] = {}

    def measure(setting: Setting) -> None:
        _tell(f"looking for the fastest: {_words(setting)}")
        with _plain(model, setting) as plain:
            found.setdefault(setting, []).append(plain.run(tokens, task.answer))

    for _ in range(_SEARCHED):
        for each in every:
            measure(Setting(each.threads, each.batch_threads, each.extra_buffers))
    best = fastest(found)
    for _ in range(_SEARCHED):
        measure(replace(best, flash=True))
    for setting, runs in found.items():
        prompt, answer = (median(each) for each in zip(*((took.prefill, took.decode) for took in runs), strict=True))
        print(f"plain, {_words(setting)}: {task.prompt / prompt:,.1f} and {(task.answer - 1) / answer:,.1f} tokens/s")
    print(f"the fastest: {_words(best)}\n", flush=True)
    return best


def _words(setting: Setting) -> str:
    weights = "weights repacked" if setting.repack else "weights as they are"
    threads = f"{setting.batch_threads} threads for the prompt, {setting.threads} for the answer"
    return f"{threads}, {weights}{', flash attention' if setting.flash else ''}"


def _options(tokens: int) -> ConversationOptions:
    return ConversationOptions(sampling=Sampling(temperature=0), max_tokens=tokens)


def _said(talk: Conversation, text: str) -> TurnFinished:
    [finished] = [event for event in talk.say(text, report=silent, cancel=Event()) if isinstance(event, TurnFinished)]
    return finished


def _peak(pid: int | None) -> float:
    return (kernel.peak_memory(pid or 0) or 0) / 1e6


def _number(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
