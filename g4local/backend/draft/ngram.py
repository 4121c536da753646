"""Drafts without a model: what followed when the last few tokens were said before.

A reply that repeats its prompt (code with a change, a text to be corrected, a list) or itself is foretold well so.
"""

from collections.abc import Sequence

SIZE = 3
"""Tokens that must be the same for what followed them to be a draft; pairs come again too often by chance."""

_TRUST = ((1, 1), (4, 3))
"""How many tokens are drafted while fewer than so many were foretold rightly in a row; later, all that may be."""


class Ngrams:
    """A growing text and an index of its n-grams; adding a token takes the same time however long the text is."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._text: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}
        """Where each n-gram ended when it came last."""
        self._next: int | None = None
        """Where the earlier passage goes on whose words are being said again."""
        self._run = 0
        """Tokens that were foretold rightly without a wrong one, drafted or not."""

    def begin(self, text: Sequence[int]) -> None:
        """Start anew with a text."""
        self._text, self._next, self._run = list(text[:-1]), None, 0
        columns = (self._text[first:] for first in range(self._size))
        self._ends = dict(zip(zip(*columns, strict=False), range(self._size, len(text)), strict=False))
        for token in text[-1:]:
            self.feed(token)

    def feed(self, token: int) -> None:
        """Add a token. A passage is followed as long as it holds; then the last one takes over that ends alike."""
        holds = self._next is not None and self._text[self._next] == token
        self._text.append(token)
        ngram = tuple(self._text[-self._size :])
        before = self._ends.get(ngram)
        if len(ngram) == self._size:
            self._ends[ngram] = len(self._text)
        self._next = self._next + 1 if holds and self._next is not None else before
        self._run = self._run + 1 if holds else 0

    def draft(self, row: int, most: int) -> list[int]:
        """What may come next; nothing when the last few tokens are new.

        The longer it would have been right, the more. The row does not matter here.
        """
        if self._next is None:
            return []
        most = min(most, next((count for run, count in _TRUST if self._run < run), most))
        drafts: list[int] = []
        for place in range(self._next, self._next + most):
            is_said = place < len(self._text)
            drafts.append(self._text[place] if is_said else drafts[place - len(self._text)])
        return drafts
