"""The command line as people and scripts use it: real processes, the built-in model, no mocks."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from g4local import __version__
from tests.cli.conftest import Finished, Run
from tests.outputs import checked

DEMO = Path(__file__).parents[2] / "g4local" / "demo"
GREEDY = ("--temp", "0", "-n", "12", "--seed", "1")

RUN_KEYS = [
    "schema", "model", "session", "text", "value", "thought", "tool_calls", "finish_reason", "usage", "timing",
    "sampling", "warnings", "error",
]  # fmt: skip


def told(finished: Finished, code: int) -> str:
    """The sentence of a command that failed as it should: one error, one hint, nothing else and no traceback."""
    lines = finished.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], finished.stderr
    assert finished.returncode == code, finished.stderr
    assert finished.stdout == ""
    return lines[0]


def the_object(finished: Finished) -> dict[str, Any]:
    """The one object that `run --json` prints."""
    assert finished.stdout.count("\n") == 1, finished.stdout
    value = json.loads(finished.stdout)
    assert list(value) == RUN_KEYS
    assert value["schema"] == "g4local.run/1"
    return dict(value)


def test_the_version(g4local: Run) -> None:
    assert g4local("--version").stdout == f"g4local {__version__}\n"


def test_every_command_has_help_and_is_in_the_readme(g4local: Run) -> None:
    readme = (DEMO.parents[1] / "README.md").read_text(encoding="utf-8")
    commands = g4local("--help").stdout.partition("Commands:")[2].split("Exit codes")[0]
    names = [line.split()[0] for line in commands.splitlines() if line[:3].strip()]
    assert len(names) >= 7
    for name in names:
        assert f"g4local {name}" in readme
        assert g4local(name, "--help").returncode == 0


def test_stdin_is_appended_and_json_is_one_object(g4local: Run) -> None:
    result = the_object(g4local("run", "demo", "Say", "this:", "--json", *GREEDY, stdin="hello\n"))
    assert result["model"] == "demo"
    assert result["usage"]["completion"] <= 12
    assert result["usage"]["prompt"] > 5
    assert result["error"] is None
    assert result["sampling"]["temperature"] == 0


def test_the_answer_alone_is_on_stdout(g4local: Run) -> None:
    text = the_object(g4local("run", "demo", "hello", "--json", *GREEDY))["text"]
    plain = g4local("run", "demo", "hello", *GREEDY)
    assert plain.stdout == f"{text}\n"
    assert "\x1b" not in plain.stdout + plain.stderr


def test_a_stream_ends_with_the_same_object(g4local: Run) -> None:
    whole = the_object(g4local("run", "demo", "hello", "--json", *GREEDY))
    lines = [json.loads(line) for line in g4local("run", "demo", "hello", "--stream-json", *GREEDY).stdout.splitlines()]
    last = lines.pop()
    assert last.pop("type") == "result"
    assert "".join(line["text"] for line in lines if line["type"] == "text") == whole["text"]
    assert lines[0]["type"] == "turn_started"
    for timed in (last, whole):
        timed.pop("timing")
        assert len(timed.pop("session")) == 8
    assert last == whole


def test_a_seed_repeats_an_answer(g4local: Run) -> None:
    first, second = (
        the_object(g4local("run", "demo", "joke", "--json", "-n", "12", "--temp", "2", "--seed", "5")) for _ in "ab"
    )
    assert first["sampling"]["seed"] == 5
    assert first["text"] == second["text"]


def test_a_seed_that_was_drawn_is_told_and_repeats_the_answer(g4local: Run) -> None:
    first = the_object(g4local("run", "demo", "joke", "--json", "-n", "12", "--temp", "2"))
    seed = str(first["sampling"]["seed"])
    assert (
        the_object(g4local("run", "demo", "joke", "--json", "-n", "12", "--temp", "2", "--seed", seed))["text"]
        == (first["text"])
    )


def test_an_answer_that_was_cut_off_is_told_in_the_exit_code(g4local: Run) -> None:
    finished = g4local("run", "demo", "What can you do?", "--json", "-n", "1", "--temp", "0")
    assert the_object(finished)["finish_reason"] == "length"
    assert finished.returncode == 6


def test_a_question_longer_than_the_context_is_refused(g4local: Run) -> None:
    told(g4local("run", "demo", "--ctx", "256", stdin="many words " * 2000), 5)
    finished = g4local("run", "demo", "--ctx", "256", "--json", stdin="many words " * 2000)
    result = the_object(finished)
    assert (finished.returncode, result["error"]["exit_code"], result["finish_reason"]) == (5, 5, "error")


def test_json_is_one_object_also_without_a_question_or_a_model(g4local: Run) -> None:
    for arguments, code in ((("demo",), 2), (("nothing-here", "hi"), 3)):
        finished = g4local("run", *arguments, "--json")
        assert finished.returncode == code == the_object(finished)["error"]["exit_code"]


def test_a_number_that_is_none_is_a_usage_error(g4local: Run) -> None:
    for flags in (("--temp", "nan"), ("--temp", "inf"), ("--top-p", "3"), ("--seed", "4294967295"), ("-t", "5000")):
        finished = g4local("run", "demo", "hi", *flags)
        assert (finished.returncode, finished.stdout) == (2, "")


def test_raw_sends_the_prompt_as_it_is(g4local: Run) -> None:
    prompt = "<bos><|turn>user\nhello<turn|>\n<|turn>model\n"
    raw = the_object(g4local("run", "demo", prompt, "--raw", "--json", *GREEDY))
    cooked = the_object(g4local("run", "demo", "hello", "--json", *GREEDY))
    assert raw["usage"]["prompt"] == cooked["usage"]["prompt"]
    assert raw["text"].removesuffix("<turn|>").strip() == cooked["text"]


def test_stats_go_to_stderr(g4local: Run) -> None:
    finished = g4local("run", "demo", "hello", "--stats", *GREEDY)
    assert "first token" in finished.stderr
    assert "first token" not in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "nothing-here", "hi"), 3),
        (("run", "demo", "hi", "--tool", "teleport"), 2),
        (("run", "demo", "hi", "--quant", "Q9"), 2),
        (("run", "demo", "hi", "--ctx", "100000000"), 2),
        (("run", "demo", "   "), 2),
        (("run", "", "hi"), 3),
        (("run", "x" * 5000, "hi"), 3),
        (("run", "~nobody-here/x", "hi"), 3),
        (("run", "demo", "hi", "--raw", "--think"), 2),
        (("convert", str(DEMO), "-o", "/dev/null/x.gguf"), 2),
        (("convert", str(DEMO), "-o", "x" * 300 + ".gguf"), 1),
        (("show", "nothing-here"), 3),
        (("convert", "nothing-here"), 3),
        (("convert", str(DEMO), "--quant", "Q9"), 2),
        (("quantize", "nothing-here"), 3),
        (("quantize", str(DEMO)), 2),
        (("quantize", str(DEMO.parent)), 2),
        (("prompt", "nothing-here"), 2),
        (("prompt", "-", "--ids"), 2),
    ],
)
def test_nonsense_is_one_sentence_a_hint_and_an_exit_code(g4local: Run, arguments: tuple[str, ...], code: int) -> None:
    told(g4local(*arguments), code)


def damaged(folder: Path, how: str) -> Path:
    """A copy of the demo checkpoint that can't be used."""
    copy = folder / "checkpoint"
    shutil.copytree(DEMO, copy)
    weights = copy / "model.safetensors"
    config = copy / "config.json"
    match how:
        case "truncated":
            weights.write_bytes(weights.read_bytes()[:-1000])
        case "header cut off":
            weights.write_bytes(weights.read_bytes()[:100])
        case "another architecture":
            config.write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}', encoding="utf-8")
        case "no config":
            config.unlink()
        case "config is no JSON":
            config.write_text("{", encoding="utf-8")
        case "no weights":
            weights.unlink()
        case "no tokenizer":
            (copy / "tokenizer.json").unlink()
    return copy


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "header cut off",
        "another architecture",
        "no config",
        "config is no JSON",
        "no weights",
        "no tokenizer",
    ],
)
def test_a_damaged_checkpoint_leaves_nothing_behind(g4local: Run, tmp_path: Path, how: str) -> None:
    folder = damaged(tmp_path, how)
    target = tmp_path / "out" / "model.gguf"
    target.parent.mkdir()
    told(g4local("convert", str(folder), "-o", str(target)), 4)
    assert list(target.parent.iterdir()) == []
    told(g4local("run", str(folder), "hi"), 4)


@pytest.fixture(scope="session")
def demo_gguf(g4local: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model as a GGUF that `convert` made."""
    target = tmp_path_factory.mktemp("gguf") / "demo.gguf"
    finished = g4local("convert", str(DEMO), "-o", str(target), "--quant", "q8_0")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"{target}\n"
    return target


def test_a_gguf_with_a_flipped_magic_is_refused(g4local: Run, demo_gguf: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"FUGG" + demo_gguf.read_bytes()[4:])
    assert "broken.gguf" in told(g4local("run", str(broken), "hi"), 4)
    assert "broken.gguf" in told(g4local("show", str(broken)), 4)


def test_a_gguf_that_is_cut_off_is_refused(g4local: Run, demo_gguf: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(demo_gguf.read_bytes()[:-5000])
    told(g4local("run", str(broken), "hi"), 4)
    told(g4local("show", str(broken)), 4)


def test_a_gguf_of_another_architecture_is_refused(g4local: Run, demo_gguf: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(demo_gguf.read_bytes().replace(b"\x06\0\0\0\0\0\0\0gemma4", b"\x06\0\0\0\0\0\0\0gemma3", 1))
    assert "gemma3" in told(g4local("run", str(other), "hi"), 4)


def test_a_converted_file_is_not_written_over_unasked(g4local: Run, demo_gguf: Path) -> None:
    before = demo_gguf.stat().st_mtime_ns
    told(g4local("convert", str(DEMO), "-o", str(demo_gguf)), 2)
    assert demo_gguf.stat().st_mtime_ns == before
    assert g4local("convert", str(DEMO), "-o", str(demo_gguf), "-q", "Q8_0", "--force").returncode == 0


def test_a_plan_is_printed_and_nothing_written(g4local: Run, tmp_path: Path) -> None:
    plan = json.loads(g4local("convert", str(DEMO), "--plan", "--json", cwd=tmp_path).stdout)
    assert plan["quant"] == "Q4_K_M"
    assert sum(plan["types"].values()) == len(plan["tensors"])
    assert list(tmp_path.iterdir()) == []
    table = g4local("convert", str(DEMO), "--plan").stdout.splitlines()
    assert len(table) == len(plan["tensors"]) + 1


@pytest.mark.parametrize(
    ("line", "schema"),
    [
        ("ls", "g4local.ls/1"),
        ("show demo --tensors", "g4local.show/1"),
        ("convert demo --plan", "g4local.plan/1"),
        ("convert demo -o demo.gguf", "g4local.convert/1"),
        ("quants", "g4local.quants/1"),
        ("fit e2b", "g4local.fit/1"),
        ("doctor", "g4local.doctor/1"),
    ],
)
def test_json_is_one_object_that_names_its_schema_and_version(
    line: str, schema: str, g4local: Run, tmp_path: Path
) -> None:
    (tmp_path / "demo").symlink_to(DEMO)
    (said,) = g4local(*line.split(), "--json", cwd=tmp_path).stdout.splitlines()
    assert next(iter(json.loads(said).items())) == ("schema", schema)


def test_a_model_in_the_models_folder_is_listed_shown_and_run_by_name(g4local: Run) -> None:
    path = Path(g4local("convert", str(DEMO), "--quant", "Q4_0").stdout.strip())
    assert path.stem == "demo-Q4_0"
    listed = {entry["name"]: entry for entry in json.loads(g4local("ls", "--json").stdout)["models"]}
    assert listed["demo-Q4_0"]["quant"] == "Q4_0"
    assert listed["demo-Q4_0"]["bytes"] == path.stat().st_size
    assert "demo-Q4_0" in g4local("ls").stdout
    assert g4local("ls", "-q").stdout.split() == ["demo", "demo-Q4_0"]
    shown = json.loads(g4local("show", "demo-Q4_0", "--json").stdout)
    assert shown["keys"]["general.architecture"] == "gemma4"
    assert sum(entry["bytes"] for entry in shown["types"].values()) < path.stat().st_size
    assert g4local("run", "demo-Q4_0", "hi", "-n", "3").returncode in (0, 6)
    path.unlink()


def test_a_checkpoint_folder_is_converted_once(g4local: Run, environment: dict[str, str]) -> None:
    converted = Path(environment["G4LOCAL_HOME"]) / "cache" / "converted"
    g4local("run", "demo", "hi", *GREEDY)
    before = {file: file.stat().st_mtime_ns for file in converted.iterdir()}
    assert before
    g4local("run", "demo", "hi", *GREEDY)
    assert {file: file.stat().st_mtime_ns for file in converted.iterdir()} == before


def test_prompts_are_printed_as_the_model_sees_them(g4local: Run, tmp_path: Path) -> None:
    golden = (DEMO.parents[1] / "tests" / "golden" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    file = tmp_path / "prompts.jsonl"
    file.write_text("\n".join(golden) + "\n", encoding="utf-8")
    printed = [checked(line) for line in g4local("prompt", str(file)).stdout.splitlines()]
    assert printed == [{"prompt": json.loads(line)["prompt"]} for line in golden]


def test_blank_lines_are_no_prompts_but_are_counted(g4local: Run) -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
    assert len(g4local("prompt", "-", stdin=f"{line}\n\n{line}\n\n").stdout.splitlines()) == 2
    assert "Line 3" in told(g4local("prompt", "-", stdin="\n\n{\n"), 2)


def test_a_prompt_that_can_not_be_written_as_it_is_is_escaped(g4local: Run) -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "half \ud83d"}]})
    assert "half \ud83d<turn|>" in checked(g4local("prompt", "-", stdin=line).stdout)["prompt"]


def test_ids_are_those_that_run_processes(g4local: Run) -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
    printed = checked(g4local("prompt", "-", "--model", "demo", "--ids", stdin=line).stdout)
    assert printed["prompt"] == "<bos><|turn>user\nhello<turn|>\n<|turn>model\n"
    used = the_object(g4local("run", "demo", "hello", "--json", *GREEDY))["usage"]["prompt"]
    assert len(printed["ids"]) == used


def test_a_line_that_is_no_prompt_is_named(g4local: Run) -> None:
    for line in (
        "{",
        "[]",
        "[" * 100_000,
        '{"messages": 5}',
        '{"messages": [{"role": "x"}]}',
        '{"messages": [], "variant": "huge"}',
        '{"messages": [], "tools": [1]}',
        '{"messages": [], "tools": "clock"}',
        '{"messages": [], "enable_thinking": "false"}',
    ):
        assert "Line 1" in told(g4local("prompt", "-", stdin=line), 2)


def test_doctor_finds_a_machine_that_can_compute(g4local: Run) -> None:
    facts = json.loads(g4local("doctor", "--json").stdout)
    assert facts["error"] is None
    assert facts["threads"] >= 1
    assert isinstance(facts["extra_buffers"], bool)
    assert "llama cpp" in g4local("doctor").stdout


def test_a_header_length_from_the_moon_is_refused(g4local: Run, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(DEMO, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(struct.pack("<Q", 2**63) + weights.read_bytes()[8:])
    told(g4local("convert", str(folder), "-o", str(tmp_path / "x.gguf")), 4)


def test_ctrl_c_while_the_program_is_being_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-m", "g4local", "ls"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_no_command_is_cut_off_in_the_list(g4local: Run) -> None:
    assert "..." not in g4local("--help").stdout.partition("Commands:")[2]


def test_the_built_in_model_needs_no_pull(g4local: Run) -> None:
    assert "built in" in told(g4local("pull", "demo"), 2)
