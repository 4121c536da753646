"""What `bench --tune` found is used by each load of that model here, and by nothing else."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Event
from time import sleep

import pytest

from g4local.backend import tuning
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions, Sampling
from g4local.backend.host import machine
from g4local.backend.tuning import Tuning
from g4local.core.progress import silent
from g4local.core.prompt import Segment

BEST = Tuning(threads=7, batch_threads=8, extra_buffers=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(100_000))
    return path


@pytest.fixture
def cache(probe_cache: Path, tmp_path: Path) -> Path:
    """A folder that knows what this machine survives, and nothing of any model."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "start-probe.json").write_bytes((probe_cache / "start-probe.json").read_bytes())
    return folder


def test_nothing_is_known_before(model: Path, cache: Path) -> None:
    assert tuning.known(model, cache) is None
    usual = Tuning(1, machine.threads(), machine.extra_buffers(cache))
    assert tuning.setting(LoadOptions(model), cache) == tuning.usual(model, cache) == usual
    first = model.rename(model.with_name("model-00001-of-00007.gguf"))
    assert tuning.setting(LoadOptions(first), cache) == replace(usual, threads=machine.threads())
    first.rename(model)
    with model.open("ab") as file:
        file.truncate(1 << 27)  # no longer so small that threads only cost
    assert tuning.setting(LoadOptions(model), cache) == replace(usual, threads=machine.threads())


def test_what_is_kept_is_used_where_the_options_say_nothing(model: Path, cache: Path) -> None:
    tuning.keep(model, cache, BEST)
    assert tuning.setting(LoadOptions(model), cache) == BEST
    assert tuning.setting(LoadOptions(model, threads=3), cache) == Tuning(3, 3, False)
    assert tuning.setting(LoadOptions(model, extra_buffers=True), cache) == replace(BEST, extra_buffers=True)
    tuning.keep(model, cache, Tuning(2, 2, True))
    assert tuning.known(model, cache) == Tuning(2, 2, True)
    assert tuning.count(cache) == 1


def test_repacked_weights_that_do_not_survive_are_never_used(model: Path, cache: Path) -> None:
    (cache / "start-probe.json").write_text(json.dumps({"extra_buffers": {machine.fingerprint(): False}}))
    tuning.keep(model, cache, Tuning(2, 2, True))
    assert tuning.setting(LoadOptions(model), cache) == Tuning(2, 2, False)


def test_a_model_is_known_by_its_content_and_its_machine(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning.keep(model, cache, BEST)
    moved = model.rename(model.with_name("other.gguf"))
    assert tuning.known(moved, cache) == BEST
    monkeypatch.setattr(machine, "threads", lambda: 64)
    assert tuning.known(moved, cache) is None
    monkeypatch.undo()
    moved.write_bytes(moved.read_bytes() + b"x")
    assert tuning.known(moved, cache) is None
    assert tuning.known(model, cache) is None


KEPT = '{"tuning": {"KEY": %s}}'


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "[" * 100_000, "\x00", '{"tuning": []}', KEPT % "1", KEPT % "{}", KEPT % '{"threads": 1}']
    + [
        KEPT % f'{{"threads": {threads}, "batch_threads": {batch}, "extra_buffers": {buffers}}}'
        for threads, batch, buffers in (
            ("0", 1, "true"),
            ("513", 1, "true"),
            ("true", 1, "true"),
            ("2", 0, "true"),
            ("2", '"2"', "true"),
            ("2", 1, '"no"'),
            ('2, "x": 1', 1, "true"),
        )
    ],
)
def test_a_broken_or_foreign_file_tells_nothing_and_is_replaced(model: Path, cache: Path, text: str) -> None:
    (cache / "tuning.json").write_text(text.replace("KEY", tuning._key(model)), encoding="utf-8")
    assert tuning.known(model, cache) is None
    tuning.keep(model, cache, BEST)
    assert tuning.known(model, cache) == BEST


def test_only_the_latest_models_are_remembered(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_KEPT", 2)
    others = []
    for letter in b"abc":
        others.append(model.with_name(f"{letter}.gguf"))
        others[-1].write_bytes(bytes([letter]))
        tuning.keep(others[-1], cache, BEST)
    assert [tuning.known(each, cache) for each in others] == [None, BEST, BEST]


def test_threads_for_prompts_can_be_given_alone(model: Path, cache: Path) -> None:
    tuning.keep(model, cache, BEST)
    assert tuning.setting(LoadOptions(model, batch_threads=7), cache).batch_threads == 7
    assert tuning.setting(LoadOptions(model, batch_threads=7), cache).threads == BEST.threads
    assert tuning.setting(LoadOptions(model, threads=5), cache).batch_threads == 5


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_a_load_has_the_threads_that_were_kept(demo: Path, cache: Path) -> None:
    """Seen after one decode: from the second on, a busy machine may have some of them given up."""

    def threads(wanted: Tuning) -> Iterator[int]:
        tuning.keep(demo, cache, wanted)
        with closing(WorkerEngine(LoadOptions(demo, context=256), cache=cache)) as engine:
            list(engine.generate([Segment("<bos>", special=True)], Sampling(), 1, silent, Event()))
            tasks = Path(f"/proc/{engine.pid}/task")
            while True:
                yield len(list(tasks.iterdir()))
                sleep(0.05)

    alone = min(islice(threads(Tuning(1, 1, extra_buffers=False)), 20))  # some that are no llama.cpp's end soon
    assert alone + 2 in islice(threads(Tuning(3, 1, extra_buffers=False)), 200)
