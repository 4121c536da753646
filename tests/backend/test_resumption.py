"""A new process goes on where the last one was, and whatever became of its snapshots, says what it would have said."""

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import Completion, LoadOptions, Sampling
from g4local.backend.llama import LlamaEngine
from g4local.backend.state import resumption
from g4local.backend.state.snapshots import SUFFIX
from g4local.chat.conversation import Conversation
from g4local.core.events import Warned
from g4local.core.progress import Progress, silent
from g4local.core.prompt import Segment
from tests.backend.conftest import Loader
from tests.backend.inprocess import InProcess
from tests.backend.processes import wait_until
from tests.backend.prompts import GREEDY, chat, completion, ids, words
from tests.backend.test_exactness import assert_same_tokens
from tests.conftest import Tiny

LONG = words(1, 200)
SHORTER = words(1, 60)
NEXT = (LONG, "so it is", "and then?")

SLOW = """
import time
from g4local.backend import worker
from g4local.backend.state import snapshots
put = snapshots._put
def slowly(file, data):
    time.sleep(0.2)
    put(file, data)
snapshots._put, snapshots._PIECE = slowly, 20_000
worker.main([])
"""
"""A child that takes its time to write."""

NARROW = """
import resource
from g4local.backend import worker
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
worker.main([])
"""
"""A child that can write 50,000 bytes into a file and no more, as on a disk that is full."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture(autouse=True)
def always_paying(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in model reads a prompt so quickly that it would depend on the machine what is kept."""
    monkeypatch.setattr(resumption, "WORTH", 0)


def ask(engine: LlamaEngine, prompt: list[Segment], sampling: Sampling = GREEDY) -> tuple[list[int], Completion]:
    said = list(engine.generate(prompt, sampling, 12, silent))
    engine.wait(20)
    return ids(said), completion(said)


def files(folder: Path) -> list[Path]:
    """The snapshots and their halves, without the notes of which model they are of."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "model.json")


def test_a_new_engine_processes_only_what_is_new(demo: Path, load: Loader, folder: Path) -> None:
    first = load(demo, snapshots=folder)
    said, end = ask(first, chat(LONG))
    text = "".join(first._vocabulary.piece(token).decode() for token in said[:-1])
    told: list[Progress] = []
    second = load(demo, snapshots=folder, threads=2, context=2048)
    prompt = chat(LONG, text, "and then?")
    again = list(second.generate(prompt, GREEDY, 12, told.append))
    new = completion(again).prompt_tokens - end.prompt_tokens - len(said)
    assert completion(again).prompt_tokens - completion(again).reused_tokens <= new + 8
    restored = [progress for progress in told if progress.stage == "restore"]
    assert restored[-1].done == restored[-1].total > 0 and restored[-1].unit == "bytes"
    fresh = load(demo, context=2048)
    assert_same_tokens(fresh, fresh.tokenize(prompt), ids(again), rounding=0.5)


def test_the_same_question_with_the_same_seed_is_answered_alike_by_a_new_engine(
    demo: Path, load: Loader, folder: Path
) -> None:
    dice = Sampling(temperature=1.5, top_k=0, seed=11)
    said, end = ask(load(demo, snapshots=folder), chat(LONG), dice)
    again, other = ask(load(demo, snapshots=folder), chat(LONG), dice)
    assert other.reused_tokens == end.prompt_tokens
    assert again == said


def test_what_is_short_or_read_quicker_than_from_a_disk_is_not_kept(
    demo: Path, load: Loader, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load(demo, snapshots=folder)
    ask(engine, chat("hello"))
    monkeypatch.setattr(resumption, "WORTH", 10**9)
    ask(engine, chat(LONG))
    assert not files(folder)


def test_without_room_for_a_copy_nothing_is_kept_and_nothing_fails(demo: Path, load: Loader, folder: Path) -> None:
    engine = load(demo, snapshots=folder)
    object.__setattr__(engine._states._place, "copy_bytes", 1000)
    ask(engine, chat(LONG))
    assert not files(folder)


def test_another_model_and_another_kind_of_cache_have_snapshots_of_their_own(
    demo: Path, tiny: Tiny, load: Loader, folder: Path
) -> None:
    ask(load(demo, snapshots=folder), chat(LONG))
    for path, options in ((demo, {"kv_type": "q8_0"}), (tiny("dense"), {}), (tiny("dense", "Q8_0"), {})):
        assert ask(load(path, snapshots=folder, **options), chat(LONG))[1].reused_tokens == 0
    assert len(list(folder.iterdir())) == 4


def test_a_state_that_llama_cpp_does_not_take_is_removed_and_told(
    demo: Path, load: Loader, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, _ = ask(load(demo, snapshots=folder), chat(LONG))
    engine = load(demo, snapshots=folder)
    monkeypatch.setattr(engine._cache, "adopt", lambda *arguments: False)
    again, end = ask(engine, chat(LONG))
    assert again == said and end.reused_tokens == 0
    assert "llama.cpp does not take it" in end.warnings[0]


def test_a_snapshot_that_cannot_be_used_is_told_to_the_user_once(demo: Path, load: Loader, folder: Path) -> None:
    ask(load(demo, snapshots=folder), chat(LONG))
    for path in files(folder):
        path.write_bytes(path.read_bytes()[:-1])
    talk = Conversation(InProcess(load(demo, snapshots=folder)))
    told = [event for event in talk.say(LONG, report=silent, cancel=Event()) if isinstance(event, Warned)]
    assert told and all("has another length" in event.message for event in told)
    assert not [event for event in talk.retry(report=silent, cancel=Event()) if isinstance(event, Warned)]


def test_damaged_snapshots_change_no_answer(tiny: Tiny, load: Loader, folder: Path) -> None:
    corrupted(24, tiny, load, folder)


@pytest.mark.reference
def test_five_hundred_damaged_snapshots_change_no_answer(tiny: Tiny, load: Loader, folder: Path) -> None:
    corrupted(500, tiny, load, folder)


def corrupted(count: int, tiny: Tiny, load: Loader, folder: Path) -> None:
    """Damage the snapshot that would be used, and see that it is told, and what is said then."""
    model, foreign = tiny("ple"), folder.with_name("foreign")
    ask(load(tiny("moe"), snapshots=foreign), chat(SHORTER))
    ask(load(model, snapshots=folder), chat(SHORTER))
    kept = folder.rename(folder.with_name("kept"))
    prompt = chat(SHORTER, "so it is", "and then?")
    said, _ = ask(load(model), prompt)
    engine, rng = load(model, snapshots=folder), random.Random(7)
    for _ in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept, folder)
        for path in files(folder):
            path.write_bytes(damaged(path, rng, files(foreign)))
        engine._cache.clear()
        again, end = ask(engine, prompt)
        assert end.warnings and end.reused_tokens == 0
        assert again == said


def damaged(path: Path, rng: random.Random, foreign: list[Path]) -> bytes:
    """What may become of a file: bits flip, it is cut off or grows, and others stand in it, in part or whole."""
    content, place = bytearray(path.read_bytes()), rng.randrange(path.stat().st_size)
    others = [each for each in [*foreign, *files(path.parent)] if each != path]
    match rng.randrange(6):
        case 0:
            content[place] ^= 1 << rng.randrange(8)
        case 1:
            del content[place:]
        case 2:
            content += content[place:]
        case 3:
            content[place:] = bytes(len(content) - place - 1) + b"\1"
        case 4:
            content = bytearray(rng.choice(others).read_bytes())
        case 5:
            other = rng.choice(others).read_bytes()
            content[place:] = other[place:] if other[place:] != content[place:] else b""
    return bytes(content)


@pytest.fixture
def child(demo: Path, probe_cache: Path, folder: Path) -> Callable[..., WorkerEngine]:
    def made(program: str = "") -> WorkerEngine:
        options = LoadOptions(demo, 1024, threads=1, snapshots=folder)
        command = {"command": (sys.executable, "-P", "-c", program)} if program else {}
        return WorkerEngine(options, cache=probe_cache, **command)

    return made


def answered(engine: WorkerEngine) -> tuple[list[int], Completion]:
    said = list(engine.generate(chat(LONG), GREEDY, 12, silent, Event()))
    return ids(said), completion(said)


def test_a_child_that_is_closed_writes_what_it_has_to_write(child: Callable[..., WorkerEngine], folder: Path) -> None:
    engine = child()
    said, end = answered(engine)
    engine.close()
    assert files(folder) and all(path.suffix == SUFFIX for path in files(folder))
    engine = child()
    again, other = answered(engine)
    engine.close()
    assert (again, other.reused_tokens) == (said, end.prompt_tokens)


def test_a_child_killed_while_it_writes_leaves_nothing_that_counts(
    child: Callable[..., WorkerEngine], folder: Path
) -> None:
    engine = child(SLOW)
    said, _ = answered(engine)
    assert wait_until(lambda: any(path.suffix == ".part" for path in files(folder)))
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    engine.close()
    assert [path.suffix for path in files(folder)] == [".part"]
    engine = child()
    again, end = answered(engine)
    engine.close()
    assert again == said and end.reused_tokens == 0 and not end.warnings
    assert {path.suffix for path in files(folder)} == {SUFFIX}


def test_a_disk_that_is_full_costs_no_answer(child: Callable[..., WorkerEngine], folder: Path) -> None:
    engine = child(NARROW)
    said, end = answered(engine)
    more = list(engine.generate(chat(*NEXT), GREEDY, 12, silent, Event()))
    engine.close()
    assert said and more and not end.warnings and not completion(more).warnings
    assert not files(folder)
