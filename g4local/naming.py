"""What was pulled or converted, by the name that it was pulled under: `26b`, `e2b:q8_0`, `OWNER/REPO:q8_0`."""

from collections.abc import Sequence
from pathlib import Path

from g4local import catalog, pins
from g4local.catalog import Known, Reference, reference
from g4local.core import foreign
from g4local.core.errors import ModelNotFound, UsageError
from g4local.pins import Pin

_MODEL = "model"


def pulled(name: str, models: Path) -> Path | None:
    """The GGUF in the models folder that a name leads to; None for a name that was not pulled.

    Of several quants it is the catalog's first; a size that was not pulled may have been converted.
    """
    try:
        wanted = reference(name)
    except (ModelNotFound, UsageError):
        return None
    there = [
        pin for pin in pins.read(models).values() if (pin.kind, pin.part) == (_MODEL, 1) and pins.here(models, pin)
    ]
    if found := next(iter(_meant(there, wanted)), None):
        return models / found.name
    return _converted(wanted.known, wanted.quant or "", models) if wanted.known else None


def _meant(there: Sequence[Pin], wanted: Reference) -> list[Pin]:
    """Those that a reference means, the one to take first."""
    return _of_size(there, wanted.known, wanted.quant) if wanted.known else _of_repository(there, wanted)


def _of_size(there: Sequence[Pin], size: Known, quant: str | None) -> list[Pin]:
    """Those of a size: called just so before called so among others, in the catalog's order, pulled before made."""
    order = [entry.quant for entry in size.models]
    meant = [pin for pin in there if pin.size == size.name and catalog.is_called(pin.quant, quant)]

    def place(pin: Pin) -> tuple[bool, int, bool]:
        known = order.index(pin.quant) if pin.quant in order else len(order)
        return pin.quant != (quant or "").upper(), known, not pin.path

    return sorted(meant, key=place)


def _of_repository(there: Sequence[Pin], wanted: Reference) -> list[Pin]:
    """Those of a repository: of the revision that was named, and of any where none was; what was asked for so first."""
    asked = (wanted.quant or "").upper()
    meant = [
        pin
        for pin in there
        if pin.repo == wanted.repo
        and (not asked or pin.quant == asked)
        and wanted.revision in (None, pin.revision)
        and wanted.file in (None, pin.path, Path(pin.path).name)
    ]
    return sorted(meant, key=lambda pin: (pin.revision != (wanted.revision or ""), pin.asked != asked))


def _converted(size: Known, quant: str, models: Path) -> Path | None:
    """A GGUF that has the name of a size, as `pull --from-checkpoint` and `convert` name it."""
    from g4convert.gguf import architecture

    begin = f"{size.model}-{quant}".lower()
    for path in sorted(models.glob("*.gguf")):
        is_called = path.stem.lower() == begin or (not quant and path.stem.lower().startswith(begin))
        if is_called and path.is_file() and architecture(path) not in (foreign.TOWERS, foreign.DRAFTER):
            return path
    return None
