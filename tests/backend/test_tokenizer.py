"""A vocabulary that is loaded without the weights says what it says with them."""

import sys
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from g4local.backend.client import WorkerEngine
from g4local.chat import toolcosts
from g4local.core.errors import BadGguf, Cancelled, EngineError, ModelNotFound
from g4local.core.progress import Progress, silent
from g4local.tools.registry import builtin
from tests.backend.conftest import WorkerLoader
from tests.backend.prompts import chat, special, words
from tests.conftest import Tiny

TEXTS = ("", "hello", "\x00 🙂\n\tNaïve <|turn> text", "a <|tool_call> that is none", words(3, 500))


@pytest.fixture(params=["demo", "ple", "moe"])
def model(request: pytest.FixtureRequest, demo: Path, tiny: Tiny) -> Path:
    return demo if request.param == "demo" else tiny(request.param)


def test_tokens_and_what_is_known_of_a_model_are_those_of_the_whole_one(model: Path, worker: WorkerLoader) -> None:
    whole, words_only = worker(model), worker(model, vocabulary_only=True)
    known = whole.start(silent, Event())
    assert words_only.start(silent, Event()) == replace(known, context=0)
    for text in TEXTS:
        assert words_only.tokenize(chat(text), Event()) == whole.tokenize(chat(text), Event())


def test_tools_cost_what_the_whole_model_counts(demo: Path, worker: WorkerLoader) -> None:
    def costs(engine: WorkerEngine) -> list[int]:
        engine.start(silent, Event())
        return [toolcosts.cost(tool, lambda told: len(engine.tokenize(told, Event()))) for tool in builtin(Path())]

    counted = costs(worker(demo, vocabulary_only=True))
    assert counted == costs(worker(demo)) and min(counted) > 10


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_weight_is_mapped_and_no_load_is_told(demo: Path, worker: WorkerLoader) -> None:
    def mapped(engine: WorkerEngine) -> bool:
        told: list[Progress] = []
        engine.start(told.append, Event())
        is_mapped = str(demo) in Path(f"/proc/{engine.pid}/maps").read_text()
        assert is_mapped == bool(told)
        return is_mapped

    assert mapped(worker(demo)) and not mapped(worker(demo, vocabulary_only=True))


def test_what_is_wrong_is_told_as_it_is_of_a_whole_model(demo: Path, worker: WorkerLoader, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        worker(tmp_path / "none.gguf", vocabulary_only=True).start(silent, Event())
    (tmp_path / "cut.gguf").write_bytes(demo.read_bytes()[:200_000])
    with pytest.raises(BadGguf):
        worker(tmp_path / "cut.gguf", vocabulary_only=True).start(silent, Event())
    engine = worker(demo, vocabulary_only=True)
    with pytest.raises(EngineError, match=r"<\|nonsense\|>"):
        engine.tokenize([special("<|nonsense|>")], Event())
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        engine.tokenize(chat("hello"), cancel)
