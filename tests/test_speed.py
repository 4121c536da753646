"""What is measured of a model's speed, and what is concluded from it."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from g4local import speed
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import Completion, Guidance, LoadOptions, Piece, Sampling
from g4local.backend.tuning import Tuning
from g4local.core.errors import Cancelled, UsageError
from g4local.core.progress import Progress, silent
from g4local.settings import paths
from g4local.speed import Speed, Task
from tests.backend.conftest import WorkerLoader, demo, engine, probe_cache, worker

__all__ = ("demo", "engine", "probe_cache", "worker")

ONE = Speed(load_seconds=1.0, first_token_seconds=0.5, prefill=100.0, decode=10.0, peak_bytes=1000)


def test_the_median_is_that_of_each_figure() -> None:
    runs = [
        ONE,
        replace(ONE, prefill=90.0, decode=12.0, peak_bytes=3000),
        replace(ONE, prefill=95.0, decode=50.0, peak_bytes=None, load_seconds=9.0),
    ]
    assert speed.medians(runs) == replace(ONE, prefill=95.0, decode=12.0, peak_bytes=2000)
    assert speed.medians([replace(ONE, peak_bytes=None)]).peak_bytes is None


@pytest.mark.parametrize(
    ("cores", "threads", "counts"),
    [(1, 1, [1]), (2, 2, [2, 1]), (4, 8, [4, 8, 3, 2]), (1, 2, [1, 2]), (14, 20, [14, 20, 10, 7])],
)
def test_the_usual_setting_is_tried_first_and_none_twice(cores: int, threads: int, counts: list[int]) -> None:
    every = speed.settings(Tuning(cores, cores, True), threads)
    assert every == [Tuning(count, count, kind) for kind in (True, False) for count in counts]
    assert speed.settings(Tuning(cores, cores, False), threads) == [Tuning(count, count, False) for count in counts]
    assert {setting.threads for setting in speed.settings(Tuning(1, cores, False), threads)} == {1, *counts}


def both(prefill: float, decode: float) -> list[Speed]:
    """Runs with these medians."""
    return [replace(ONE, prefill=prefill * factor, decode=decode * factor) for factor in (1, 0.1, 10)]


SHORT, LONG = Task(512, 128, 3), Task(5000, 10, 3)


@pytest.mark.parametrize(
    ("one", "two", "plain", "task", "chosen"),
    [
        ((50, 10.2), (100, 10), (100, 10), SHORT, Tuning(2, 2, True)),  # 2 % is chance
        ((50, 12.0), (100, 10), (100, 10), SHORT, Tuning(1, 2, True)),
        ((120, 12.0), (100, 10), (100, 10), SHORT, Tuning(1, 1, True)),
        ((50, 5.0), (100, 10), (130, 7), SHORT, Tuning(2, 2, True)),
        ((50, 5.0), (100, 10), (130, 7), LONG, Tuning(2, 2, False)),
        ((50, 5.0), (100, 10), (101, 10.1), LONG, Tuning(2, 2, True)),
    ],
)
def test_the_best_setting_gains_something_for_the_task(
    one: tuple[float, float], two: tuple[float, float], plain: tuple[float, float], task: Task, chosen: Tuning
) -> None:
    runs = {
        Tuning(2, 2, True): both(*two),
        Tuning(1, 1, True): both(*one),
        Tuning(2, 2, False): both(*plain),
        Tuning(1, 1, False): both(20, 2),
    }
    assert speed.best(runs, task, Tuning(2, 2, True)) == chosen


def test_what_is_usual_for_a_small_model_needs_no_gain() -> None:
    runs = {Tuning(2, 2, False): both(100, 10.2), Tuning(1, 1, False): both(50, 10)}
    assert speed.best(runs, SHORT, Tuning(1, 2, False)) == Tuning(1, 2, False)


@pytest.mark.parametrize("tokens", [1, 2, 17, 300])
def test_a_prompt_has_exactly_its_tokens_and_other_ones_in_each_run(engine: WorkerEngine, tokens: int) -> None:
    first, second = (engine.tokenize(speed.prompt(engine, tokens, number, Event()), Event()) for number in (0, 1))
    assert len(first) == len(second) == tokens
    assert engine.tokenize(speed.prompt(engine, tokens, 0, Event()), Event()) == first
    if tokens > 16:
        assert first[:8] != second[:8]


def test_an_endless_reply_has_all_its_tokens(engine: WorkerEngine) -> None:
    ends = engine.start(silent, Event()).end_tokens
    asked = speed.prompt(engine, 20, 3, Event())
    *pieces, completion = engine.generate(asked, Sampling(seed=1), 200, silent, Event(), Guidance(endless=True))
    assert isinstance(completion, Completion) and completion.reason == "length"
    assert len(pieces) == 200 and not any(piece.token in ends for piece in pieces if isinstance(piece, Piece))


def test_a_run_counts_what_it_did(demo: Path, probe_cache: Path, tmp_path: Path) -> None:
    places = replace(paths({"G4LOCAL_HOME": str(tmp_path)}), cache=probe_cache)
    told: list[Progress] = []
    options = LoadOptions(demo, context=256, gpu_layers=0)
    every = [Tuning(1, 1, False), Tuning(1, 2, False)]
    runs = speed.timed(options, every, Task(64, 16, 2), places, told.append, Event())
    assert list(runs) == every and [len(each) for each in runs.values()] == [2, 2]
    for one in (one for each in runs.values() for one in each):
        assert one.prefill == pytest.approx(63 / one.first_token_seconds, rel=0.02)
        assert one.decode > 1 and one.load_seconds > 0
        assert one.peak_bytes is None or 20e6 < one.peak_bytes < 500e6
    assert {progress.stage for progress in told} >= {"run 1 of 4: load", "run 4 of 4: answer"}
    with pytest.raises(UsageError, match="do not fit into a context of 256"):
        speed.run(options, Task(200, 100, 1), 0, places, silent, Event())
    with pytest.raises(Cancelled):
        stop = Event()
        speed.run(options, Task(64, 16, 1), 0, places, lambda progress: stop.set(), stop)


def test_nothing_of_a_prompt_is_reused(demo: Path, worker: WorkerLoader) -> None:
    engine = worker(demo)
    for number in range(3):
        asked = speed.prompt(engine, 100, number, Event())
        *_, completion = engine.generate(asked, Sampling(), 2, silent, Event())
        assert isinstance(completion, Completion) and completion.reused_tokens <= 2
