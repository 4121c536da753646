"""Addresses of servers, as people write them into files and variables."""

from urllib.parse import urlsplit


def is_address(text: str) -> bool:
    """Whether it is one of HTTP with a host, and with a port that can be one if it has any."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in text
    except ValueError:
        return False
