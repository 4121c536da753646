"""Files that another program of this machine has downloaded already, in Hugging Face's own cache."""

import os
from pathlib import Path
from threading import Event

from g4local.hub.listing import Remote
from g4local.hub.transfer import Wanted, git_or_sha256


def link(wanted: Wanted, cancel: Event) -> bool:
    """Let the target lead to the file in the cache, if the cache has it and its hash is right.

    The cache stays the owner: when it is emptied, the link leads nowhere, and the file has to be pulled again.
    """
    cached = _cached(wanted.file)
    if cached is None or git_or_sha256(cached, wanted.file, cancel) != wanted.file.digest:
        return False
    fresh = wanted.target.with_name(f".{wanted.target.name}.{os.getpid()}.link")
    try:
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(cached)
        fresh.replace(wanted.target)
    except OSError:  # a file system without links
        return False
    return True


def _cached(file: Remote) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(file.repo, file.path, revision=file.commit)
        if not isinstance(found, str):
            return None
        path = Path(found).resolve()
        return path if path.stat().st_size == file.nbytes else None
    except (OSError, ValueError):  # a cache that can't be read, or a name that it can't have
        return None
