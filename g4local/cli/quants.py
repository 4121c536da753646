"""`g4local quants`: what a model can be quantized to, and how large each size of the family becomes."""

from typing import TYPE_CHECKING

from g4local.cli import options, output
from g4local.core.messages import Json

if TYPE_CHECKING:
    from g4convert.recipes import Recipe

SCHEMA = "g4local.quants/1"
"""The name and version of the object that --json prints."""


def quants(as_json: options.AsJson = False) -> None:
    """List the quants, and how large they make models."""
    from g4convert.recipes import RECIPES
    from g4local import planner

    found = {recipe: {size: planner.bits(size, recipe.name) for size in planner.SIZES} for recipe in RECIPES.values()}
    if as_json:
        output.json_line({"schema": SCHEMA, "quants": [_object(recipe, sizes) for recipe, sizes in found.items()]})
        return
    rows = []
    for recipe, sizes in found.items():
        known = [entry[1] for entry in sizes.values() if entry]
        gigabytes = [f"{entry[0] / 1e9:.1f}" if entry else "-" for entry in sizes.values()]
        rows.append((recipe.name, f"{min(known):.2f}-{max(known):.2f}", *gigabytes, _wish(recipe)))
    output.table(("QUANT", "BITS", *(f"{size.upper()}" for size in planner.SIZES), "IMATRIX"), rows)
    output.note("BITS: for each weight, by size. E2B to 31B: GB of the text model; -: no blocks of it fit the rows.")


def _object(recipe: "Recipe", sizes: dict[str, tuple[int, float] | None]) -> dict[str, Json]:
    known = {size: entry for size, entry in sizes.items() if entry}
    return {
        "name": recipe.name,
        "imatrix": _wish(recipe),
        "bits_per_weight": {size: round(entry[1], 3) for size, entry in known.items()},
        "bytes": {size: entry[0] for size, entry in known.items()},
    }


def _wish(recipe: "Recipe") -> str:
    """Whether an importance matrix is needed, helps, or changes nothing."""
    if recipe.needs_importance:
        return "needed"
    return "helps" if recipe.uses_importance else "unused"
