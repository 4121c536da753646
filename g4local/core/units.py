"""Sizes and times as people write them."""

import re
from math import inf

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "": 1.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kMGT]?)(i?)B?|)", re.ASCII | re.IGNORECASE)
_MOST_BYTES = 2**63
"""No file is as long."""
_TIME = re.compile(r"([\d.]+)(d|h|ms|m|s|)", re.ASCII)


def human_bytes(count: int) -> str:
    """A size as people write it: 3.4 GB, decimal units as file managers and model pages use them."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def nbytes(text: str) -> int:
    """A size as people write it (500MB, 4 GB, 4GiB; a number alone is bytes); ValueError for anything else."""
    said = _SIZE.fullmatch(text.strip())
    if said is None:
        raise ValueError(f"{text!r} is no size")
    number, prefix, binary = said[1], said[2].lower(), said[3]
    if not prefix and "." in number:
        raise ValueError(f"{text!r} is no whole number of bytes")
    count = float(number) * (1024 if binary else 1000) ** " kmgt".index(prefix or " ")
    if count >= _MOST_BYTES:
        raise ValueError(f"{text!r} is larger than any file")
    return int(count)


def seconds(text: str) -> float:
    """A time as people write it (30s, 5m, 1h30m; a number alone is seconds); ValueError for anything else.

    `forever` and negative numbers are infinite, as Ollama's users know them.
    """
    if text == "forever":
        return inf
    amount = text.removeprefix("-")
    parts = _TIME.findall(amount)
    if not parts or "".join(number + unit for number, unit in parts) != amount:
        raise ValueError(f"{text!r} is no time")
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return inf if total and text != amount else total
