"""How much of a long text is shown before somebody asks for all of it."""

from dataclasses import dataclass

_WIDEST = 200
"""Characters of a line, on average, that are shown."""


@dataclass(frozen=True, slots=True)
class Folded:
    """The beginning of a text."""

    text: str
    left_out: int
    """Lines that are left out."""
    is_cut: bool
    """Whether anything is."""

    @property
    def says(self) -> str:
        """What is left out, for a line of its own."""
        return f"… {self.left_out:,} more lines" if self.left_out else "… more of this line"


def folded(text: str, most: int) -> Folded:
    """At most so many lines of a text, and no more of them than fit on about as many lines of a screen."""
    lines = text.split("\n")
    shown = "\n".join(lines[:most])
    short = shown[: most * _WIDEST]
    left_out = len(lines) - 1 - short.count("\n")
    return Folded(short, left_out, len(short) < len(text))


def height(text: str, width: int) -> int:
    """About how many lines a text takes."""
    return sum(1 + len(line) // max(1, width) for line in text.split("\n"))
