"""Sizes as people write them."""


def human_bytes(count: int) -> str:
    """A size as people write it: 3.4 GB, decimal units as file managers and model pages use them."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
