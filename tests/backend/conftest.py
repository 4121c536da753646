"""Models for the engine's tests: tiny checkpoints with random weights, and the built-in one, as GGUFs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile
from threading import Event
from typing import Any

import pytest

from g4convert.convert import Options, convert
from g4local.backend.client import WorkerEngine
from g4local.backend.engine import LoadOptions
from g4local.backend.host import machine
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp.stop import StopFlag
from g4local.core.progress import silent
from tests import checkpoints, media_checkpoints
from tests.conftest import ROOT

Loader = Callable[..., LlamaEngine]
Pair = tuple[Path, Path]
WorkerLoader = Callable[..., WorkerEngine]


@pytest.fixture(scope="session")
def probe_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that knows already what this machine survives."""
    folder = tmp_path_factory.mktemp("cache")
    machine.extra_buffers(folder)
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model, quantized; no test may depend on what it says."""
    target = tmp_path_factory.mktemp("demo") / "demo.gguf"
    convert(ROOT / "g4local" / "demo", target, "Q4_K_M", silent, Event(), Options(threads=1))
    return target


@pytest.fixture(scope="session")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model in F32: what a row gives hardly depends on the others then."""
    target = tmp_path_factory.mktemp("exact") / "demo.gguf"
    convert(ROOT / "g4local" / "demo", target, "F32", silent, Event(), Options(threads=1))
    return target


@pytest.fixture(scope="session")
def demo_pair(tmp_path_factory: pytest.TempPathFactory, exact: Path) -> Pair:
    """The built-in model in F32, and an assistant with random weights for it."""
    folder, source = tmp_path_factory.mktemp("pair"), ROOT / "g4local" / "demo"
    target = checkpoints.Checkpoint(json.loads((source / "config.json").read_text(encoding="utf-8")), {})
    drafter = checkpoints.write(folder / "drafter", media_checkpoints.make_drafter(target))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        copyfile(source / name, drafter / name)
    convert(drafter, folder / "drafter.gguf", "F32", silent, Event(), Options(threads=1))
    return exact, folder / "drafter.gguf"


@pytest.fixture
def load(probe_cache: Path) -> Iterator[Loader]:
    """Loads an engine into this process."""
    engines = []

    def loaded(path: Path, context: int = 1024, stop: StopFlag | None = None, **options: Any) -> LlamaEngine:
        options = {"threads": 1, "gpu_layers": 0, "extra_buffers": machine.extra_buffers(probe_cache), **options}
        engines.append(LlamaEngine(LoadOptions(path, context, **options), stop or StopFlag(), silent))
        return engines[-1]

    yield loaded
    for engine in engines:
        engine.close()


@pytest.fixture
def worker(probe_cache: Path, tmp_path: Path) -> Iterator[WorkerLoader]:
    """Makes engines that run in a child."""
    engines = []

    def made(path: Path, **options: Any) -> WorkerEngine:
        options = {"context": 1024, "threads": 1, **options}
        engines.append(WorkerEngine(LoadOptions(path, **options), cache=probe_cache, logs=tmp_path / "logs"))
        return engines[-1]

    yield made
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(demo: Path, worker: WorkerLoader) -> WorkerEngine:
    """The built-in model, loaded in a child."""
    engine = worker(demo)
    engine.start(silent, Event())
    return engine
