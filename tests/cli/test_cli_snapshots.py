"""What `run` leaves on the disk for a later one to go on from, and the ways to leave nothing."""

import json
from pathlib import Path

import pytest

from g4local.backend.state.snapshots import SUFFIX
from g4local.core.errors import UsageError
from g4local.settings import SNAPSHOT_BYTES, paths, snapshot_bytes
from tests.backend.prompts import words
from tests.cli.conftest import Run

QUESTION = ("run", "demo", "--json", "--seed", "1", "-n", "4", f"What is this? {words(4, 120)}")


def kept(environment: dict[str, str]) -> list[Path]:
    return [path for path in paths(environment).snapshots.rglob(f"*{SUFFIX}") if path.is_file()]


def test_a_question_asked_again_is_not_read_again_unless_nothing_is_to_be_kept(own: Run, own_home: Path) -> None:
    """In a home of its own: a test before may have left snapshots in the one that they share."""
    environment = {"G4LOCAL_HOME": str(own_home / "home")}
    for flags in (("--no-snapshots",), ("--no-save",), ("--raw",)):
        own(*QUESTION, *flags)
        assert not kept(environment)
    first, second = (json.loads(own(*QUESTION).stdout) for _ in range(2))
    assert first["usage"]["reused"] == 0
    assert second["usage"]["reused"] == second["usage"]["prompt"] == first["usage"]["prompt"]
    assert second["text"] == first["text"]

    told = json.loads(own("doctor", "--json").stdout)
    assert told["snapshots"] == str(paths(environment).snapshots)
    assert told["snapshots_limit_bytes"] == SNAPSHOT_BYTES
    assert told["snapshot_files"] == len(kept(environment)) > 0
    assert told["snapshots_bytes"] == sum(path.stat().st_size for path in kept(environment))

    own("sessions", "rm", first["session"])
    assert not paths(environment).snapshots.exists(), "they hold what was said in it"


def test_the_budget_is_a_number_of_bytes() -> None:
    assert snapshot_bytes({}) == snapshot_bytes({"G4LOCAL_SNAPSHOT_BYTES": ""}) == SNAPSHOT_BYTES
    assert snapshot_bytes({"G4LOCAL_SNAPSHOT_BYTES": "0"}) == 0
    for text, nbytes in (("4GB", 4 * 10**9), ("500 mb", 5 * 10**8), ("1.5GiB", 3 << 29), ("4G", 4 * 10**9), ("7B", 7)):
        assert snapshot_bytes({"G4LOCAL_SNAPSHOT_BYTES": text}) == nbytes
    for nonsense in ("-1", "1.5", "²", "GB", "4 XB", "4GB more"):
        with pytest.raises(UsageError, match="G4LOCAL_SNAPSHOT_BYTES"):
            snapshot_bytes({"G4LOCAL_SNAPSHOT_BYTES": nonsense})
