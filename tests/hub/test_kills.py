"""A pull that is killed at any moment goes on where it was, and what appears is right."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.hubs import Hub, noise

REPO, NAME = "owner/gemma-tiny-GGUF", "gemma-tiny-Q8_0.gguf"
PROGRAM = (sys.executable, "-c", "from g4local.cli import main; main()")
MOST = 1.1
"""Times the file's bytes that may be sent in all."""


class Pull:
    """`g4local pull` as a process of its own, of one file into a home of its own."""

    def __init__(self, hub: Hub, home: Path) -> None:
        self.target = home / "models" / NAME
        self._home = home
        self._hub = hub
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [*PROGRAM, "pull", f"{REPO}:q8_0"],
            env=self._hub.environment(self._home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return self._process

    def here(self) -> int:
        """Bytes that have come."""
        files = [*self.target.parent.glob("*.part"), self.target]
        return max((file.stat().st_size for file in files if file.exists()), default=0)

    def kill_at(self, nbytes: int) -> None:
        """Start, and kill -9 once that many bytes are here; a process that is done by then is left so."""
        process = self.start()
        while process.poll() is None and self.here() < nbytes:
            time.sleep(0.002)
        process.kill()
        process.communicate()

    def finish(self) -> None:
        process = self.start()
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors

    def end(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def pull(hub: Hub, tmp_path: Path) -> Iterator[Pull]:
    started = Pull(hub, tmp_path / "home")
    yield started
    started.end()


def expect_right(pull: Pull, hub: Hub, content: bytes) -> float:
    """The file is right, nothing else is left, and little was sent twice; how many times the file's bytes were sent."""
    assert hashlib.sha256(pull.target.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert not list(pull.target.parent.glob("*.part"))
    assert hub.sent() <= MOST * len(content)
    return hub.sent() / len(content)


def test_a_pull_that_was_killed_again_and_again_goes_on(hub: Hub, pull: Pull) -> None:
    content = hub.put(REPO, NAME, noise(8_000_000))
    hub.rate(20_000_000)
    for nbytes in sorted(Random(1).sample(range(len(content)), 2)):
        pull.kill_at(nbytes)
        assert not pull.target.exists() or pull.target.read_bytes() == content
    pull.finish()
    expect_right(pull, hub, content)


def test_two_pulls_of_one_file_at_once_bring_it_once(hub: Hub, tmp_path: Path) -> None:
    content = hub.put(REPO, NAME, noise(2_000_000))
    hub.rate(4_000_000)
    pulls = [Pull(hub, tmp_path / "home") for _ in range(2)]
    running = [each.start() for each in pulls]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    expect_right(pulls[0], hub, content)
    assert hub.sent() == len(content)


@pytest.mark.reference
def test_fifty_pulls_of_200_mb_that_are_killed_anywhere_all_end_right(hub: Hub, tmp_path: Path) -> None:
    content = hub.put(REPO, NAME, noise(200_000_000))
    random, most = Random(2), 0.0
    for number in range(50):
        hub.rate(200_000_000)
        pull = Pull(hub, tmp_path / f"home{number}")
        pull.kill_at(random.randrange(len(content)))
        pull.finish()
        most = max(most, expect_right(pull, hub, content))
        pull.target.unlink()
    print(f"50 of 50; at most {most:.4f} times the bytes")


@pytest.mark.reference
def test_one_pull_of_200_mb_that_is_killed_fifty_times_ends_right(hub: Hub, pull: Pull) -> None:
    content = hub.put(REPO, NAME, noise(200_000_000))
    hub.rate(200_000_000)
    for nbytes in sorted(Random(3).sample(range(len(content)), 50)):
        pull.kill_at(nbytes)
    pull.finish()
    print(f"{expect_right(pull, hub, content):.4f} times the bytes")
