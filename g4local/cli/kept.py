"""The conversations that are kept, as commands name them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import environ
from typing import TYPE_CHECKING

from g4local.core.errors import UsageError
from g4local.settings import paths

if TYPE_CHECKING:
    from g4local.store.store import Store
    from g4local.store.values import Session


@contextmanager
def opened() -> Iterator["Store"]:
    """The store; UsageError where there is none yet."""
    from g4local.store.store import Store

    path = paths(environ).sessions
    if not path.exists():
        raise UsageError("There is no session yet.", "g4local chat demo begins one.")
    with Store(path) as store:
        yield store


def named(store: "Store", names: Sequence[str] | None) -> list["Session"]:
    """The sessions of these ids; UsageError where one is not there, or none is named."""
    if not names:
        raise UsageError("No session is named.", "`g4local sessions ls` lists them.")
    return [store.find(name) for name in names]
