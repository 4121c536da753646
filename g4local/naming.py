"""What was pulled or converted, by the name that it was pulled under: `26b`, `e2b:q8_0`, `OWNER/REPO:q8_0`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from g4local import pins
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
    if found := next(_meant(there, wanted), None):
        return models / found.name
    return _converted(wanted.known, wanted.quant or "", models) if wanted.known else None


def _meant(there: Sequence[Pin], wanted: Reference) -> Iterator[Pin]:
    """Those that a reference means, the one to take first."""
    if wanted.known:
        for entry in wanted.known.models:
            of_size = (pin for pin in there if (pin.size, pin.quant) == (wanted.known.name, entry.quant))
            yield from of_size if entry.is_called(wanted.quant) else ()
        return
    for pin in there:
        is_called = wanted.quant is None or wanted.quant.upper() == pin.quant
        if pin.repo == wanted.repo and is_called and wanted.file in (None, pin.path, Path(pin.path).name):
            yield pin


def _converted(size: Known, quant: str, models: Path) -> Path | None:
    """A GGUF that has the name of a size, as `pull --from-checkpoint` and `convert` name it."""
    from g4convert.gguf import architecture

    begin = f"{size.model}-{quant}".lower()
    for path in sorted(models.glob("*.gguf")):
        is_called = path.stem.lower() == begin or (not quant and path.stem.lower().startswith(begin))
        if is_called and path.is_file() and architecture(path) not in (foreign.TOWERS, foreign.DRAFTER):
            return path
    return None
