"""Text that comes piece by piece, broken between words at a width.

A break is a newline in place of the spaces there, so what is copied from the screen has no space that was not said.
Of Markdown it knows what a break would spoil: code between fences, and the rows of tables.
"""

import re
from unicodedata import category

from rich.cells import cell_len, get_character_cell_size

_STEPS = re.compile(r"\n|[ \t]+|[^\n \t]+")
_OPENING = re.compile(r"[ \t>]*(`{3,}(?=[^`]*$)|~{3,})")
"""The beginning of a line after which code comes."""
_TAB = 8
_MOST = 200
"""Characters of a line that tell what it is."""
_NEVER_FIRST = ("Pe", "Pf", "Po", "Lm", "Mn", "Me", "Sk", "Cf")
_NEVER_LAST = ("Ps", "Pi", "Cf")
"""Unicode's categories of characters that a line does not begin or end with: brackets, stops, marks, joiners."""


class Wrapper:
    """One text on its way to a screen; a word is kept back until its end is known.

    Words longer than a line stay whole, so that a link can be followed.
    """

    def __init__(self) -> None:
        self.column = 0
        """Cells that are taken of the line."""
        self._gap = ""
        self._word = ""
        """What is kept back: spaces, and what follows them."""
        self._is_long = False
        """Whether the beginning of this word is shown already, since no line would hold it."""
        self._line = ""
        """What the text, not the screen, has of the line."""
        self._fence = ""
        """What opened the code that this is."""

    def feed(self, text: str, width: int | None) -> str:
        """What is shown now, on a screen of so many cells a line; None: nothing is broken or kept back."""
        return "".join(self._fed(step, width) for step in _STEPS.findall(text))

    def rest(self, width: int | None) -> str:
        """What was kept back; something else is shown then, or nothing."""
        shown = self._placed(width)
        self._gap, self._is_long = "", False
        return shown

    def _fed(self, step: str, width: int | None) -> str:
        if step == "\n":
            return self._ended(width)
        if len(self._line) < _MOST:
            self._line += step
        if width is None or self._fence or self._line.lstrip().startswith("|"):
            gap = "" if self._word else self._gap
            shown = self._placed(width) + self._shown(gap + step)
            self._gap = ""
            return shown
        if step.isspace():
            shown = self._placed(width)
            self._gap, self._is_long = self._gap + step, False
            return shown
        if self._is_long:
            return self._shown(step)
        *words, last = _words(self._word + step)
        shown = ""
        for self._word in words:
            shown += self._placed(width)
        self._word = last
        self._is_long = cell_len(last) > width
        return shown + self._placed(width) if self._is_long else shown

    def _ended(self, width: int | None) -> str:
        """The end of the line, and what is known then of the next one."""
        shown = self.rest(width) + "\n"
        if not self._fence:
            opening = _OPENING.match(self._line)
            self._fence = opening[1] if opening else ""
        elif (end := self._line.strip(" \t>")).startswith(self._fence) and not end.strip(self._fence[0]):
            self._fence = ""
        self._line, self.column = "", 0
        return shown

    def _placed(self, width: int | None) -> str:
        """The word that was kept back, on this line or on the next one."""
        if not self._word:
            return ""
        gap, word = self._gap, self._word
        self._gap = self._word = ""
        if width is None or not self.column or self.column + _cells(gap + word, self.column) <= width:
            return self._shown(gap + word)
        self.column = 0
        return "\n" + self._shown(word)

    def _shown(self, text: str) -> str:
        self.column += _cells(text, self.column)
        return text


def _cells(text: str, column: int) -> int:
    """How many cells a text without newlines takes from there on."""
    over = column % _TAB
    return cell_len((" " * over + text).expandtabs(_TAB)) - over


def _words(text: str) -> list[str]:
    """A text without spaces, cut where a line may end: before and behind wide characters."""
    if text.isascii():
        return [text]
    cuts = [place for place in range(1, len(text)) if _may_part(text[place - 1], text[place])]
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def _may_part(left: str, right: str) -> bool:
    is_wide = 2 in (get_character_cell_size(left), get_character_cell_size(right))
    return is_wide and category(right) not in _NEVER_FIRST and category(left) not in _NEVER_LAST
