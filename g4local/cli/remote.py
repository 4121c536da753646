"""`g4local ls --remote`: the models that can be pulled by name, how large they are, and whether they fit here."""

from os import environ
from pathlib import Path
from typing import TYPE_CHECKING

from g4local.backend.engine import LoadOptions
from g4local.cli import output
from g4local.core import files
from g4local.core.messages import Json
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.backend.fit.fitting import Resources
    from g4local.inventory import Offer

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
    contexts = [f"{context:,}" for context in _CONTEXTS]
    heads, told = ("MODEL", "SIZE", *contexts, "DISK", "HERE"), " and ".join(contexts)
    output.note(f"Memory by tokens of context ({told}), and whether it is there now:")
    output.table(heads, [_cells(row) for row in rows if row["kind"] == "model"])
    output.note("~: as g4local itself would quantize it.")


def _rows() -> list[dict[str, Json]]:
    from g4local import inventory, planner

    there = planner.resources()
    places = paths(environ)
    free = files.free(places.models)
    return [
        _row(offer, there) | {"here": offer.is_here, "disk": _has_room(offer, free)}
        for offer in inventory.offers(places)
    ]


def _has_room(offer: "Offer", free: int) -> bool | None:
    """Whether the disk takes a file, unless it has it; None for one whose size nobody knows."""
    if offer.is_here:
        return True
    return offer.nbytes < free if offer.nbytes else None


def _row(offer: "Offer", there: "Resources") -> dict[str, Json]:
    from g4local import inventory, planner

    entry, fits = offer.entry, dict[str, Json]()
    if entry.kind == "model":
        candidate = planner.of_size(offer.size.name, offer.recipe)
        for context in _CONTEXTS:
            result = inventory.fit(candidate, LoadOptions(Path(), context=context), there)
            fits[str(context)] = {"bytes": result.need.total, "fits": result.verdict}
    return {
        "name": offer.name,
        "kind": entry.kind,
        "quant": entry.quant or None,
        "repo": entry.repo,
        "file": entry.file,
        "bytes": offer.nbytes or None,
        "exact": offer.is_exact,
        "sha256_begins": entry.sha256 or None,
        "template": entry.template,
        "context": offer.size.context,
        "licence": offer.size.licence,
        "memory": fits,
    }


def _cells(row: dict[str, Json]) -> list[str]:
    """A line of the table."""
    nbytes, memory = row["bytes"], row["memory"]
    assert isinstance(nbytes, int) and isinstance(memory, dict)
    cells = [str(row["name"]), ("" if row["exact"] else "~") + output.human_bytes(nbytes)]
    for need in memory.values():
        assert isinstance(need, dict) and isinstance(need["bytes"], int)
        cells.append(f"{output.human_bytes(need['bytes'])} {need['fits']}")
    return [*cells, "?" if row["disk"] is None else "yes" if row["disk"] else "no", "yes" if row["here"] else ""]
