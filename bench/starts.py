"""How long commands take that need no model: `python -m bench.starts`.

Each is started in turn with the others, so that what else the machine does meets all alike. With `--other FOLDER` the
same commands of another copy of the sources are started in between; the ratio is this copy's processor time to its.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

ROOT = Path(__file__).parent.parent
COMMANDS = ("--version", "--help", "ls", "ls --json", "du", "show MODEL", "sessions ls", "tools ls", "run --help")


def measured(sources: Path, words: Sequence[str], home: Path) -> tuple[float, float]:
    """Seconds that pass until a command has ended, and seconds of the processor's; RuntimeError when it fails."""
    places = os.pathsep.join(str(sources / folder) for folder in ("", "converters", "tui"))
    environment = {**os.environ, "G4LOCAL_HOME": str(home), "PYTHONPATH": places}
    nowhere = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    command = [sys.executable, "-P", "-m", "g4local", *words]
    began = perf_counter()
    child = os.posix_spawn(command[0], command, environment, file_actions=nowhere)
    _, status, usage = os.wait4(child, 0)
    seconds = perf_counter() - began
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}.")
    return seconds, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="demo", help="what `show` is asked for; demo")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--models", type=Path, help="a folder with GGUFs for `ls` to list; none")
    parser.add_argument("--other", type=Path, help="another copy of the sources")
    given = parser.parse_args()
    copies = [ROOT, *([given.other.absolute()] if given.other else [])]
    commands = [line.replace("MODEL", given.model) for line in COMMANDS]
    took: dict[tuple[str, Path], list[tuple[float, float]]] = {(line, copy): [] for line in commands for copy in copies}
    with TemporaryDirectory() as home:
        if given.models:
            Path(home, "models").symlink_to(given.models.absolute())
        for line, copy in took:
            measured(copy, line.split(), Path(home))
        for _ in range(given.rounds):
            for (line, copy), found in took.items():
                found.append(measured(copy, line.split(), Path(home)))
    heads = [name for copy in copies for name in (("ms", "processor") if copy is ROOT else ("other", "processor"))]
    print(f"{'':16}" + "".join(f"{head:>12}" for head in heads) + ("       ratio" if given.other else ""))
    for line in commands:
        times = [median(each[which] for each in took[line, copy]) for copy in copies for which in (0, 1)]
        ratio = f"{times[1] / times[3]:12.2f}" if given.other else ""
        print(f"{line:16}" + "".join(f"{1000 * seconds:12.0f}" for seconds in times) + ratio)


if __name__ == "__main__":
    main()
