"""`g4local pull` as a process: what it prints, and how it ends."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from g4local.cli import app, output
from g4local.core.errors import UsageError
from g4local.core.progress import Progress
from tests import checkpoints
from tests.backend.processes import wait_until
from tests.cli.conftest import PROGRAM, Finished, Run
from tests.hub_server import Fault
from tests.hubs import Hub, noise
from tests.outputs import checked

REPO, NAME = "owner/gemma-tiny-GGUF", "gemma-tiny-Q8_0.gguf"

Pull = Callable[..., Finished]


@pytest.fixture
def pull(hub: Hub, tmp_path: Path) -> Pull:
    def run(*arguments: str, **environment: str) -> Finished:
        return subprocess.run(
            [*PROGRAM, "pull", *arguments],
            capture_output=True,
            text=True,
            env={**hub.environment(tmp_path / "home"), **environment},
            timeout=60,
            check=False,
        )

    return run


def test_a_script_gets_progress_and_one_object(hub: Hub, pull: Pull, tmp_path: Path) -> None:
    hub.put(REPO, NAME, noise(300_000))
    done = pull(REPO, "--stream-json")
    assert done.returncode == 0 and done.stderr == ""
    *progress, result = map(checked, done.stdout.splitlines())
    assert {each["type"] for each in progress} == {"progress"}
    assert progress[-1] == {"type": "progress", "stage": "download", "done": 300_000, "total": 300_000, "unit": "bytes"}
    (file,) = result["files"]
    assert (result["schema"], file["path"]) == ("g4local.pull/1", str(tmp_path / "home" / "models" / NAME))
    assert [file[key] for key in ("bytes", "quant", "origin", "first")] == [300_000, "Q8_0", "download", True]
    assert result["warnings"] == []
    asked = [each["path"].split("/")[1] for each in hub.log()]
    assert asked == ["api", "owner", "cdn"]


def test_a_person_gets_the_path_and_the_hash(hub: Hub, pull: Pull, tmp_path: Path) -> None:
    hub.put(REPO, NAME, noise(300_000))
    done = pull(f"hf.co/{REPO}:{NAME}")
    assert done.stdout == f"{tmp_path / 'home' / 'models' / NAME}\n"
    assert "300.0 kB, was downloaded" in done.stderr and "sha256 " in done.stderr


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Fault("cdn", flip_at=7), 7, "its hash is"),
        (Fault("api", status=404, headers={"X-Error-Code": "RepoNotFound"}), 3, "The hub has no"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_an_exit_code(
    hub: Hub, pull: Pull, tmp_path: Path, fault: Fault, code: int, words: str
) -> None:
    hub.put(REPO, NAME, noise(300_000))
    hub.faults(fault)
    done = pull(REPO)
    assert done.returncode == code and done.stdout == ""
    assert words in done.stderr and "Traceback" not in done.stderr and "hint: " in done.stderr
    assert not list((tmp_path / "home" / "models").glob("*gguf*"))


def test_ctrl_c_ends_it_at_once_and_keeps_what_came(hub: Hub, tmp_path: Path) -> None:
    hub.put(REPO, NAME, noise(300_000))
    hub.faults(Fault("cdn", times=1, stall_at=100_000, stall_seconds=3600))
    environment = {**hub.environment(tmp_path), "HF_HUB_DOWNLOAD_TIMEOUT": "3600"}
    process = subprocess.Popen([*PROGRAM, "pull", REPO], env=environment, stderr=subprocess.PIPE, text=True)
    while sum(path.stat().st_size for path in (tmp_path / "models").glob("*.part")) < 100_000:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)  # neither the server nor a time limit would end it
    assert process.returncode == 130 and "pull again to go on" in errors
    hub.faults()
    subprocess.run([*PROGRAM, "pull", REPO], env=environment, check=True, capture_output=True)
    assert hub.sent() == 200_000


def test_what_a_killed_conversion_left_can_be_pruned_and_not_what_one_makes_just_now(
    hub: Hub, pull: Pull, tmp_path: Path
) -> None:
    repo, begun = "owner/gemma-tiny-it", tmp_path / "home" / "checkpoints"
    checkpoints.write(hub.root / repo, checkpoints.make("dense"), shards=3)
    hub.faults(Fault("cdn", "00002-of", times=1), Fault("cdn", "00002-of", stall_at=5000, stall_seconds=3600))
    environment = {**hub.environment(tmp_path / "home"), "HF_HUB_DOWNLOAD_TIMEOUT": "3600"}
    convert = (repo, "--from-checkpoint", "-q", "q8_0")

    def prune() -> list[str]:
        command = [*PROGRAM, "prune", "--yes", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return [Path(each["path"]).suffix or Path(each["path"]).name for each in checked(done.stdout)["removed"]]

    with subprocess.Popen([*PROGRAM, "pull", *convert], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            assert wait_until(lambda: bool([*begun.glob("*/.draft")]) and any(begun.rglob("*.part")), 60)
            assert prune() == []
            busy = pull(*convert)
            assert busy.returncode == 1 and "Another process makes a model of this checkpoint." in busy.stderr
        finally:
            process.kill()
    (place,) = begun.iterdir()
    assert (place / ".draft").is_dir()
    assert prune() == [place.name]
    hub.faults()
    assert pull(*convert).returncode == 0 and [*begun.iterdir()] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("e2b:q8_0", "--quant", "q4_0"),
        ("e2b", "--keep"),
        ("e2b", "--from-checkpoint", "--update"),
        ("https://example.org/a/b",),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_asked(arguments: tuple[str, ...], own_home: Path) -> None:
    with pytest.raises(UsageError):
        app(["pull", *arguments], standalone_mode=False)


def test_what_can_be_pulled_is_listed_without_a_network(g4local: Run) -> None:
    entries = json.loads(g4local("ls", "--remote", "--json").stdout)["models"]
    models = {each["name"]: each for each in entries if each["kind"] == "model"}
    e2b = models["e2b:qat-q4_0"]
    assert (e2b["bytes"], e2b["exact"], e2b["here"]) == (3_349_516_256, True, False)
    assert set(e2b["memory"]) == {"8192", "32768"} and e2b["memory"]["8192"]["fits"] in ("yes", "tight", "no")
    assert models["31b:bf16"]["bytes"] > models["31b:q8_0"]["bytes"] > 30_000_000_000
    assert {"mmproj", "drafter"} <= {each["kind"] for each in entries}
    assert {each["disk"] for each in entries if each["bytes"] is None} == {None}
    table = g4local("ls", "--remote").stdout.splitlines()
    assert table[0].split() == ["MODEL", "SIZE", "8,192", "32,768", "DISK", "HERE"]
    assert len(table) == 1 + len(models)


def test_ls_tells_a_download_that_was_stopped_from_a_conversion(g4local: Run, environment: dict[str, str]) -> None:
    models = Path(environment["G4LOCAL_HOME"]) / "models"
    models.mkdir(exist_ok=True)
    part = models / f"x.gguf.{'0' * 16}.part"
    part.write_bytes(b"GG")
    told = g4local("ls").stderr
    part.unlink()
    assert "beginning of a download" in told


def test_the_bar_tells_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(output, "_MOMENT", 0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    with output.Bar() as bar:
        for done in (5_000_000, 6_000_000, 7_000_000):
            bar.report(Progress("download", done, 10_000_000, "bytes"))
            time.sleep(0.15)
    assert re.search(r"7\.0 MB of 10\.0 MB, \d+\.\d MB/s, 0:\d\d left", terminal.getvalue())
