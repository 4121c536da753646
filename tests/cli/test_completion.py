"""What Tab offers, asked of the program as a shell asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("g4local run de", {"demo"}),
        ("g4local show fol", {"folder/"}),
        ("g4local chat folder/", {"folder/model.gguf"}),
        ("g4local chat mi", {"mine"}),
        ("g4local convert x --quant q4_", {"q4_k_m", "q4_0"}),
        ("g4local run demo --tool c", {"calculate", "clock"}),
    ],
)
def test_tab_offers_names_and_paths(tmp_path: Path, typed: str, offered: set[str]) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("folder/model.gguf", "folder/other.txt", "models/mine.gguf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shell = {"_G4LOCAL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    places = {"G4LOCAL_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "converters")))}
    code = "import sys; sys.argv = ['g4local']; from g4local.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **shell, **places},
        capture_output=True,
        text=True,
    )
    assert offered <= set(done.stdout.split())
    assert not any(word.endswith(".txt") for word in done.stdout.split())
