"""`run --output` and `run --batch`: files that appear whole, and answers that outlive whoever asks for them."""

import fcntl
import json
import signal
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from g4local.cli.questions import read
from g4local.cli.request import RunRequest
from g4local.core.errors import UsageError
from tests.backend.processes import wait_until
from tests.cli.conftest import PROGRAM, Run
from tests.cli.test_faults import Start, running
from tests.cli.test_offline import on_a_full_disk
from tests.outputs import all_checked, checked

GREEDY = ("--temp", "0", "-n", "12", "--seed", "1")
QUESTIONS = [
    {"prompt": "hello", "id": "greeting"},
    {"prompt": "Who are you?", "temperature": 2, "seed": 5},
    {"prompt": "What can you do?", "max_tokens": 1},
    {"prompt": "Say a number", "regex": "[0-9]{3}", "id": 40},
    {"prompt": "Bye", "system": "Be brief."},
]
LOADED = "loading model tensors"
"""What llama.cpp says once for each load."""


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A batch with a blank line in it."""
    file = tmp_path / "in.jsonl"
    text = [json.dumps(each) for each in QUESTIONS]
    file.write_text("\n".join([*text[:2], "", *text[2:]]) + "\n")
    return file


def test_an_answer_into_a_file_is_what_stdout_would_get(g4local: Run, tmp_path: Path) -> None:
    for flags in ((), ("--raw",)):
        printed = g4local("run", "demo", "hello", *GREEDY, *flags)
        file = tmp_path / f"answer{len(flags)}.txt"
        done = g4local("run", "demo", "hello", *GREEDY, *flags, "-o", str(file))
        assert (done.stdout, done.returncode) == ("", printed.returncode)
        assert file.read_text() == printed.stdout
    stream = tmp_path / "stream.jsonl"
    assert g4local("run", "demo", "hello", *GREEDY, "--stream-json", "-o", str(stream)).stdout == ""
    assert [each["type"] for each in all_checked(stream.read_text())][-2:] == ["turn_finished", "result"]
    assert {file.name for file in tmp_path.iterdir()} == {"answer0.txt", "answer1.txt", "stream.jsonl"}


def test_a_file_that_is_there_is_left_alone_without_force(g4local: Run, tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_text("mine")
    for arguments in (("hello", "-o", str(file)), ("hello", "-o", str(tmp_path)), ("hello", "--force")):
        done = g4local("run", "demo", *arguments, *GREEDY)
        assert (done.returncode, done.stdout) == (2, "") and "hint: " in done.stderr
    assert file.read_text() == "mine"
    assert g4local("run", "demo", "hello", *GREEDY, "-o", str(file), "-f").returncode in (0, 6)
    assert file.read_text() != "mine" and list(tmp_path.iterdir()) == [file]


def test_without_an_answer_there_is_no_file_but_the_object_of_json(g4local: Run, tmp_path: Path) -> None:
    file = tmp_path / "answer"
    assert g4local("run", "nothing-here", "hello", "-o", str(file)).returncode == 3
    assert g4local("run", "demo", "-o", str(file)).returncode == 2
    assert not list(tmp_path.iterdir())
    assert g4local("run", "nothing-here", "hello", "--json", "-o", str(file)).returncode == 3
    assert checked(file.read_text())["error"]["exit_code"] == 3


def test_what_a_killed_answer_left_goes_with_the_next_one(
    environment: dict[str, str], g4local: Run, started: Start, tmp_path: Path
) -> None:
    answer = tmp_path / "answer.txt"
    dead, alive = (running(started, "-o", str(answer)) for _ in range(2))
    for process in (dead, alive):
        assert wait_until(lambda process=process: bool(part_of(answer, process).exists()))
    dead.kill()
    alive.send_signal(signal.SIGSTOP)
    dead.communicate(timeout=60)
    assert part_of(answer, dead).exists()
    ends = (".part", ".12a.part", f"x.{dead.pid}.part", ".part.12", ".001.part", f".{dead.pid}.part")
    others = [tmp_path / f"{start}{answer.name}{end}" for start in ("", ".") for end in ends]
    for path in others:
        path.write_text("not ours")
    locked = tmp_path / f".{answer.name}.g4local.{dead.pid}0000.part"
    locked.write_text("of a process on another machine")
    with locked.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert g4local("run", "demo", "hello", *GREEDY, "-o", str(answer)).returncode in (0, 6)
    assert {*tmp_path.iterdir()} == {answer, part_of(answer, alive), locked, *others}


def part_of(file: Path, process: subprocess.Popen[str]) -> Path:
    """Where a process gathers its answer."""
    return file.with_name(f".{file.name}.g4local.{process.pid}.part")


def test_a_file_that_can_not_be_written_is_one_sentence(environment: dict[str, str], tmp_path: Path) -> None:
    done = on_a_full_disk(("run", "demo", "hello", "--no-save", *GREEDY, "-o", str(tmp_path / "x")), environment)
    assert done.returncode == 1 and "can't be written" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_each_answer_is_that_of_a_question_alone_and_one_load_is_enough(
    g4local: Run, environment: dict[str, str], lines: Path
) -> None:
    log = Path(environment["G4LOCAL_HOME"]) / "logs" / "engine.log"
    before = log.read_text().count(LOADED) if log.exists() else 0
    done = g4local("run", "demo", "--batch", str(lines), *GREEDY)
    answers = all_checked(done.stdout)
    assert [(each["id"], each["line"]) for each in answers] == [("greeting", 1), (2, 2), (4, 4), (40, 5), (6, 6)]
    assert done.returncode == 1  # those that were cut off are no answers
    assert [answers[index]["exit_code"] for index in (2, 3)] == [6, 0]
    assert log.read_text().count(LOADED) == before + 1
    alone = checked(g4local("run", "demo", "Bye", "--system", "Be brief.", "--json", *GREEDY).stdout)
    assert (answers[4]["text"], answers[4]["finish_reason"]) == (alone["text"], alone["finish_reason"])
    hot = checked(g4local("run", "demo", "Who are you?", "--json", *GREEDY, "--temp", "2", "--seed", "5").stdout)
    assert (answers[1]["text"], answers[1]["sampling"]) == (hot["text"], hot["sampling"])
    assert {each["session"] for each in answers} == {None}


def test_what_is_wrong_with_a_line_is_its_answer(g4local: Run, tmp_path: Path) -> None:
    wrong = [
        "nonsense",
        "[" * 100_000,
        "[1]",
        '{"prompt": 5}',
        '{"prompt": " "}',
        '{"prompt": "x", "colour": 3}',
        '{"prompt": "x", "id": [1]}',
        '{"prompt": "x", "temperature": NaN}',
        '{"prompt": "x", "temperature": true}',
        '{"prompt": "x", "top_k": 1.5}',
        '{"prompt": "x", "seed": -1}',
        '{"prompt": "x", "max_tokens": 1e99}',
        '{"prompt": "x", "system": 1}',
        '{"prompt": "x", "think": "yes"}',
        '{"prompt": "x", "schema": "{}"}',
        '{"prompt": "x", "schema": {"type": 5}}',
        '{"prompt": "x", "regex": "("}',
    ]
    good = '{"prompt": "half \\ud83d hello", "max_tokens": 3, "temperature": 0}'
    file, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text("\n".join([*wrong, good]))
    done = g4local("run", "demo", "--batch", str(file), "-o", str(answers))
    told = all_checked(answers.read_text())
    assert (done.returncode, done.stdout, len(told)) == (1, "", len(wrong) + 1)
    assert [each["exit_code"] for each in told] == [2] * len(wrong) + [6]
    assert all(each["error"]["hint"] for each in told[:-1])
    assert [each["error"]["message"].split(":")[0] for each in told[:14]] == [f"Line {n}" for n in range(1, 15)]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nothing-here",), 3),
        (("demo", "--regex", "("), 2),
        (("demo", "a question"), 2),
        (("demo", "--batch", "/nowhere/in.jsonl"), 2),
    ],
)
def test_what_is_wrong_with_all_is_told_before_anything_is_asked(
    g4local: Run, lines: Path, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    done = g4local("run", "--batch", str(lines), *arguments, "-o", str(tmp_path / "out.jsonl"))
    assert (done.returncode, done.stdout) == (code, "") and "hint: " in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_what_is_killed_at_any_moment_goes_on_with_the_first_that_has_no_answer(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Killed until it gets through: after each further answer, or after a part of one has been written."""
    pick = Random(1)
    file, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    part = tmp_path / "out.jsonl.part"
    asked = [f"hello {number}" for number in range(10)]
    file.write_text("".join(json.dumps({"prompt": each}) + "\n" for each in asked))
    command = [*PROGRAM, "run", "demo", "--batch", str(file), "-o", str(answers), "--temp", "0", "-n", "6"]
    kept: list[str] = []
    kills = 0
    while len(kept) < 7:
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
        wanted = len(kept) + pick.randint(1, 3)
        while process.poll() is None and len(whole(part)) < wanted:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL and not answers.exists()
        kills += 1
        now = whole(part)
        assert now[: len(kept)] == kept
        kept = now
        with part.open("a") as torn:
            torn.write(now[0][: pick.randint(1, 40)])
    assert kills >= 2
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr  # all are cut off
    assert answers.read_text().splitlines()[: len(kept)] == kept
    assert [each["id"] for each in all_checked(answers.read_text())] == list(range(1, 11))
    assert not part.exists()
    before = answers.stat().st_mtime_ns
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 1 and "10 answers" in again.stderr and answers.stat().st_mtime_ns == before
    assert "All were answered before; --retry-failed asks again what failed, --force all." in again.stderr


def whole(part: Path) -> list[str]:
    """The lines of a part that end in a newline."""
    return part.read_text().split("\n")[:-1] if part.exists() else []


def test_answers_to_other_questions_are_not_mixed_in(g4local: Run, lines: Path, tmp_path: Path) -> None:
    answers, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    ask = ("run", "demo", "--batch", str(lines), "-o", str(answers), *GREEDY)
    assert g4local(*ask).returncode == 1
    first = answers.read_text()
    assert g4local(*ask, "--top-k", "3").returncode == 2 and answers.read_text() == first
    answers.rename(part)
    done = g4local(*ask, "--top-k", "3")
    assert done.returncode == 2 and "other questions" in done.stderr and part.read_text() == first
    for foreign in ("notes of mine\n", '{"asked": 1}\n', "null\n", first + first):
        part.write_text(foreign)
        assert g4local(*ask).returncode == 2 and part.read_text() == foreign
    assert g4local(*ask, "--top-k", "3", "--force").returncode == 1
    assert answers.exists() and not part.exists()


def test_ctrl_c_keeps_what_was_answered(environment: dict[str, str], tmp_path: Path) -> None:
    file, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"hello {number}"}) + "\n" for number in range(500)))
    command = [*PROGRAM, "run", "demo", "--batch", str(file), "-o", str(answers), "--temp", "0"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "out.jsonl.part"
    while len(whole(part)) < 2:
        assert process.poll() is None
    busy = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert busy.returncode == 1 and "Another process" in busy.stderr
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "The same command goes on" in told
    assert 2 <= len(all_checked("\n".join(whole(part)))) < 500 and not answers.exists()


def test_what_failed_is_asked_again_and_what_did_not_is_kept(g4local: Run, lines: Path, tmp_path: Path) -> None:
    answers, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    ask = ("run", "demo", "--batch", str(lines), "-o", str(answers), *GREEDY)
    assert g4local(*ask, "--retry-failed").returncode == 1
    first = answers.read_text().splitlines()
    codes = [json.loads(line)["exit_code"] for line in first]
    failed = [index for index, code in enumerate(codes) if code]
    assert 0 < len(failed) < len(codes)
    marked = [
        line if index in failed else line.replace('"text": "', '"text": "KEPT ', 1) for index, line in enumerate(first)
    ]
    marked = [
        line.replace('"text": "', '"text": "OLD ', 1) if index in failed else line for index, line in enumerate(marked)
    ]
    answers.write_text("\n".join(marked) + "\n")
    done = g4local(*ask, "--retry-failed")
    assert done.returncode == 1 and f"{len(codes)} answers, {len(failed)} of them failed" in done.stderr
    again = answers.read_text().splitlines()
    assert [("KEPT " in line, "OLD " in line) for line in again] == [
        (index not in failed, False) for index in range(len(codes))
    ]
    answers.write_text("\n".join(marked) + "\n")
    part.write_text(again[0] + "\n" + again[1][:20])
    done = g4local(*ask, "--retry-failed")
    assert "1 of 5 are answered already; it goes on at line 2." in done.stderr
    assert len(all_checked(answers.read_text())) == 5 and "OLD " not in answers.read_text() and not part.exists()
    for flags in (("--batch", str(lines)), ("--batch", str(lines), "-o", str(answers), "--force"), ("hello",)):
        done = g4local("run", "demo", *flags, "--retry-failed")
        assert done.returncode == 2 and "--retry-failed" in done.stderr


def test_an_answer_hangs_on_who_may_run_what_and_on_what_files_say(tmp_path: Path) -> None:
    file, other = tmp_path / "in.jsonl", tmp_path / "other"
    file.write_text('{"prompt": "a"}\n')

    def asked(**flags: Any) -> str:
        return read(str(file), RunRequest("demo", **flags))[0].asked

    other.mkdir()
    tool = {"tool": ["run_shell"]}
    assert len({asked(), asked(**tool), asked(**tool, yes=True), asked(**tool, folder=other), asked(mcp=["x"])}) == 5
    for field in ("schema", "grammar"):
        given, same = tmp_path / field, tmp_path / f"{field} too"
        given.write_text('{"type": "object"}')
        same.write_text('{"type": "object"}')
        before = asked(**{field: str(given) if field == "schema" else given})
        if field == "schema":
            assert asked(schema=str(same)) == before
        given.write_text('{"type": "array"}')
        assert asked(**{field: str(given) if field == "schema" else given}) != before
    servers = tmp_path / "mcp.json"
    before = asked(mcp=["x"], mcp_config=servers)
    servers.write_text('{"mcpServers": {}}')
    assert asked(mcp=["x"], mcp_config=servers) != before


def test_an_answer_hangs_on_what_changes_it(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('{"prompt": "a"}\n{"prompt": "a", "id": 1}\n{"prompt": "a", "think": true}\n')
    first, named, thinking = read(str(file), RunRequest("demo"))
    assert len({first.asked, named.asked, thinking.asked}) == 2
    assert read(str(file), RunRequest("demo", threads=3))[0].asked == first.asked
    assert read(str(file), RunRequest("demo", top_k=3))[0].asked != first.asked
    file.write_text("\n\n")
    with pytest.raises(UsageError, match="no question"):
        read(str(file), RunRequest("demo"))
