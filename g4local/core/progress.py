"""How far a long job has come."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A long job's state: `done` of `total` in `unit`, at the stage named."""

    stage: str
    """What is being done now, as a word or two: "convert", "load", "prefill"."""
    done: int
    total: int
    """0 while it is not known."""
    unit: str = ""
    """"bytes", "tokens", "tensors"; empty when done/total is only a fraction."""


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """A Report for callers that show nothing."""
