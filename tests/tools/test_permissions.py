import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from g4local.core.errors import G4Error, UsageError
from g4local.tools.permissions import Rules, forget, hand_on, read, remember


def test_a_rule_can_be_taken_back_where_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "permissions.json"
    places: list[dict[str, Any]] = [{}, {"folder": tmp_path}, {"session": "3f2a"}]
    for place in places:
        remember(file, "clock", "deny", **place)
    remember(file, "calculate", "allow", folder=tmp_path)
    for place in (*places, {"session": "none"}):
        remember(file, "clock", None, **place)
    assert read(file) == Rules({}, {str(tmp_path.resolve()): {"calculate": "allow"}}, {})


def test_without_a_rule_the_person_is_asked(tmp_path: Path) -> None:
    assert read(tmp_path / "missing.json").permission("clock", tmp_path) == "ask"


def test_the_nearest_rule_counts(tmp_path: Path) -> None:
    (tmp_path / "work" / "notes").mkdir(parents=True)
    (tmp_path / "shortcut").symlink_to("work/notes")
    rules = Rules(
        {"clock": "deny", "calculate": "allow"},
        {str(tmp_path / "work"): {"clock": "allow"}, str(tmp_path / "work" / "notes"): {"clock": "ask"}},
        {"s1": {"clock": "allow"}},
    )
    assert rules.permission("clock", tmp_path) == "deny"
    assert rules.permission("clock", tmp_path / "work") == "allow"
    assert rules.permission("clock", tmp_path / "work" / "other") == "allow"
    assert rules.permission("clock", tmp_path / "shortcut") == "ask"
    assert rules.permission("clock", tmp_path / "work-2") == "deny"
    assert rules.permission("clock", tmp_path, "s1") == "allow"
    assert rules.permission("clock", tmp_path, "s2") == "deny"
    assert rules.permission("calculate", tmp_path / "work", "s1") == "allow"


def test_a_home_is_understood_and_an_unknown_one_matches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    rules = Rules(folders={"~/notes": {"clock": "allow"}, "~nobody-here/x": {"clock": "deny"}})
    assert rules.permission("clock", tmp_path / "notes") == "allow"


def test_rules_are_kept_for_people_to_read(tmp_path: Path) -> None:
    file = tmp_path / "config" / "permissions.json"
    remember(file, "run_shell", "deny")
    remember(file, "read_file", "allow", folder=tmp_path)
    remember(file, "clock", "allow", session="s1")
    remember(file, "clock", "ask", session="s1")
    assert json.loads(file.read_text()) == {
        "tools": {"run_shell": "deny"},
        "folders": {os.path.realpath(tmp_path): {"read_file": "allow"}},
        "sessions": {"s1": {"clock": "ask"}},
    }
    assert file.read_text().count("\n") > 5
    forget(file, ["s1", "s2"])
    assert read(file).sessions == {}
    assert read(file).tools == {"run_shell": "deny"}


def test_a_fork_may_do_no_more_than_its_session(tmp_path: Path) -> None:
    file = tmp_path / "permissions.json"
    hand_on(file, "s1", "s2")
    assert not file.exists()
    for tool, rule in (("clock", "deny"), ("calculate", "ask"), ("read_file", "allow")):
        remember(file, tool, rule, session="s1")  # type: ignore[arg-type]
    hand_on(file, "s1", "s2")
    hand_on(file, "s3", "s4")
    assert read(file).sessions["s2"] == {"clock": "deny", "calculate": "ask"}
    assert read(file).sessions.keys() == {"s1", "s2"}


def test_a_folder_with_any_name_is_kept(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b'/"odd\xff\n'))
    folder.mkdir()
    remember(tmp_path / "p.json", "clock", "allow", folder=folder)
    assert read(tmp_path / "p.json").permission("clock", folder) == "allow"


@pytest.mark.parametrize(
    "content",
    [
        "{", "[]", "7", '{"tools": []}', '{"tools": {"clock": "yes"}}', '{"tools": {"clock": ["allow"]}}',
        '{"folder": {}}',
        '{"folders": {"/x": "allow"}}', '{"sessions": {"s": {"clock": 1}}}', '{"folders": {"a\\u0000": {}}}',
        "[" * 100_000, "\xff",
    ],
)  # fmt: skip
def test_a_file_that_can_not_be_understood_is_an_error_and_no_permission(tmp_path: Path, content: str) -> None:
    file = tmp_path / "permissions.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        read(file)
    assert str(file) in caught.value.message and caught.value.hint
    with pytest.raises(UsageError):
        remember(file, "clock", "allow")
    assert file.read_bytes() == content.encode("latin-1")


def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(G4Error, match="can't be written"):
        remember(tmp_path / "file" / "permissions.json", "clock", "allow")


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "permissions.json"
    program = (
        "import sys; from pathlib import Path; from g4local.tools.permissions import remember\n"
        "for i in range(20): remember(Path(sys.argv[1]), f'{sys.argv[2]}-{i}', 'allow')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(file), name], env=environment) for name in ("a", "b")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(read(file).tools) == 40


def test_a_list_is_no_table_of_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text("[]")
    with pytest.raises(UsageError, match="is not what it should be"):
        read(tmp_path / "rules.json")
