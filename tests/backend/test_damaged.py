"""Damaged GGUFs through the whole load: each is run or refused with a sentence, and none of them ends llama.cpp."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from g4convert import gguf
from tests.conftest import ROOT, Tiny
from tests.convert import mutations

BATCH = 50
QUICK = 1
"""Batches that every run does; `make reference` does all."""
BATCHES = [pytest.param(number, marks=[] if number < QUICK else pytest.mark.reference) for number in range(50)]
KINDS = (("ple", "BF16"), ("moe", "BF16"), ("dense", "Q4_0"), ("ple", "Q4_K_M"))
DAMAGES = (mutations.gguf_data, mutations.gguf, mutations.gguf, mutations.gguf, mutations.gguf_tensors)
_TOLD = ("BadGguf: ", "UsageError: A context of ")


class Loader:
    """A process that loads one file again and again, and outlives each load."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.backend.survival", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        )

    def load(self) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("null\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    made = Loader(tmp_path_factory.mktemp("damaged") / "model.gguf")
    yield made
    made.close()


@pytest.mark.parametrize("batch", BATCHES)
def test_a_damaged_model_is_told_or_run(batch: int, tiny: Tiny, loader: Loader) -> None:
    files = [tiny(kind, recipe) for kind, recipe in KINDS]
    outcomes: Counter[str] = Counter()
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        random = Random(seed)
        source = random.choice(files)
        raw, start = source.read_bytes(), gguf.read(source).data_start
        damage = DAMAGES[seed % len(DAMAGES)]
        loader.path.write_bytes(damage(raw, start, random))
        told = loader.load()
        assert told == "fine" or (told.startswith(_TOLD) and told.endswith(".") and "⏎" not in told), f"{seed}: {told}"
        outcomes[told.partition(":")[0]] += 1
    assert outcomes["fine"] and outcomes["BadGguf"]
