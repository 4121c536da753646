"""What every test shares: nothing of this machine is read or written, and the network stays off."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import llama_cpp.llama_cpp as llama
import pytest

from g4convert.convert import Options, convert
from g4local.backend.llamacpp.log import listen
from g4local.backend.model.vocabulary import Vocabulary
from g4local.core.progress import silent
from tests import checkpoints
from tests.families import family as family
from tests.families import known_release as known_release
from tests.families import narrow as narrow
from tests.hubs import here as here
from tests.hubs import hub as hub
from tests.hubs import server as server

ROOT = Path(__file__).parent.parent

Tiny = Callable[..., Path]
"""Takes a kind of checkpoint, and a recipe if it is not BF16."""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that belongs to the test alone."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("G4LOCAL_PLAIN", "1")
    monkeypatch.setenv("G4LOCAL_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def gemma4_vocab_path() -> Path:
    """Gemma 4's real vocabulary as a GGUF without weights, which is too big to lie in the repository."""
    beside = ROOT.parent / "shared" / "conformance" / "ggml-vocab-gemma-4.gguf"
    path = Path(os.environ.get("G4LOCAL_GEMMA4_VOCAB", beside))
    if not path.is_file():
        pytest.skip("G4LOCAL_GEMMA4_VOCAB names no vocabulary of Gemma 4")
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A GGUF of random weights, for each build of the family; its window is 16 tokens, its context 4096."""
    folder = tmp_path_factory.mktemp("tiny")

    def made(kind: checkpoints.Kind, recipe: str = "BF16") -> Path:
        target = folder / f"{kind}-{recipe}.gguf"
        if not target.exists():
            source = checkpoints.write(folder / kind, checkpoints.make(kind, max_position_embeddings=4096))
            convert(source, target, recipe, silent, Event(), Options(threads=1))
        return target

    return made


@pytest.fixture(scope="session")
def real(gemma4_vocab_path: Path) -> Iterator[Vocabulary]:
    """Gemma 4's own vocabulary."""
    listen()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    model = llama.llama_model_load_from_file(bytes(gemma4_vocab_path), params)
    yield Vocabulary(model)
    llama.llama_model_free(model)
