"""Sessions that go for good, with all that was kept for them."""

import shutil
from collections.abc import Sequence

from g4local.backend.state.snapshots import SUFFIX
from g4local.settings import Paths
from g4local.store import upkeep
from g4local.store.store import Store
from g4local.store.values import Session
from g4local.tools import permissions


def forget(store: Store, sessions: Sequence[Session], places: Paths, *, keep_snapshots: bool = False) -> list[int]:
    """Remove sessions, their rules, and all snapshots, whose sizes it gives.

    A snapshot holds what was said and not in which session, so those of other sessions go as well. Rules that can't be
    understood are a UsageError before anything is removed.
    """
    permissions.read(places.permissions)
    upkeep.remove(store, sessions)
    if not sessions:
        return []
    permissions.forget(places.permissions, (session.id for session in sessions))
    if keep_snapshots:
        return []
    sizes = [path.stat().st_size for path in places.snapshots.rglob(f"*{SUFFIX}") if path.is_file()]
    shutil.rmtree(places.snapshots, ignore_errors=True)
    return sizes
