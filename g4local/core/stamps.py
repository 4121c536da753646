"""What was found out of files, remembered for as long as a file keeps its size and its time.

A memo is one file of the cache: {path: [size, time in nanoseconds, what was found]}.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from g4local.core.files import read_json, write_whole

Stamp = list[int | str]
"""A file's size, its time in nanoseconds and what was found."""


def known(files: Sequence[Path], memo: Path) -> dict[Path, str]:
    """What is remembered of files that have the size and the time that they had then."""
    entries = _read(memo)
    return {path: found for path in files if (found := _known(path, entries))}


def remember(found: Mapping[Path, str], memo: Path) -> None:
    """Keep what was found of files as they are; where that can't be, only time is lost."""
    entries = _read(memo)
    with suppress(OSError):
        merged = {**entries, **{str(path.resolve()): [*_stamp(path), each] for path, each in found.items()}}
        if merged != entries:
            write_whole(memo, json.dumps(merged))


def folders(memo: Path) -> set[Path]:
    """The folders of all files of which something was ever found, whether they are still there or not."""
    return {Path(name).parent for name in _read(memo)}


def _known(path: Path, entries: Mapping[str, Stamp]) -> str:
    entry = entries.get(str(path.resolve()))
    return str(entry[2]) if entry and entry[:2] == _stamp(path) else ""


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _read(memo: Path) -> dict[str, Stamp]:
    """What was found before; nothing when the file is missing or broken."""
    entries = read_json(memo)
    if not isinstance(entries, dict):
        return {}
    return {name: entry for name, entry in entries.items() if isinstance(entry, list) and len(entry) == 3}
