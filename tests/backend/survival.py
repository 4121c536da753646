"""A program that loads a GGUF again and again, each time with other bytes in it, and tells what became of each load.

`python -m tests.backend.survival FILE`: each line on stdin is a list of [offset, bytes in hex], or null for FILE as it
is then; each line on stdout is "fine", an error, or how the process that loaded it died. FILE is changed and changed
back.
"""

import json
import os
import signal
import sys
from pathlib import Path

from g4local.backend.engine import LoadOptions, Sampling
from g4local.backend.llama import LlamaEngine
from g4local.backend.llamacpp.stop import StopFlag
from g4local.backend.process.child import ended
from g4local.core.errors import G4Error
from g4local.core.progress import silent
from tests.backend.prompts import GREEDY, chat

SECONDS = 30
"""A load that takes longer hangs."""


def main(path: Path) -> None:
    for line in sys.stdin:
        changes = json.loads(line)
        print(loaded_in_a_fork(path) if changes is None else outcome(path, changes), flush=True)


def outcome(path: Path, changes: list[tuple[int, str]]) -> str:
    """What became of a load with these bytes in the file."""
    with path.open("r+b", buffering=0) as file:
        before = [(offset, os.pread(file.fileno(), len(data) // 2, offset)) for offset, data in changes]
        for offset, data in changes:
            os.pwrite(file.fileno(), bytes.fromhex(data), offset)
        told = loaded_in_a_fork(path)
        for offset, original in before:
            os.pwrite(file.fileno(), original, offset)
    return told


def loaded_in_a_fork(path: Path) -> str:
    """Load it and let it answer twice, in a fork of this process, which has imported llama.cpp already."""
    answers, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(answers)
        os.dup2(2, 1)
        signal.alarm(SECONDS)
        os.write(answer, loaded(path).encode())
        os._exit(0)
    os.close(answer)
    with os.fdopen(answers, encoding="utf-8") as words:
        told = words.read()
    _, status = os.waitpid(pid, 0)
    return told or ended(os.waitstatus_to_exitcode(status))


def loaded(path: Path) -> str:
    """Load it here."""
    try:
        options = LoadOptions(path, 256, threads=1, gpu_layers=0, extra_buffers=False, force=True)
        engine = LlamaEngine(options, StopFlag(), silent)
        for sampling in (GREEDY, Sampling(seed=1)):
            list(engine.generate(chat("hello"), sampling, 2, silent))
    except G4Error as error:
        told = f"{type(error).__name__}: {error.message}"
        return "".join(each if each.isprintable() else "⏎" for each in told)
    return "fine"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
