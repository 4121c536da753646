"""`--draft` and `--draft-model` as people use them: what is told, what is found, what is refused."""

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from g4convert.convert import Options, convert
from g4local.core.progress import silent
from tests import checkpoints, media_checkpoints
from tests.cli.conftest import Finished, Run
from tests.cli.test_commands import the_object, told

AGAIN = "one two three four five six one two three four five six one two three four"
RAW = ("--raw", "--no-loop-guard", "-n", "40", "--temp", "0", "--seed", "1", "--no-save")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`alone.gguf`; `both` with a model and its assistant; the folder `assistant`, which is not converted."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "both").mkdir()
    target = checkpoints.make("dense", max_position_embeddings=4096)
    source = checkpoints.write(folder / "source", target)
    drafter = checkpoints.write(folder / "assistant", media_checkpoints.make_drafter(target))
    for path, made in (("alone.gguf", source), ("both/model.gguf", source), ("both/helper.gguf", drafter)):
        convert(made, folder / path, "F32", silent, Event(), Options(threads=1))
    return folder


def answer(finished: Finished) -> dict[str, Any]:
    assert finished.returncode in (0, 6), finished.stderr
    return the_object(finished)


def test_drafts_are_told_in_usage_and_stats(g4local: Run) -> None:
    runs = {
        draft: g4local("run", "demo", AGAIN, "--json", "--stats", "--draft", draft, *RAW)
        for draft in ("auto", "ngram", "off")
    }
    found = {draft: answer(finished) for draft, finished in runs.items()}
    assert found["auto"]["usage"] == found["ngram"]["usage"]
    usage = found["ngram"]["usage"]
    assert usage["drafted"] >= usage["accepted"] >= 0 < usage["drafted"]
    assert found["off"]["usage"]["drafted"] == found["off"]["usage"]["accepted"] == 0
    assert f"drafts       {usage['drafted']} tokens, {usage['accepted']} of them right" in runs["ngram"].stderr
    assert "drafts" not in runs["off"].stderr


def test_an_assistant_beside_the_model_or_given_drafts(g4local: Run, models: Path) -> None:
    plain = answer(g4local("run", str(models / "alone.gguf"), "hello", "--json", "--draft", "off", *RAW))
    beside = (str(models / "both" / "model.gguf"), "hello", "--json")
    for arguments in (
        (*beside, "--draft", "mtp"),
        beside,
        (str(models / "alone.gguf"), "hello", "--json", "--draft-model", str(models / "both" / "helper.gguf")),
        (str(models / "alone.gguf"), "hello", "--json", "--draft-model", str(models / "assistant")),
    ):
        found = answer(g4local("run", *arguments, *RAW))
        assert found["text"] == plain["text"]
        assert found["usage"]["drafted"] > 0
        assert found["warnings"] == plain["warnings"]


def test_an_assistant_that_can_not_be_used_is_told(g4local: Run, models: Path, tmp_path: Path) -> None:
    for name in ("model.gguf", "helper.gguf"):
        whole = (models / "both" / name).read_bytes()
        (tmp_path / name).write_bytes(whole if name == "model.gguf" else whole[:-1000])
    [warning] = answer(g4local("run", str(tmp_path / "model.gguf"), "hello", "--json", *RAW))["warnings"][:1]
    assert warning.startswith("The assistant beside the model is not used: ") and "helper.gguf" in warning
    assert g4local("fit", str(tmp_path / "model.gguf")).stderr == f"warning: {warning}\n"


def test_fit_counts_the_assistant_beside_a_model(g4local: Run, models: Path) -> None:
    alone, both = (
        json.loads(g4local("fit", str(models / name), "--json").stdout) for name in ("alone.gguf", "both/model.gguf")
    )
    assert both["need"]["drafter"] > 0 == alone["need"]["drafter"]
    assert both["bytes"] - alone["bytes"] == both["need"]["drafter"]
    assert "drafter" in g4local("fit", str(models / "both" / "model.gguf")).stdout


def test_what_can_not_draft_is_told(g4local: Run, models: Path) -> None:
    model, helper = str(models / "alone.gguf"), str(models / "both" / "helper.gguf")

    def refused(code: int, *arguments: str) -> str:
        return told(g4local("run", model, "hello", "--no-save", *arguments), code)

    assert "No assistant for alone" in refused(2, "--draft", "mtp")
    assert "has no use for" in refused(2, "--draft", "ngram", "--draft-model", helper)
    assert "nowhere" in refused(3, "--draft-model", "nowhere")
    assert "not 'gemma4-assistant'" in refused(4, "--draft-model", model)
    assert "holds no drafter" in refused(4, "--draft-model", str(models / "source"))


@pytest.mark.parametrize("command", ["run", "fit"])
def test_an_assistant_is_no_model_to_run(command: str, g4local: Run, models: Path) -> None:
    more = ("hello", "--no-save") if command == "run" else ()
    for name in ("both/helper.gguf", "assistant"):
        finished = g4local(command, str(models / name), *more)
        assert "drafter, which only guesses for a larger model" in told(finished, 4)
        assert "belongs to" in finished.stderr
