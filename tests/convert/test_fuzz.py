"""Thousands of damaged files: each is our error or a success that verifies, and no file is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from threading import Event
from types import FrameType

import pytest

from g4convert import convert, gguf, requantize
from g4convert.checkpoint import INDEX
from g4local.backend.model import header
from g4local.core.errors import G4Error, UnusableFile
from g4local.core.progress import silent
from tests import checkpoints, media_checkpoints
from tests.conftest import ROOT
from tests.convert import mutations

SMALL = {"num_hidden_layers": 2, "layer_types": "sf", "hidden_size": 32, "intermediate_size": 32, "head_dim": 8}
MEDIA: tuple[media_checkpoints.Kind, ...] = ("tower", "unified")
RECIPES = ("BF16", "Q4_0", "Q8_0", "Q4_K_M")
FILES = (
    *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
    *("config.json", "config.json", "config.json", INDEX),
    *("tokenizer.json", "tokenizer_config.json", "generation_config.json", "processor_config.json"),
)
BATCH = 100
QUICK = 3
"""Batches that every run does; `make reference` does all."""
BATCHES = [pytest.param(number, marks=[] if number < QUICK else pytest.mark.reference) for number in range(20)]
SECONDS = 60
"""That a case may take on a machine that is busy."""


@contextmanager
def in_time(case: str) -> Iterator[None]:
    """A case that takes too long fails instead of holding up the rest."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(case)

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def expect_read_or_told(act: Callable[[], object], case: str) -> None:
    """Whatever goes wrong is one sentence, with a hint."""
    try:
        act()
    except G4Error as error:
        assert isinstance(error, UnusableFile) or "holds text only" in error.message, case
        assert error.message.endswith("."), case
        assert "\n" not in error.message, case
        assert len(error.message) <= 1000, case
        assert error.hint, case
    except Exception as error:
        raise AssertionError(case) from error


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small checkpoints of every kind, in two files with an index; two of them see and hear."""
    made = {}
    for media in MEDIA:
        made[media] = media_checkpoints.write(
            tmp_path_factory.mktemp(media) / "model", media_checkpoints.make(media), shards=2
        )
    for kind in checkpoints.KINDS:
        small = checkpoints.make(kind, **SMALL, **({"num_kv_shared_layers": 0} if kind == "ple" else {}))
        made[kind] = checkpoints.write(tmp_path_factory.mktemp(kind) / "model", small, shards=2)
    return made


@pytest.mark.parametrize("batch", BATCHES)
def test_a_damaged_checkpoint_is_told_or_converted(batch: int, sources: dict[str, Path], tmp_path: Path) -> None:
    counts: Counter[bool] = Counter()
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        random = Random(seed)
        folder, target = tmp_path / "model", tmp_path / "out.gguf"
        kind = random.choice([*checkpoints.KINDS, *checkpoints.KINDS, random.choice(MEDIA)])
        shutil.copytree(sources[kind], folder)
        name = random.choice([name for name in FILES if (folder / name).exists()])
        towers = tmp_path / "towers.gguf" if kind in MEDIA else None
        damage = mutations.safetensors if name.endswith(".safetensors") else mutations.json_file
        case = f"seed {seed}: {name}: {damage(folder / name, random)}"
        with in_time(case):
            recipe = random.choice(RECIPES)
            options = convert.Options(mmproj=towers)
            expect_read_or_told(partial(convert.convert, folder, target, recipe, silent, Event(), options), case)
        counts[target.exists()] += 1
        if target.exists():
            assert header.read(target).model, case
            target.unlink()
            if towers:
                assert gguf.read(towers).tensors, case
                towers.unlink()
        assert [*tmp_path.iterdir()] == [folder], case
        shutil.rmtree(folder)
    assert min(counts[True], counts[False]) >= BATCH // 20, "neither kind is rare"


class Engine:
    """The engine's reader in a process of its own, as it always is: ggml reads the header, and might take us along."""

    def __init__(self) -> None:
        places = os.pathsep.join(str(ROOT / folder) for folder in ("", "converters", "tui"))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _READER],
            env={**os.environ, "PYTHONPATH": places},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def read(self, path: Path) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the reader died: {self._process.wait()}"
        message, hint = json.loads(answer)
        if message:
            raise UnusableFile(message, hint)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


_READER = """
import json, sys
from pathlib import Path
from g4local.backend.model import header
from g4local.core.errors import UnusableFile
for line in sys.stdin:
    told = ("", "")
    try:
        header.read(Path(line.rstrip()))
    except UnusableFile as error:
        told = (error.message, error.hint)
    print(json.dumps(told), flush=True)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    reader = Engine()
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def files(sources: dict[str, Path]) -> list[Path]:
    """GGUFs of the checkpoints, quantized and not."""
    made = []
    for kind, recipe in (("moe", "BF16"), ("ple", "F16"), ("dense", "Q4_0")):
        made.append(sources[kind].with_name(f"{kind}.gguf"))
        convert.convert(sources[kind], made[-1], recipe, silent, Event())
    return made


@pytest.mark.parametrize("batch", BATCHES)
def test_a_damaged_gguf_is_told_or_read(batch: int, files: list[Path], engine: Engine, tmp_path: Path) -> None:
    """By the converter's reader, whole and without its long arrays, by the engine's, and by `quantize`."""
    starts = {path: gguf.read(path).data_start for path in files}
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        random = Random(seed)
        source = random.choice(files)
        path, target = tmp_path / "model.gguf", tmp_path / "out.gguf"
        path.write_bytes(mutations.gguf(source.read_bytes(), starts[source], random))
        case = f"seed {seed}: {source.name}"
        with in_time(case):
            for read in (gguf.read, partial(gguf.read, longest=0), engine.read):
                expect_read_or_told(partial(read, path), case)
            recipe = random.choice(RECIPES[1:])
            expect_read_or_told(partial(requantize.requantize, path, target, recipe, silent, Event()), case)
            if target.exists():
                assert gguf.read(target).tensors, case
                target.unlink()
        assert [*tmp_path.iterdir()] == [path], case
