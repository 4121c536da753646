"""The bench of starts runs, and says when a command fails."""

import sys
from pathlib import Path

import pytest

from bench import starts


def test_each_command_has_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(starts, "COMMANDS", ("--version", "ls"))
    monkeypatch.setattr(sys, "argv", ["starts", "--rounds", "1", "--other", str(starts.ROOT)])
    starts.main()
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["ms", "processor", "other", "processor", "ratio"]
    assert [line.split()[0] for line in lines] == ["--version", "ls"]
    assert all(float(number) > 0 for line in lines for number in line.split()[1:])


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="teleport ended with 2"):
        starts.measured(starts.ROOT, ["teleport"], tmp_path)
