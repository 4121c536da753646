"""`g4local pack` and `g4local unpack` as processes, one of which is killed."""

import json
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from threading import Event

from g4local import packing
from g4local.core.progress import silent
from g4local.packing import Wish
from g4local.settings import paths
from tests.cli.conftest import PROGRAM, Run
from tests.cli.test_commands import told
from tests.families import Family


def test_a_model_is_carried_from_one_home_to_another_and_runs_there(g4local: Run, own: Run, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    packed = g4local("pack", "demo", str(stick), "--json")
    assert packed.returncode == 0
    result = json.loads(packed.stdout)
    (file,) = result["files"]
    assert (result["schema"], result["model"]) == ("g4local.packed/1", "demo-Q8_0")
    assert (file["path"], file["bytes"], len(file["sha256"])) == (f"{stick}/demo-Q8_0.gguf", result["bytes"], 64)
    (unpacked,) = json.loads(own("unpack", str(stick), "--json").stdout)["files"]
    assert unpacked == {**file, "path": f"{tmp_path}/home/models/demo-Q8_0.gguf", "was_here": False}
    assert own("run", "demo-Q8_0", "hello", "-n", "3", "--temp", "0", "--no-save").returncode == 6


def test_a_person_gets_the_paths_and_the_way_on(own: Run, family: Family, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    done = own("pack", str(family.model), str(stick))
    assert done.stdout.splitlines() == [f"{stick}/{name}.gguf" for name in "acb"]
    assert done.stderr == f"11.3 MB of a; `g4local unpack {stick}` takes it elsewhere.\n"
    assert "holds a pack already" in told(own("pack", str(family.model), str(stick)), 2)
    done = own("unpack", str(stick))
    assert done.stdout.splitlines() == [f"{tmp_path}/home/models/{name}.gguf" for name in "acb"]
    assert "a.gguf, 3.3 MB, is here now, its hash is right" in done.stderr
    with (stick / "b.gguf").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    (tmp_path / "home" / "models" / "b.gguf").unlink()
    assert "is not what was packed" in told(own("unpack", str(stick)), 4)
    assert "holds no pack" in told(own("unpack", str(tmp_path)), 3)


def test_a_disk_that_takes_no_more_is_one_sentence_and_nothing_is_left(
    environment: dict[str, str], family: Family, tmp_path: Path
) -> None:
    limit = 5_000_000
    done = subprocess.run(
        [*PROGRAM, "pack", str(family.model), str(tmp_path / "stick")],
        capture_output=True,
        text=True,
        env=environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        check=False,
    )
    assert "File too large" in told(done, 1) and "exFAT" not in done.stderr
    assert not (tmp_path / "stick").exists()


def test_ctrl_c_ends_a_copy_and_leaves_nothing(environment: dict[str, str], family: Family, tmp_path: Path) -> None:
    large = Path(shutil.copy(family.model, tmp_path / "large.gguf"))
    with large.open("r+b") as file:
        file.truncate(400_000_000)
    process = subprocess.Popen(
        [*PROGRAM, "pack", str(large), str(tmp_path / "stick")], env=environment, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (tmp_path / "stick" / "large.gguf.part").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "error: Stopped.\nhint: Nothing is left of it.\n")
    assert not (tmp_path / "stick").exists()


def test_one_that_is_killed_shows_no_half_and_the_next_one_does_it(
    own: Run, environment: dict[str, str], family: Family, tmp_path: Path
) -> None:
    stick, models = tmp_path / "stick", tmp_path / "home" / "models"
    packing.pack(Wish(str(family.model)), stick, paths(environment), silent, Event())
    process = subprocess.Popen(
        [*PROGRAM, "unpack", str(stick)], env={**environment, "G4LOCAL_HOME": str(tmp_path / "home")}
    )
    while process.poll() is None and not list(models.glob("*.part")):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for path in models.glob("*.gguf"):
        assert path.read_bytes() == (stick / path.name).read_bytes()
    assert own("unpack", str(stick)).returncode == 0
    assert sorted(path.name for path in models.iterdir() if "pulled" not in path.name) == ["a.gguf", "b.gguf", "c.gguf"]
