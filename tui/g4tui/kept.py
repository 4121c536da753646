"""A kept session as it is listed."""

from dataclasses import dataclass

from g4local.store.values import Session


@dataclass(frozen=True, slots=True)
class Found:
    """A session in the list."""

    session: Session
    snippet: str = ""
    """The words that were looked for, and some around them."""
    depth: int = 0
    """How many sessions of the list it is a fork of a fork of."""
