"""Blocks of code in Markdown."""

import re

_RUN = re.compile(r"`+")


def fenced(text: str, language: str = "") -> str:
    """A text as a block of code, behind a fence that is longer than any run of backticks in it, so none closes it."""
    fence = "`" * max(3, 1 + max(map(len, _RUN.findall(text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
