"""The planner's figures against the memory that a child really has: `python bench/fit.py MODEL.gguf [TOKENS]`.

Each setting runs in a child of its own: load, read a prompt of TOKENS tokens (1,000), answer 16. The child's memory is
looked at every 20 ms (RssAnon + RssFile + RssShmem of /proc); its highest point while loading is told apart, since what
is only passing then, pages of the file, are given up when another program wants memory.
"""

import sys
from pathlib import Path
from threading import Event, Thread
from time import sleep

from g4convert import gguf
from g4local import planner
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Sampling
from g4local.backend.fit import fitting
from g4local.backend.fit.shape import MOST_LAYERS
from g4local.core.progress import silent
from g4local.core.prompt import Segment
from g4local.settings import paths

SETTINGS = (
    {"context": 4096, "lazy_ple": "on"},
    {"context": 4096, "lazy_ple": "off"},
    {"context": 4096, "lazy_ple": "on", "kv_type": "q8_0"},
    {"context": 32768, "lazy_ple": "on", "kv_type": "q8_0"},
)


def main(path: Path, tokens: int) -> None:
    model = planner.of_gguf(gguf.read(path, MOST_LAYERS), path.stem, "").model
    print(f"{'setting':58}{'planned':>9}{'measured':>10}{'':>8}{'loading':>10}")
    for settings in SETTINGS:
        options = LoadOptions(path, **settings)
        there = planner.resources()
        planned = fitting.fit(model, fitting.setting(options, model, there), there).need.total
        loading, running = measured(options, tokens)
        name = " ".join(f"{key}={value}" for key, value in settings.items())
        off = 100 * (planned / running - 1)
        print(f"{name:58}{planned / 1e9:9.3f}{running / 1e9:10.3f}{off:+7.1f}%{loading / 1e9:10.3f}", flush=True)


def measured(options: LoadOptions, tokens: int) -> tuple[int, int]:
    """The child's peaks while it loads and afterwards, in bytes."""
    engine = WorkerEngine(options, cache=paths({}).cache)
    peaks, stage, over = {"loading": 0, "running": 0}, ["loading"], Event()

    def watch() -> None:
        while not over.is_set():
            if engine.pid:
                peaks[stage[0]] = max(peaks[stage[0]], resident(engine.pid))
            sleep(0.02)

    watching = Thread(target=watch)
    watching.start()
    try:
        engine.start(silent, Event())
        stage[0] = "running"
        text = prompt(engine, tokens)
        for _ in engine.generate(text, Sampling(temperature=0), 16, silent, Event()):
            pass
    finally:
        over.set()
        watching.join()
        engine.close()
    return peaks["loading"], peaks["running"]


def prompt(engine: WorkerEngine, tokens: int) -> list[Segment]:
    """A question of about so many tokens, no word of which comes twice soon."""
    words = [f"w{index * 7919 % 100003}" for index in range(tokens)]
    count = len(engine.tokenize([Segment(" ".join(words))], Event()))
    words = words[: max(1, tokens * len(words) // count)]
    return [
        Segment("<bos>", special=True),
        Segment("<|turn>", special=True),
        Segment("user\n" + " ".join(words)),
        Segment("<turn|>", special=True),
        Segment("\n"),
        Segment("<|turn>", special=True),
        Segment("model\n", restorable=True),
    ]


def resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssFile", "RssShmem")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
