"""Threads are given up while another program wants the cores, and tried again later."""

from pathlib import Path

import llama_cpp.llama_cpp as llama
import pytest

from g4local.backend.llamacpp import crowd
from g4local.backend.llamacpp.crowd import HOLD_SECONDS, LONGEST_HOLD_SECONDS, LOOK_SECONDS, Crowd
from g4local.core.progress import silent
from tests.backend.conftest import Loader
from tests.backend.prompts import LONG_ANSWER, ids


def compute(mind: Crowd, seconds: float, *, most: int, share: float) -> None:
    for _ in range(round(seconds / LOOK_SECONDS)):
        threads = max(1, most - mind.given_up)
        mind.tell(LOOK_SECONDS, threads, share * threads * LOOK_SECONDS if threads > 1 else LOOK_SECONDS)


def test_threads_that_have_their_cores_are_all_kept() -> None:
    mind = Crowd()
    compute(mind, 60, most=8, share=0.95)
    assert mind.given_up == 0


def test_one_is_given_up_in_a_crowd_and_tried_again_more_and_more_seldom() -> None:
    mind, changes = Crowd(), 0
    for _ in range(round(300 / LOOK_SECONDS)):
        before = mind.given_up
        compute(mind, LOOK_SECONDS, most=2, share=0.5)
        changes += mind.given_up > before
    assert 300 / LONGEST_HOLD_SECONDS <= changes <= 300 / LONGEST_HOLD_SECONDS + 5
    compute(mind, LONGEST_HOLD_SECONDS + LOOK_SECONDS, most=2, share=0.97)
    assert mind.given_up == 0


def test_as_many_as_disturb_are_given_up_and_one_always_stays() -> None:
    mind = Crowd()
    for _ in range(20):
        threads = max(1, 8 - mind.given_up)
        mind.tell(LOOK_SECONDS, threads, (1.0 if threads <= 5 else 0.6) * threads * LOOK_SECONDS)
        assert mind.given_up <= 3 + 1
    mind = Crowd()
    compute(mind, 100, most=3, share=0.1)
    assert 3 - mind.given_up >= 1


def test_a_hold_is_short_again_after_a_time_without_a_crowd() -> None:
    mind = Crowd()
    compute(mind, 100, most=2, share=0.5)
    compute(mind, 100, most=2, share=1.0)
    compute(mind, LOOK_SECONDS, most=2, share=0.5)
    assert mind.given_up == 1
    compute(mind, HOLD_SECONDS, most=2, share=1.0)
    assert mind.given_up == 0


def test_how_many_threads_there_are_changes_no_number(demo: Path, load: Loader) -> None:
    said = []
    for threads in (1, 2, 3):
        engine = load(demo, threads=threads, batch_threads=threads)
        said.append(ids(engine.extend(list(range(20, 320)), set(), LONG_ANSWER, 40, silent)))
    assert len(said[0]) == 40
    assert said[0] == said[1] == said[2]


def test_a_context_s_threads_are_taken_away_and_given_back(
    demo: Path, load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(llama, "llama_set_n_threads", lambda context, single, batch: set_to.append((single, batch)))
    clock = iter(range(1000))
    monkeypatch.setattr(crowd, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(crowd, "process_time", lambda: 0.0)
    engine = load(demo, threads=2, batch_threads=3)
    list(engine.extend(list(range(20, 320)), set(), LONG_ANSWER, 10, silent))
    assert set_to[:2] == [(1, 2), (1, 1)]
    assert (2, 3) in set_to[2:] or (1, 2) in set_to[2:], "they are tried again"
