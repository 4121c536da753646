"""What Tab offers, asked of the program as a shell asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from g4local.cli import completion
from g4local.settings import paths
from g4local.store.store import Store
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("g4local run de", {"demo"}),
        ("g4local show fol", {"folder/"}),
        ("g4local chat folder/", {"folder/model.gguf"}),
        ("g4local chat mi", {"mine"}),
        ("g4local convert x --quant q4_", {"q4_k_m", "q4_0"}),
        ("g4local pull 26", {"26b", "26b-a4b"}),
        ("g4local rm mi", {"mine"}),
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


def test_rm_offers_only_what_it_can_remove(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    models = paths(os.environ).models
    models.mkdir()
    (models / "mine.gguf").touch()
    (models / "unplugged.gguf").symlink_to("/nowhere/x.gguf")
    assert completion.removable("") == ["mine", "unplugged"]


@pytest.mark.parametrize(
    "kind", ["models", "removable", "models_and_sizes", "pullable", "quants", "tools", "sessions", "mcp_servers"]
)
def test_what_is_offered_is_found_without_anything_heavy(kind: str, own_home: Path) -> None:
    with Store(own_home / "sessions.db") as store, store.writing():
        store.start("A title")
    heavy = ("llama_cpp", "numpy", "huggingface_hub", "httpx2", "jsonschema", "mcp", "pydantic", "textual")
    program = (
        f"import sys; from g4local.cli import completion; offered = completion.{kind}('')\n"
        f"print(len(offered) > 0, [name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split(" ", 1)[1].strip() == "[]" and (
        kind in ("mcp_servers", "removable") or done.stdout.startswith("True")
    )


@pytest.mark.parametrize(
    ("shell", "offered"),
    [("zsh", '"mine"'), ("fish", "mine"), ("powershell", "mine::: "), ("pwsh", "mine::: ")],
)
def test_other_shells_are_answered_as_their_scripts_ask(shell: str, offered: str, own_home: Path) -> None:
    (own_home / "models").mkdir()
    (own_home / "models" / "mine.gguf").touch()
    asked = {
        "_G4LOCAL_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "g4local run mi",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": "mi",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    code = "import sys; sys.argv = ['g4local']; from g4local.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert offered in done.stdout


@pytest.mark.parametrize(
    ("typed", "told"),
    [("g4local sessions show ", "[/red] it's x: y [b]"), ("g4local ru", "Ask a model once; without a question")],
)
def test_what_is_offered_is_told_in_one_line_however_narrow_the_terminal(typed: str, told: str, own_home: Path) -> None:
    with Store(own_home / "sessions.db") as store, store.writing():
        store.start("[/red] it's x:\ny [b]")
    asked = {"_G4LOCAL_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "COLUMNS": "20"}
    code = "import sys; sys.argv = ['g4local']; from g4local.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked, "_TYPER_COMPLETE_ARGS": typed},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    [line] = done.stdout.splitlines()
    assert line.partition("\t")[2].startswith(told)
