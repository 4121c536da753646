"""`g4local du` as a process."""

import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.families import Family


def test_a_person_and_a_script_see_the_same(own: Run, family: Family, own_home: Path) -> None:
    models = own_home / "home" / "models"
    models.mkdir(parents=True)
    (models / "link.gguf").symlink_to(family.model)
    (models.parent / "sessions.db").write_bytes(bytes(5_000))
    result = json.loads(own("du", "--json").stdout)
    found = {each["name"]: each for each in result["places"]}
    assert result["schema"] == "g4local.du/1" and result["free_bytes"] > 0
    assert found["models"]["bytes"] == 0 and found["models"]["linked_bytes"] == family.model.stat().st_size
    assert found["sessions"]["bytes"] == 5_000
    assert result["bytes"] == sum(each["bytes"] for each in result["places"])
    done = own("du")
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["models"][-1] == f"{own_home}/home/models" and set(found) | {"WHAT", "together"} == set(rows)
    assert "3.3 MB more lie elsewhere" in done.stderr
