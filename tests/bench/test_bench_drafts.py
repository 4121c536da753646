"""What bench.drafts says of its measurements, and that it runs."""

import subprocess
import sys
from pathlib import Path
from threading import Event

from bench import drafts
from bench.drafts import Run
from g4convert.convert import Options, convert
from g4local.core.progress import silent
from tests.conftest import ROOT


def test_a_table_tells_how_much_faster_answers_are_with_drafts() -> None:
    plain, drafted = [Run(2.0, 0, 0)] * 2, [Run(1.0, 60, 45)] * 2
    assert drafts.table({"code": (plain, drafted)}, 101).splitlines()[2:] == [
        "| code | 50.0 | 100.0 | 2.00 | 60 | 45 |"
    ]


def test_a_table_of_rows_tells_what_a_further_one_costs() -> None:
    assert drafts.table_of_rows({1: 0.1, 4: 0.16}).splitlines()[2:] == [
        "| 1 | 100.0 | 1.00 |  |",
        "| 4 | 160.0 | 1.60 | 0.20 |",
    ]


def test_the_bench_runs(tmp_path: Path) -> None:
    model = tmp_path / "demo.gguf"
    convert(ROOT / "g4local" / "demo", model, "Q4_K_M", silent, Event(), Options(threads=1))
    command = [sys.executable, "-m", "bench.drafts", str(model), "--rounds", "1", "--threads", "1", "--answer", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    lines = [line.split("|") for line in done.stdout.splitlines() if "|" in line][-3:]
    held = {line[1].strip(): int(line[6]) for line in lines}
    assert held["a file with a word changed"] > 30 > held["words of no language"]
