"""JSON that servers got wrong: halves of surrogate pairs are mended; an answer that can't be read is known as one.

A program writes half a pair (`"\\ud83d"`) where it cuts a text within an emoji. The SDK reads none, and drops it.
"""

import json
import re
from collections.abc import Collection

_LOW = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(
    rb"(?P<unfinished>\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?))?\Z)"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}" + _LOW + rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
_ANSWER = re.compile(rb'"(?:result|error)"\s*:')
_ID = re.compile(rb'"id"\s*:\s*(-?\d+|"[^"]*")')


class Mended:
    """JSON that comes in pieces, with U+FFFD for each escape that is half of a surrogate pair."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, piece: bytes) -> bytes:
        """What is known to be right of all pieces up to this one."""
        data, self._rest = self._rest + piece, b""
        return _ESCAPE.sub(self._escape, data)

    def rest(self) -> bytes:
        """What was held back, as there are no more pieces."""
        return self._rest

    def _escape(self, match: re.Match[bytes]) -> bytes:
        if match["unfinished"] is not None:
            self._rest = match[0]
            return b""
        return rb"\ufffd" if match["lone"] else match[0]


def mended(text: bytes) -> bytes:
    """A whole text, in UTF-8 and without halves of surrogate pairs."""
    pieces = Mended()
    return (pieces.take(text) + pieces.rest()).decode("utf-8", "replace").encode()


def answered(text: bytes, waiting: Collection[int | str]) -> list[int | str]:
    """Which of the requests that wait a text answers that can't be read; all, if it is an answer that names none."""
    if not (text.lstrip().startswith(b"{") and _ANSWER.search(text)):
        return []
    named = set(_ID.findall(text))
    if named:
        return [each for each in waiting if json.dumps(each).encode() in named]
    return list(waiting) if b'"jsonrpc"' in text else []
