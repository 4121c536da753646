"""What bench.constraint says of its measurements, and that it runs."""

import subprocess
import sys
from pathlib import Path
from threading import Event

from bench import constraint
from bench.constraint import Answer
from g4convert.convert import Options, convert
from g4local.core.progress import silent
from tests.conftest import ROOT


def test_a_table_tells_the_cost_of_a_token_and_the_share_of_refused_ones() -> None:
    free = Answer(tokens=11, first=0.1, rest=1.0, masks=())
    held = Answer(tokens=6, first=0.5, rest=0.55, masks=(0.002, 0.001, 0.003))
    assert constraint.table({"free": [free, free], "held": [held, held]}).splitlines()[2:] == [
        "| free | 10.0 | +0.0 % | 0.0% |  | 0.10 s |",
        "| held | 9.1 | +10.0 % | 50.0% | 2.00 ms | 0.50 s |",
    ]


def test_the_bench_runs(tmp_path: Path) -> None:
    model = tmp_path / "demo.gguf"
    convert(ROOT / "g4local" / "demo", model, "Q4_K_M", silent, Event(), Options(threads=1))
    command = [sys.executable, "-m", "bench.constraint", str(model), "--answer", "8", "--rounds", "1", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines()[4:]] == list(constraint.FORMS)
