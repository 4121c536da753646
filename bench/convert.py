"""One pass against llama.cpp's two tools: `python -m bench.convert FOLDER`, by an environment with torch.

Makes a checkpoint of E2B's full size and one of two of the 26B-A4B's layers in FOLDER, converts each to Q4_K_M both
ways, says whether the data are the same bytes, and prints tables in Markdown. Checkpoints stay for the next run, GGUFs
do not.
"""

import argparse
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from bench import checkpoint, process
from bench.process import Usage
from g4convert import gguf
from g4convert.recipes import RECIPES
from tests import checkpoints, sdist

RECIPE = "Q4_K_M"
_PIECE = 1 << 24
_ROWS: tuple[tuple[str, Callable[[Usage], float], bool], ...] = (
    ("wall time, s", lambda usage: usage.wall, True),
    ("CPU time, s", lambda usage: usage.cpu, True),
    ("peak anonymous memory, MB", lambda usage: usage.anonymous / 1e6, False),
    ("peak memory with mapped files, MB", lambda usage: usage.resident / 1e6, False),
    ("read from the disk, MB", lambda usage: usage.read / 1e6, True),
    ("written, MB", lambda usage: usage.written / 1e6, True),
)
"""What a row of a table says, where it is in a Usage, and whether two tools' figures add up (peaks do not)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--tiny", action="store_true", help="tiny checkpoints, to see that the bench works")
    parser.add_argument("--make", action="store_true", help="make the checkpoints and measure nothing")
    given = parser.parse_args()
    folder: Path = given.folder
    print(f"{os.cpu_count()} cores, llama-cpp-python {version(sdist.PACKAGE)}\n", flush=True)
    if not given.tiny and not given.make:
        _note("warming up")
        compared(_TINY["tiny ple"](folder / "tiny-ple"), folder)
    for name, write in (_TINY if given.tiny else _FULL).items():
        _note(f"{name}: making the checkpoint")
        model = write(folder / name.replace(" ", "-"))
        if not given.make:
            print(f"### {name}\n\n{compared(model, folder)}\n", flush=True)


_FULL: dict[str, Callable[[Path], Path]] = {
    "E2B": lambda folder: checkpoint.write(folder, "e2b"),
    "two layers of 26B-A4B": lambda folder: checkpoint.write(folder, "26b-a4b", layers=2),
}
_TINY: dict[str, Callable[[Path], Path]] = {
    "tiny ple": lambda folder: checkpoints.write(folder, checkpoints.make("ple")),
    "tiny moe": lambda folder: checkpoints.write(folder, checkpoints.make("moe")),
}


def compared(model: Path, folder: Path) -> str:
    """Convert a checkpoint both ways, each beginning with nothing of it in the page cache; the table."""
    whole, theirs, ours = (folder / f"{kind}.gguf" for kind in ("whole", "theirs", "ours"))
    try:
        _forget(model)
        _note("llama.cpp: convert")
        converting = process.run(*_converter(model, whole))
        _note("llama.cpp: quantize")
        quantizing = process.run(_quantizer(whole, theirs))
        whole.unlink()
        _forget(model)
        _note("g4local")
        own = process.run(_ours(model, ours))
        _note("comparing")
        same = "the same bytes" if _data_is_equal(theirs, ours) else "NOT THE SAME BYTES"
        return _table(converting, quantizing, own) + f"\n\nThe file has {ours.stat().st_size / 1e6:,.0f} MB; {same}."
    finally:
        for path in (whole, theirs, ours):
            path.unlink(missing_ok=True)


def _converter(model: Path, target: Path) -> tuple[list[str], dict[str, str]]:
    script = sdist.unpacked() / sdist.CONVERTER
    command = [sys.executable, str(script), str(model), "--outtype", "bf16", "--outfile", str(target)]
    return command, {**os.environ, "HF_HUB_OFFLINE": "1"}


def _quantizer(source: Path, target: Path) -> list[str]:
    numbers = [str(RECIPES[RECIPE].file_type), str(os.cpu_count())]
    return [sys.executable, "-m", "bench.quantize", str(source), str(target), *numbers]


def _ours(model: Path, target: Path) -> list[str]:
    program = "from g4local.cli import main; main()"
    return [sys.executable, "-c", program, "convert", str(model), "-o", str(target), "--quant", RECIPE, "--force"]


def _forget(model: Path) -> None:
    """Put a checkpoint out of the page cache."""
    for path in model.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _data_is_equal(one: Path, other: Path) -> bool:
    """Whether two GGUFs have the same tensors; keys may differ."""
    first, second = gguf.read(one, longest=0), gguf.read(other, longest=0)
    if first.tensors != second.tensors:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        left.seek(first.data_start)
        right.seek(second.data_start)
        while (piece := left.read(_PIECE)) == right.read(_PIECE):
            if not piece:
                return True
    return False


def _table(converting: Usage, quantizing: Usage, own: Usage) -> str:
    lines = [
        "| | convert_hf_to_gguf.py | llama_model_quantize | both | g4local | ratio |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, figure, adds_up in _ROWS:
        parts = figure(converting), figure(quantizing)
        both, mine = sum(parts) if adds_up else max(parts), figure(own)
        cells = (*(f"{number:,.1f}" for number in (*parts, both, mine)), f"{mine / both:.2f}" if both else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
