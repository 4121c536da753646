"""Odd surroundings: pipes that end, streams that are closed or full, homes that can't be, damaged caches."""

import fcntl
import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from g4local.core.messages import Message
from tests.cli.conftest import PROGRAM, Run, last_session
from tests.cli.test_commands import told
from tests.outputs import checked

DEMO = Path(__file__).parents[2] / "g4local" / "demo"
COMMAND = shlex.join(PROGRAM)


def shell(line: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `g4` is the program; its exit code is that of the program, also in a pipe."""
    script = f'set -o pipefail; g4() {{ {COMMAND} "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=120, check=False
    )


def test_a_reader_that_has_enough_is_no_error(environment: dict[str, str]) -> None:
    finished = shell("g4 ls | true", environment)
    assert finished.returncode == 141
    assert finished.stderr == ""
    finished = shell("g4 run demo hi --stream-json --temp 0 -n 20 | head -1", environment)
    assert finished.stderr == ""
    assert checked(finished.stdout) == {"type": "turn_started"}


@pytest.mark.parametrize(
    "line", ["g4 ls", "g4 ls --json", "g4 run demo hi -n 3 --temp 0", "g4 run demo hi --json -n 3"]
)
def test_a_full_device_is_told_in_one_sentence(line: str, environment: dict[str, str]) -> None:
    finished = shell(f"{line} > /dev/full", environment)
    assert finished.returncode == 1
    assert [each.split(":")[0] for each in finished.stderr.splitlines()][-2:] == ["error", "hint"]
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("g4 ls >&-", 1),
        ("g4 run demo hi -n 3 --temp 0 >&-", 1),
        ("g4 run demo hi -n 3 --temp 0 --json >&-", 1),
        ("g4 quants >&-", 1),
        ("g4 run demo hi -n 3 --temp 0 2>&-", 6),
        ("g4 run demo hi -n 3 --temp 0 <&-", 6),
        ("g4 chat demo <&-", 0),
        ("g4 prompt - <&-", 2),
    ],
)
def test_a_closed_stream_is_no_traceback(line: str, code: int, environment: dict[str, str]) -> None:
    finished = shell(line, environment)
    assert "Traceback" not in finished.stderr
    assert finished.returncode == code


@pytest.mark.parametrize(
    "typed", ['"""What is\\ng4local?\\n"""\\n', '"""What is\\ng4local?', '"""\\nWhat is\\ng4local?\\n']
)
def test_a_block_that_is_open_at_the_end_of_a_pipe_is_asked(typed: str, environment: dict[str, str]) -> None:
    finished = shell(f"printf {shlex.quote(typed)} | g4 chat demo --temp 0 -n 20", environment)
    assert finished.stdout, finished.stderr
    assert last_session(environment)[0] == Message("user", "What is\ng4local?")
    assert ("ends within a block" in finished.stderr) == (typed.count('"""') == 1)


def test_what_is_not_utf_8_on_stdin_is_replaced(environment: dict[str, str]) -> None:
    strict = {**environment, "PYTHONIOENCODING": "utf-8:strict"}
    for line in (
        "printf 'caf\\xff\\n' | g4 chat demo -n 3 --temp 0",
        "printf 'caf\\xff\\n' | g4 run demo -n 99 --temp 0",
    ):
        finished = shell(line, strict)
        assert "Traceback" not in finished.stderr
        assert finished.stdout


def test_json_survives_a_terminal_that_is_not_utf_8(environment: dict[str, str]) -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "nöpe漢"}]})
    finished = shell(f"echo {shlex.quote(line)} | g4 prompt -", {**environment, "PYTHONIOENCODING": "latin-1"})
    assert "nöpe漢" in checked(finished.stdout)["prompt"]


@pytest.mark.parametrize("home", ["/dev/null/home", "~nobody-here/home"])
def test_a_home_that_can_not_be_is_one_sentence(home: str, environment: dict[str, str]) -> None:
    finished = shell("g4 run demo hi --json -n 3", {**environment, "G4LOCAL_HOME": home})
    assert finished.returncode in (1, 2)
    assert "Traceback" not in finished.stderr
    assert checked(finished.stdout)["error"]["hint"]


def test_a_checkpoint_that_can_not_be_converted_for_a_comparison_is_one_sentence(environment: dict[str, str]) -> None:
    line = f"g4 compare demo demo {__file__}"
    told(shell(line, {**environment, "G4LOCAL_HOME": "/etc/passwd"}), 1)


@pytest.mark.parametrize("kilobytes", [8, 2000])
@pytest.mark.parametrize(
    "line", ["g4 run demo hi", "g4 run demo hi --json", "g4 chat demo", f"g4 convert {DEMO} --no-mmproj -o x.gguf"]
)
def test_a_conversion_that_the_disk_does_not_take_is_one_sentence_and_nothing_is_left(
    kilobytes: int, line: str, environment: dict[str, str], tmp_path: Path
) -> None:
    finished = shell(
        f"cd {tmp_path}; ulimit -f {kilobytes}; {line} | cat",
        {**environment, "G4LOCAL_HOME": str(tmp_path / "home")},
    )
    assert finished.returncode == 1 and "Traceback" not in finished.stderr
    if "--json" in line:
        assert "can't be written" in checked(finished.stdout)["error"]["message"]
    else:
        assert "can't be written" in finished.stderr and "hint:" in finished.stderr
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".gguf", ".part"))]


@pytest.mark.parametrize(
    ("variable", "line"),
    [
        ("G4LOCAL_SNAPSHOT_BYTES", "g4 run demo hi -n 3"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "g4 pull owner/repo"),
        ("HF_HUB_ETAG_TIMEOUT", "g4 pull owner/repo"),
    ],
)
@pytest.mark.parametrize("value", ["nonsense", "9" * 5000])
def test_a_variable_that_should_be_a_number_and_is_none_is_told(
    variable: str, line: str, value: str, environment: dict[str, str]
) -> None:
    told(shell(line, {**environment, variable: value}), 2)


@pytest.mark.parametrize(
    "line", ["g4 run demo hi -n 3", "g4 run demo hi --schema '{}'", "g4 bench demo -r 1 -n 4 -p 8"]
)
def test_where_no_more_files_can_be_opened_a_process_that_can_not_be_started_is_told(
    line: str, environment: dict[str, str]
) -> None:
    assert shell("g4 run demo hi -n 1", environment).returncode == 6
    told(shell(f"ulimit -n 9; {line}", environment), 1)


def test_a_start_probe_nested_beyond_reason_is_made_again(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    for name in ("start-probe.json", "tuning.json"):
        (tmp_path / "cache" / name).write_text("[" * 100_000)
    finished = shell("g4 run demo hi -n 3 --temp 0", {**environment, "G4LOCAL_HOME": str(tmp_path)})
    assert finished.returncode == 6 and "Traceback" not in finished.stderr
    assert "extra_buffers" in json.loads((tmp_path / "cache" / "start-probe.json").read_text())


def test_odd_things_in_the_models_folder_are_passed_over_or_called_what_they_are(
    environment: dict[str, str], tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "gone.gguf").symlink_to(tmp_path / "nowhere")
    (models / "folder.gguf").mkdir()
    (models / "broken.gguf").write_bytes(b"GGUF")
    (models / "demo.gguf").write_bytes(b"GGUF")
    os.mkfifo(models / "pipe.gguf")
    finished = shell("g4 ls --json", {**environment, "G4LOCAL_HOME": str(tmp_path)})
    listed = {entry["name"]: entry["quant"] for entry in checked(finished.stdout)["models"]}
    unreadable = {"broken": "unreadable", "demo.gguf": "unreadable"}
    assert listed == {"demo": "Q8_0", "gone": "not there now", **unreadable}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pipe_in_place_of_a_file_does_not_hang(name: str, g4local: Run, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for file in DEMO.iterdir():
        if file.is_file() and file.name != name:
            (folder / file.name).symlink_to(file)
    os.mkfifo(folder / name)
    assert g4local("convert", str(folder), "-o", str(tmp_path / "x.gguf")).returncode == 4


def test_a_file_name_that_is_not_utf_8_is_no_traceback(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    copied = f"cp -r '{DEMO}' {folder} && touch {folder}/$'x\\xff.json'"
    finished = shell(f"{copied} && g4 run {folder} hi -n 2 --temp 0", environment)
    assert finished.returncode in (0, 6), finished.stderr


def test_a_damaged_conversion_is_made_again(environment: dict[str, str], tmp_path: Path) -> None:
    own = {**environment, "G4LOCAL_HOME": str(tmp_path)}
    assert shell("g4 run demo hi -n 2 --temp 0", own).returncode in (0, 6)
    (converted,) = (tmp_path / "cache" / "converted").iterdir()
    whole = converted.read_bytes()
    for damaged in (b"", whole[:1000], whole[:-5000]):
        converted.write_bytes(damaged)
        assert shell("g4 run demo hi -n 2 --temp 0", own).returncode in (0, 6)
        assert converted.read_bytes() == whole


def test_what_a_killed_conversion_left_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    own = {**environment, "G4LOCAL_HOME": str(tmp_path)}
    (tmp_path / "models").mkdir()
    part = tmp_path / "models" / "big.gguf.part"
    part.write_bytes(b"GGUF")
    assert str(part) in shell("g4 ls", own).stderr
    with part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert shell("g4 ls", own).stderr == ""


def test_two_processes_convert_the_same_checkpoint_once(environment: dict[str, str], tmp_path: Path) -> None:
    own = {**environment, "G4LOCAL_HOME": str(tmp_path)}
    line = "g4 show demo >/dev/null & first=$!; g4 show demo >/dev/null; second=$?; wait $first && exit $second"
    finished = shell(line, own)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert [file.suffix for file in (tmp_path / "cache" / "converted").iterdir()] == [".gguf"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_conversion_that_is_ended_leaves_nothing_behind(
    number: signal.Signals, environment: dict[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "model.gguf"
    process = subprocess.Popen(
        [*PROGRAM, "convert", str(DEMO), "-o", str(target), "-q", "Q4_K_M"], env=environment, stderr=subprocess.PIPE
    )
    while process.poll() is None and not list(tmp_path.iterdir()):
        time.sleep(0.001)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130}.get(number, 128 + number)
    assert list(tmp_path.iterdir()) == []
