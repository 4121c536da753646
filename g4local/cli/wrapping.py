"""Text that comes piece by piece, broken between words at a width.

A break is a newline in place of the spaces there, so what is copied from the screen has no space that was not said.
Of Markdown it knows what a break would spoil: code between fences or backticks, and the rows of tables.
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


def wrapped(text: str, width: int | None) -> str:
    """A whole text for a screen of so many cells a line; None breaks nothing."""
    wrapper = Wrapper()
    return wrapper.feed(text, width) + wrapper.rest(width)


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
        self._end = ""
        """The last character of it."""
        self._is_code = False
        """Whether a backtick has opened code that is a part of this line."""
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
        if step.isspace() and not self._is_code:
            shown = self._placed(width)
            self._gap, self._is_long = self._gap + step, False
            return shown
        return self._grown(step, width)

    def _grown(self, step: str, width: int) -> str:
        """More of a word, or of code within the line; what is known of it is shown then."""
        kept = self._end if self._is_long else self._word
        words = _words(kept + step, self._is_code ^ _has_odd_ticks(kept))
        self._is_code ^= _has_odd_ticks(step)
        shown = ""
        if self._is_long:
            shown = self._shown(words.pop(0)[len(kept) :])
            self._is_long = not words
            self._end = step[-1]
        if words:
            for self._word in words[:-1]:
                shown += self._placed(width)
            self._word, self._end = words[-1], words[-1][-1]
            self._is_long = cell_len(self._word) > width
        return shown + self._placed(width) if self._is_long else shown

    def _ended(self, width: int | None) -> str:
        """The end of the line, and what is known then of the next one."""
        shown = self.rest(width) + "\n"
        if not self._fence:
            opening = _OPENING.match(self._line)
            self._fence = opening[1] if opening else ""
        elif (end := self._line.strip(" \t>")).startswith(self._fence) and not end.strip(self._fence[0]):
            self._fence = ""
        self._line, self.column, self._is_code = "", 0, False
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


def _words(text: str, is_code: bool) -> list[str]:
    """A word, cut where a line may end: before and behind wide characters, but not in code, as which it may begin."""
    cuts = [0]
    for place in range(1, len(text)):
        is_code ^= text[place - 1] == "`"
        if not is_code and _may_part(text[place - 1], text[place]):
            cuts.append(place)
    return [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _has_odd_ticks(text: str) -> bool:
    return text.count("`") % 2 == 1


def _may_part(left: str, right: str) -> bool:
    is_wide = 2 in (get_character_cell_size(left), get_character_cell_size(right))
    return is_wide and category(right) not in _NEVER_FIRST and category(left) not in _NEVER_LAST
