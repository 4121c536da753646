"""What every test shares: nothing of this machine is read or written, and the network stays off."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that belongs to the test alone."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
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
