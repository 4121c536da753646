"""What a turn reads of its conversation, told by `--json` and `--stats`: its own new tokens and at most eight more."""

import json
import re
from typing import Any

import pytest

from g4local.backend.state.prefix import CLOSE
from tests.backend.prompts import words
from tests.cli.conftest import Finished, Run

LONG = f"What is this about? {words(1, 200)}"
"""More than a window of 128 tokens, and enough for a snapshot."""
CALCULATION = "What is 48 times 17?"
NEXT, OTHER = "How do I convert a checkpoint to a GGUF?", "What is g4local?"
GREEDY = ("--temp", "0", "--seed", "1", "-n", "80")


def the_object(finished: Finished) -> dict[str, Any]:
    assert finished.returncode in (0, 6), finished.stderr
    value: dict[str, Any] = json.loads(finished.stdout)
    assert value["warnings"] == [] or finished.returncode == 6
    return value


@pytest.fixture(scope="module")
def own(g4local: Run) -> dict[str, int]:
    """The tokens of questions that nothing came before."""
    asked = {
        question: g4local("run", "demo", question, "--json", "--no-save", "--temp", "0", "-n", "1")
        for question in (NEXT, OTHER)
    }
    return {question: the_object(finished)["usage"]["prompt"] for question, finished in asked.items()}


@pytest.mark.parametrize("flags", [(), ("--think",), ("--tools", "--yes")], ids=str)
def test_a_new_process_reads_the_next_question_alone(g4local: Run, own: dict[str, int], flags: tuple[str, ...]) -> None:
    """Where a thought stood before it, the answer too: the history leaves the thought out."""
    first = CALCULATION if "--tools" in flags else LONG
    before = the_object(g4local("run", "demo", first, "--json", *flags, *GREEDY))
    answer = before["usage"]["completion"] if before["thought"] else 0
    fork = json.loads(g4local("sessions", "fork", before["session"], "--json").stdout)
    for session, question in ((before["session"], NEXT), (fork["session"], OTHER)):
        told = the_object(g4local("run", "demo", question, "--session", session, "--json", *flags, *GREEDY))
        usage = told["usage"]
        assert usage["prompt"] > 300, "the conversation is a part of it"
        assert told["tool_calls"] or usage["prompt"] - usage["reused"] <= own[question] + answer + CLOSE


def test_a_chat_reads_questions_edits_and_regenerations_alone(g4local: Run, own: dict[str, int]) -> None:
    lines = [LONG, NEXT, "/retry", "/undo", OTHER, "/retry", ""]
    finished = g4local("chat", "demo", "--stats", "--no-save", *GREEDY, stdin="\n".join(lines))
    told = re.findall(r"^prompt +(\d+) tokens, (\d+) of them reused", finished.stderr, re.MULTILINE)
    assert finished.returncode == 0 and len(told) == 5, finished.stderr
    processed = [int(prompt) - int(reused) for prompt, reused in told[1:]]
    assert all(count <= most + CLOSE for count, most in zip(processed, (own[NEXT], 0, own[OTHER], 0), strict=True)), (
        processed
    )
