"""How quick the app is under the fingers while an answer comes: `python -m bench.tui`.

A program in a pseudo-terminal of 120 x 40 shows a transcript of 5,000 lines, into which a made-up engine says 200
tokens a second. Meanwhile a key is pressed three times a second, and it is measured how long it takes until the letter
is on the screen, and how much processor time the program takes. Then the same after an answer of 100,000 tokens. What
keys take while nothing is said comes first: so much of the times is the machine's.
"""

import argparse
import fcntl
import json
import os
import pty
import random
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from statistics import median, quantiles
from time import monotonic, process_time, sleep

from textual.app import App, ComposeResult
from textual.message import Message as Posted
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import get_current_worker

from g4local.core.events import Event, TextDelta
from g4local.core.messages import Message
from g4tui.widgets.transcript import Transcript

COLUMNS, LINES = 120, 40
HISTORY = 5000
"""Lines of the transcript."""
LONG = 100_000
"""Tokens of a long answer."""
RATE = 200
"""Tokens a second."""
KEYS = "жщэюяждлфы"
"""Letters that no answer has."""
EVERY = 0.31
"""Seconds between two keys."""
KINDS = ("mixed", "prose", "list", "code", "table", "line")
_WORDS = "the model reads a prompt and says what it finds in it so that people can go on with their work".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Run:
    """What is said."""

    kind: str
    ahead: int
    """Tokens of the answer before anything is measured."""
    rate: int
    """Tokens a second."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one run."""

    latencies: list[float]
    """Seconds from a key to its letter."""
    share: float
    """Processor time by time."""


def tokens(kind: str, seed: int) -> Iterator[str]:
    """An answer without end, in pieces of four letters: Markdown of all sorts, or one block of one sort."""
    rng = random.Random(seed)
    yield from _pieces({"code": "```python\n", "table": "| n | what | why |\n|---|---|---|\n"}.get(kind, ""))
    while True:
        if kind == "mixed":
            yield from _pieces(_block(rng.choice(KINDS[:-1]), rng))
        else:
            yield from _pieces(_line(kind, rng))


def blocks(least: int) -> Iterator[str]:
    """So many tokens of all sorts, and the rest of the last block."""
    for number, token in enumerate(tokens("mixed", 3)):
        yield token
        if number >= least and token.endswith("\n\n"):
            return


def _pieces(text: str) -> Iterator[str]:
    for at in range(0, len(text), 4):
        yield text[at : at + 4]


def _block(kind: str, rng: random.Random) -> str:
    if kind == "mixed":
        return f"## {_some(rng, 5)}\n\n"
    begin = {"code": "```python\n", "table": "| n | what | why |\n|---|---|---|\n"}.get(kind, "")
    lines = "".join(_line(kind, rng) for _ in range(1 if kind == "prose" else 8))
    return begin + lines + {"code": "```\n\n", "prose": ""}.get(kind, "\n")


def _line(kind: str, rng: random.Random) -> str:
    number = rng.randint(1, 100)
    return {
        "prose": f"{_some(rng, 60)}, *{_some(rng, 3)}* and `{_some(rng, 2)}`.\n\n",
        "list": f"1. **{_some(rng, 2)}**: {_some(rng, 14)}\n",
        "code": f"    value_{number} = compute({number}, '{_some(rng, 2)}')  # {_some(rng, 3)}\n",
        "table": f"| {number} | {_some(rng, 4)} | {_some(rng, 3)} |\n",
        "line": f"{_some(rng, 20)} ",
    }[kind]


def _some(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(_WORDS, k=count))


def history() -> list[Message]:
    """A conversation of as many lines."""
    messages: list[Message] = []
    said, lines = tokens("mixed", 1), 0
    while lines < HISTORY:
        text = "".join(islice(said, 500))
        lines += 2 + sum(1 + len(line) // COLUMNS for line in text.split("\n"))
        messages += [Message("user", "What else?"), Message("assistant", text)]
    return messages


class Said(Posted):
    """Events of the turn."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self.events = events


class Chat(Screen[None]):
    """A transcript and a line to type in."""

    def __init__(self, ahead: Iterator[str]) -> None:
        super().__init__()
        self._ahead = ahead

    def compose(self) -> ComposeResult:
        yield Transcript()
        yield Input()

    async def on_mount(self) -> None:
        self.query_one(Input).focus()
        transcript = self.query_one(Transcript)
        await transcript.show(history())
        await transcript.ask("Go on.")
        while text := "".join(islice(self._ahead, 50)):
            await transcript.add([TextDelta(text)])

    def on_input_changed(self, event: Input.Changed) -> None:
        if len(event.value) > 30:
            event.input.value = event.value[-1]

    async def on_said(self, message: Said) -> None:
        await self.query_one(Transcript).add(message.events)


class Program(App[None]):
    """What is measured; `pipe` is told when it begins, and then the processor time by time that it took."""

    CSS = "Transcript { height: 1fr; } Input { height: 3; }"

    def __init__(self, run: Run, pipe: int) -> None:
        super().__init__()
        self._said = tokens(run.kind, 2)
        self._ahead = islice(self._said, run.ahead) if run.kind != "mixed" else blocks(run.ahead)
        self._run, self._pipe = run, pipe

    async def on_mount(self) -> None:
        await self.push_screen(Chat(self._ahead))
        self.run_worker(self._speak, thread=True)

    def _speak(self) -> None:
        worker = get_current_worker()
        sleep(2)
        os.write(self._pipe, b"ready\n")
        begin, took, said = monotonic(), process_time(), 0
        while not worker.is_cancelled and monotonic() - begin < self._run.seconds:
            sleep(1 / 30)
            due = int((monotonic() - begin) * self._run.rate)
            self.screen.post_message(Said([TextDelta(token) for token in islice(self._said, due - said)]))
            said = due
        share = (process_time() - took) / (monotonic() - begin)
        os.write(self._pipe, json.dumps(share).encode())


def measure(run: Run) -> Measured:
    """Run the program in a pseudo-terminal and press keys."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    reads, writes = os.pipe()
    command = [sys.executable, "-m", "bench.tui", "--child", json.dumps(asdict(run)), str(writes)]
    child = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
        pass_fds=[writes],
        start_new_session=True,
    )
    os.close(theirs)
    os.close(writes)
    try:
        return _measured(ours, reads)
    finally:
        child.kill()
        child.wait()
        os.close(ours)
        os.close(reads)


def _measured(terminal: int, pipe: int) -> Measured:
    """Press keys from when the program begins until it has told its processor time."""
    latencies: list[float] = []
    keys = cycle(KEYS)
    key, pressed, following = b"", 0.0, float("inf")
    while True:
        if not key and monotonic() >= following:
            key, pressed = next(keys).encode(), monotonic()
            following = pressed + EVERY
            os.write(terminal, key)
        ready, _, _ = select.select([terminal, pipe], [], [], 0.005)
        if terminal in ready:
            shown = os.read(terminal, 1 << 16)
            if key and key in shown:
                latencies.append(monotonic() - pressed)
                key = b""
        if pipe in ready:
            told = os.read(pipe, 100)
            if told != b"ready\n":
                return Measured(latencies, float(json.loads(told)))
            following = monotonic() + EVERY


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        Program(Run(**json.loads(sys.argv[2])), int(sys.argv[3])).run()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="mixed", choices=KINDS, help="what is said")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run")
    given = parser.parse_args()
    print(f"{'':24}{'keys':>6}{'median, ms':>12}{'p95, ms':>10}{'of a core':>11}")
    medians: list[float] = []
    for name, ahead, rate in (
        ("nothing is said", 0, 0),
        ("into 5,000 lines", 0, RATE),
        ("after 100,000 tokens", LONG, RATE),
    ):
        measured = measure(Run(given.kind, ahead, rate, given.seconds))
        times = [1000 * seconds for seconds in measured.latencies]
        medians.append(median(times))
        print(
            f"{name:24}{len(times):6}{medians[-1]:12.1f}{quantiles(times, n=20)[-1]:10.1f}{measured.share:11.0%}",
            flush=True,
        )
    print(f"The last median to the one before: {medians[2] / medians[1]:.2f}")


if __name__ == "__main__":
    main()
