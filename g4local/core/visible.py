"""Texts of others as they may be shown: whatever a model, a file or a server says, it can't steer a terminal."""

_WIDEST = 100
"""Characters of a line that repeats the beginning of a text."""

_KEPT_CONTROLS = "\n\t"
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in _KEPT_CONTROLS}
_PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
_PICTURES |= dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)
_PICTURES |= dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)
"""Halves of characters, which names of files that are no UTF-8 are full of; no terminal takes them."""


def printable(text: str) -> str:
    """The text with every character made visible that steers a terminal, but newline and tab.

    Control characters become pictures (U+2400 and following). Those that turn the order of letters around, and what
    can't be written at all, become U+FFFD.
    """
    return text.translate(_PICTURES)


def in_one_line(text: str) -> str:
    """The text with every control character made visible: a name out of a file can't pass for another line."""
    return printable(text).replace("\n", "␊").replace("\t", "␉")


def shortened(text: str) -> str:
    """The beginning of a text on one line, which may be a cell of a table."""
    words = " ".join(text[: 4 * _WIDEST].split())
    return words if len(words) <= _WIDEST else f"{words[: _WIDEST - 1]}…"
