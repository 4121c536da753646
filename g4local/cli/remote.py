"""`g4local ls --remote`: the models that can be pulled by name, how large they are, and whether they fit here."""

import shutil
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING

from g4local.cli import output
from g4local.core.files import nearest
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.backend.fit.fitting import Fit, Resources
    from g4local.catalog import Entry, Known

SCHEMA = "g4local.ls.remote/1"
"""The name and version of the object that --json prints."""

_CONTEXTS = (8192, 32768)


def ls_remote(*, as_json: bool, quiet: bool) -> None:
    """Print the catalog; no network is needed for it."""
    from g4local import catalog

    if quiet:
        for name in catalog.names():
            output.line(name)
        return
    rows = list(_rows())
    if as_json:
        output.json_line({"schema": SCHEMA, "models": list[Json](rows)})
        return
    heads = ("MODEL", "SIZE", *(f"{context:,}" for context in _CONTEXTS), "DISK", "HERE")
    output.table(heads, [_cells(row) for row in rows if row["kind"] == "model"])
    output.note("~: as g4local itself would quantize it. By tokens of context: memory, and whether it is there now.")


def _rows() -> list[dict[str, Json]]:
    from g4local import catalog, pins, planner

    there = planner.resources()
    models = paths(environ).models
    pulled = {
        (pin.size, pin.kind, pin.quant) for pin in pins.read(models).values() if pin.size and pins.here(models, pin)
    }
    free = shutil.disk_usage(nearest(models)).free
    return [
        _row(size, entry, there) | {"here": is_here, "disk": is_here or _nbytes(size, entry)[0] < free}
        for size in catalog.catalog().values()
        for entry in size.entries
        for is_here in [(size.name, entry.kind, entry.quant) in pulled]
    ]


def _row(size: "Known", entry: "Entry", there: "Resources") -> dict[str, Json]:
    nbytes, is_exact = _nbytes(size, entry)
    fits: dict[str, Json] = {}
    if entry.kind == "model":
        for context in _CONTEXTS:
            result = _fit(size.name, _recipe(entry), context, there)
            fits[str(context)] = {"bytes": result.need.total, "fits": result.verdict}
    return {
        "name": f"{size.name}:{entry.quant.lower()}" if entry.quant else size.name,
        "kind": entry.kind,
        "quant": entry.quant or None,
        "repo": entry.repo,
        "file": entry.file,
        "bytes": nbytes or None,
        "exact": is_exact,
        "sha256_begins": entry.sha256 or None,
        "template": entry.template,
        "context": size.context,
        "licence": size.licence,
        "memory": fits,
    }


def _nbytes(size: "Known", entry: "Entry") -> tuple[int, bool]:
    """The bytes of a file, and whether they are known; those of a model can be reckoned, others are 0 then."""
    from g4local import planner

    if entry.nbytes is not None or entry.kind != "model":
        return entry.nbytes or 0, entry.nbytes is not None
    reckoned = planner.bits(size.name, _recipe(entry))
    return (reckoned[0] if reckoned else 0), False


def _recipe(entry: "Entry") -> str:
    return entry.quant.removeprefix("QAT-")


def _fit(size: str, recipe: str, context: int, there: "Resources") -> "Fit":
    from g4local import planner
    from g4local.backend.engine import LoadOptions
    from g4local.backend.fit import fitting

    model = planner.of_size(size, recipe).model
    setting = fitting.setting(LoadOptions(Path(size), context=context), model, there)
    return fitting.fit(model, setting, there)


def _cells(row: dict[str, Json]) -> list[str]:
    """A line of the table."""
    nbytes, memory = row["bytes"], row["memory"]
    assert isinstance(nbytes, int) and isinstance(memory, dict)
    cells = [str(row["name"]), ("" if row["exact"] else "~") + output.human_bytes(nbytes)]
    for need in memory.values():
        assert isinstance(need, dict) and isinstance(need["bytes"], int)
        cells.append(f"{output.human_bytes(need['bytes'])} {need['fits']}")
    return [*cells, "yes" if row["disk"] else "no", "yes" if row["here"] else ""]
