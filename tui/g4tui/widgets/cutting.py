"""Where a Markdown text may be cut: a long answer is shown in parts, so that a fragment costs no more at its end.

Only the beginnings of lines are looked at. A part ends where a block does, in a list between two items of it. Where a
block is longer than a part may be, code goes on in a fence of its own, a table below its headings again.
"""

import re
from dataclasses import dataclass
from typing import Literal

PART = 1500
"""Characters after which a part ends with its block."""
MOST = 4000
"""Characters after which a part ends inside a block of code or a table; after twice as many, anywhere."""

Begin = Literal["block", "item", "fence", "table", "line"]
"""What a part begins with: a block, the next item of a list, more code, more rows, more of a line or paragraph."""

_HELD = 12
"""Characters by which it is known how a line begins."""
_KEPT = 2000
"""Characters of a line that are looked at."""

_FENCE = re.compile(r"(\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)?)(`{3,}(?=[^`]*$)|~{3,})(.*)")
_ITEM = re.compile(r" {0,3}(?:([-*+])|(\d{1,9})([.)]))(?=\s|$)")
_RULE = re.compile(r" {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_DELIMITER = re.compile(r" {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-*:?\s*)+$")


@dataclass(frozen=True, slots=True)
class Fragment:
    """More of a text."""

    said: str
    """As it is in the text."""
    text: str
    """As it is shown."""
    begins: Begin | None = None
    """What a new part begins with; None: it belongs to the part before."""


@dataclass(slots=True)
class _Fence:
    """Code that is open: how it was opened, and by how much it is indented."""

    mark: str
    info: str
    indent: int

    def is_closed_by(self, line: str) -> bool:
        mark = line.strip()
        return len(mark) >= len(self.mark) and set(mark) == {self.mark[0]}


class Cutter:
    """Cuts one text while it is said; whatever the pieces are that it comes in, the parts are the same."""

    def __init__(self) -> None:
        self._held = ""
        self._line = ""
        self._size = 0
        self._after_blank = True
        self._before = ""
        self._fence: _Fence | None = None
        self._list = ""
        self._number = 0
        self._headings = ""
        self._dedent = 0

    def feed(self, text: str) -> list[Fragment]:
        """More of the text; what may still become the beginning of a part is held back."""
        return self._cut(text, is_end=False)

    def rest(self) -> list[Fragment]:
        """What was held back, at the text's end."""
        return self._cut("", is_end=True)

    def _cut(self, text: str, *, is_end: bool) -> list[Fragment]:
        fragments: list[Fragment] = []
        lines = (self._held + text).split("\n")
        self._held = ""
        for piece in (*(f"{line}\n" for line in lines[:-1]), lines[-1]):
            if not is_end and self._must_wait(piece):
                self._held = piece
                break
            while piece:
                room = max(1, 2 * MOST - self._size) if self._line else 2 * MOST
                fragments.append(self._piece(piece[:room]))
                piece = piece[room:]
        return _merged(fragments)

    def _must_wait(self, piece: str) -> bool:
        at_begin = not self._line and (self._size >= PART or self._dedent > 0)
        return at_begin and not piece.endswith("\n") and len(piece) < _HELD + self._dedent

    def _piece(self, piece: str) -> Fragment:
        """A line, or some of one, as it is shown."""
        begin = self._begin_within() if self._line else self._begin_of_line(piece)
        if not self._line:
            self._note_begin(piece, begin)
        shown = piece if self._line else self._dedented(piece, begin)
        self._line = (self._line + piece)[:_KEPT]
        if piece.endswith("\n"):
            self._end_line(self._line.removesuffix("\n"))
            self._line = ""
        fragment = Fragment(piece, self._prefix(begin) + shown, begin)
        self._size = len(fragment.text) + (0 if begin else self._size)
        return fragment

    def _begin_of_line(self, line: str) -> Begin | None:
        """What a new part would begin with at this line; None: none begins here."""
        if self._size < PART or not line.strip():
            return None
        if self._fence:
            return "fence" if self._size >= MOST and not self._fence.is_closed_by(line) else None
        if not line[0].isspace():
            if self._after_blank and not (self._list and _ITEM.match(line)):
                return "block"
            if self._list and _ITEM.match(line) and not _RULE.match(line.rstrip()):
                return "item"
        if self._headings and self._size >= MOST:
            return "table"
        return "line" if self._size >= 2 * MOST else None

    def _begin_within(self) -> Begin | None:
        if self._size < 2 * MOST:
            return None
        return "fence" if self._fence else "line"

    def _prefix(self, begin: Begin | None) -> str:
        """What stands before a part's own text so that it is what it was."""
        if begin == "fence" and self._fence:
            return f"{self._fence.mark}{self._fence.info}\n"
        return self._headings if begin == "table" else ""

    def _note_begin(self, line: str, begin: Begin | None) -> None:
        """Note by how much the lines of a part that began inside a block are indented for that block."""
        indent = len(line) - len(line.lstrip(" "))
        if begin == "fence" and self._fence:
            self._dedent = self._fence.indent
        elif begin == "line":
            self._dedent = indent
        elif begin or (line.strip() and not indent and not self._fence):
            self._dedent = 0

    def _dedented(self, line: str, begin: Begin | None) -> str:
        """The line as it stands in its part; the first item of a part has the number that it had in the whole list."""
        if begin == "item" and (item := _ITEM.match(line)) and item[2]:
            return line.replace(item[2], str(self._number + 1), 1)
        indent = len(line) - len(line.lstrip(" "))
        return line[min(indent, self._dedent) :]

    def _end_line(self, line: str) -> None:
        """Note what a line that is complete means for those after it."""
        if self._fence:
            if self._fence.is_closed_by(line):
                self._fence = None
            self._after_blank = False
            return
        if not line.strip():
            self._after_blank, self._headings, self._before = True, "", ""
            return
        self._note_list(line)
        if _DELIMITER.match(line) and "|" in self._before:
            self._headings = f"{self._before}\n{line}\n"
        fence = _FENCE.match(line)
        if fence and (self._list or not line.startswith("    ")):
            self._fence = _Fence(fence[2], fence[3].strip(), len(fence[1]))
        self._before, self._after_blank = line, False

    def _note_list(self, line: str) -> None:
        item = None if _RULE.match(line) else _ITEM.match(line)
        if item:
            kind = item[1] or item[3]
            number = int(item[2] or 0)
            self._number = self._number + 1 if kind == self._list else number
            self._list = kind
        elif not line[0].isspace() and (self._after_blank or line[0] == "#" or _RULE.match(line)):
            self._list = ""


def _merged(fragments: list[Fragment]) -> list[Fragment]:
    """The fragments with those joined that belong to the same part."""
    merged: list[Fragment] = []
    for fragment in fragments:
        if merged and fragment.begins is None:
            before = merged[-1]
            merged[-1] = Fragment(before.said + fragment.said, before.text + fragment.text, before.begins)
        else:
            merged.append(fragment)
    return merged
