"""The session store when it is large: `python -m bench.store [FOLDER]`.

A store of 50,000 messages is made, of which 4,000 are one session of 2,000 turns. Then each thing is done in ten new
processes, the file being in the page cache: what `chat -c` has to do before the model is asked (imports of the store
included), what a turn costs to keep, and searches. Times are medians in milliseconds, and the longest; the processor's
are told apart, since another program may be at work.
"""

import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from g4local.core.messages import Message
from g4local.store.store import Store

MESSAGES, LONG_TURNS, SHORT_TURNS, WORDS, RUNS = 50_000, 2_000, 50, 60, 10
COMMON, RARE = "the", "pelican"
"""A word of every message, and one of a single message."""

RESUME = """
import g4local.chat.calls, g4local.chat.stream
START
from g4local.chat.recording import Recording
recording = Recording(path)
messages = recording.resume(None)[1]
assert len(messages) >= 4000
"""
TURN = """
from g4local.chat.recording import Recording
from g4local.core.messages import Message
recording = Recording(path)
messages = recording.resume(None)[1]
START
for said in (Message("user", "hello " * 50), Message("assistant", "hello " * 200)):
    messages.append(said)
    recording.begin({"model": "demo"})
    recording.keep(messages)
"""
DELTA = """
from g4local.chat.recording import Recording
recording = Recording(path)
messages = recording.resume(None)[1]
START
for _ in range(100):
    recording.keep(messages)
"""
SEARCH = """
from g4local.store.store import Store
from g4local.store.upkeep import search
START
with Store(path) as store:
    hits = search(store, sys.argv[2], 20)
assert len(hits) >= int(sys.argv[3])
"""
LIST = """
from g4local.store.store import Store
START
with Store(path) as store:
    assert len(store.sessions(20)) == 20
"""
FRAME = "import sys; from pathlib import Path; from time import perf_counter, process_time; path = Path(sys.argv[1])\n"
START = "start, busy = perf_counter(), process_time()"
END = "print(perf_counter() - start, process_time() - busy)\n"


def main(folder: Path) -> None:
    path = folder / "sessions.db"
    if not path.exists():
        fill(path)
    size = f"{MESSAGES:,} messages, {path.stat().st_size / 1e6:.1f} MB"
    print(f"{size:50}{'median':>10}{'longest':>10}{'processor':>12}")
    tell("chat -c, a session of 2,000 turns", path, RESUME)
    tell("keep a question and its answer there", path, TURN)
    tell("look for changes there, 100 times", path, DELTA)
    tell("sessions ls", path, LIST)
    for what, query, least in (
        ("search for a word of one message", RARE, 1),
        ("search for a word of every message", COMMON, 20),
        ("search for the beginning of words", "t", 20),
        ("search for two words", f"{COMMON} {RARE}", 1),
        ("search for a phrase", f'"{COMMON} {RARE}"', 0),
        ("search inside of words, found", "elica", 1),
        ("search inside of words, not found", "xyzzy", 0),
    ):
        tell(what, path, SEARCH, query, str(least))


def fill(path: Path) -> None:
    """Sessions of made-up words, few of which are frequent."""
    pick = random.Random(1)
    vocabulary = ["".join(pick.choices("abcdefghijklmno", k=pick.randint(2, 9))) for _ in range(5000)]
    odds = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    lengths = [LONG_TURNS] + [SHORT_TURNS] * ((MESSAGES // 2 - LONG_TURNS) // SHORT_TURNS)
    with Store(path) as store:
        for turns in reversed(lengths):
            with store.writing():
                session, head = store.start(" ".join(pick.choices(vocabulary, k=8))), None
                for _ in range(turns):
                    turn = store.begin_turn({"model": "demo", "system": "", "sampling": {"seed": 1}})
                    for role in ("user", "assistant"):
                        said = " ".join([COMMON, *pick.choices(vocabulary, odds, k=WORDS)])
                        head = store.append(session, head, Message(role, said), turn=turn)
                store.move_head(session, head)
        with store.writing():
            store.append(session, head, Message("user", f"{COMMON} brown {RARE}"))


def tell(what: str, path: Path, program: str, *arguments: str) -> None:
    """Do something in new processes and print how long it took."""
    program = FRAME + program.replace("START", START) + END
    command = [sys.executable, "-c", program, str(path), *arguments]
    runs = [subprocess.run(command, capture_output=True, check=True, text=True).stdout.split() for _ in range(RUNS)]
    times, busy = ([1000 * float(run[column]) for run in runs] for column in (0, 1))
    print(f"{what:50}{statistics.median(times):10.1f}{max(times):10.1f}{statistics.median(busy):12.1f}")


if __name__ == "__main__":
    begun = perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary))
    print(f"in all {perf_counter() - begun:.0f} s")
