"""What the bench says that a command took."""

import sys
from pathlib import Path

import pytest

from bench import process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bench looks into /proc")
MB = 10**6


def test_memory_time_and_written_bytes_are_the_command_s_and_its_children_s(tmp_path: Path) -> None:
    child = (
        "import time; from pathlib import Path; held = bytearray(b'x') * 80_000_000; "
        "Path('file').write_bytes(held[:30_000_000]); stop = time.process_time() + 0.4\n"
        "while time.process_time() < stop: pass"
    )
    program = f"import os, subprocess, sys; os.chdir({str(tmp_path)!r}); held = bytearray(b'x') * 60_000_000; "
    program += f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    usage = process.run([sys.executable, "-c", program])
    assert 140 * MB < usage.anonymous < 260 * MB
    assert usage.resident > usage.anonymous
    assert 0.4 < usage.cpu < 10
    assert usage.wall > 0.4
    assert 30 * MB <= usage.written < 40 * MB


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3:\n.*the reason"):
        process.run([sys.executable, "-c", "import sys; print('the reason', file=sys.stderr); sys.exit(3)"])
