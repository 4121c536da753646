"""How a reply is said: one token after the other, and those that were drafted rightly from one batch."""

from collections import deque

from g4local.backend.draft.drafts import Drafts
from g4local.backend.generation.guide import Guide
from g4local.backend.state.cache import Cache


class Speaker:
    """Says a reply to a prompt that is decoded.

    A batch is the last token and drafts of what follows. Each of its rows gives a token, which the guide samples as it
    would without drafts; while that is the next draft, the next row's logits are right, too.
    """

    def __init__(self, context: int, cache: Cache, guide: Guide, drafts: Drafts | None) -> None:
        self._context = context
        self._cache = cache
        self._guide = guide
        self._drafts = drafts
        self._decoded = len(cache.tokens)
        """Tokens in the cache that are known to be right: the prompt's, and said ones."""
        self._row = -1
        """The row of the last batch that the next token is sampled from."""
        self._open: deque[int] = deque()
        """Drafts of the last batch that are not compared yet."""
        self._drafted, self._held = 0, 0
        self._holds = False
        """Whether the last token was a draft, so that its logits are there already."""

    def say(self) -> int:
        """The next token; the errors of `Guide.sample`."""
        token = self._guide.sample(self._context, self._row)
        self._holds = bool(self._open) and self._open.popleft() == token
        self._held += self._holds
        if self._drafts:
            self._drafts.feed(token)
        return token

    def go_on(self, token: int, most: int) -> bool:
        """Get the logits after the token just said, which at most `most` tokens follow; False when it was stopped."""
        if self._holds:
            self._decoded += 1
            self._row += 1
            return True
        self.settle()
        drafts = self._drafts.draft(self._row, most - 1) if self._drafts else []
        if not self._cache.decode([token, *drafts], logits=1 + len(drafts)):
            return False
        self._decoded += 1
        self._row = 0
        self._open.extend(drafts)
        self._drafted = len(drafts)
        return True

    def settle(self) -> None:
        """Leave in the cache the prompt and what was said, without its last token, as plain decoding does."""
        if self._drafts and self._drafted:
            self._cache.cut(self._decoded)
            self._drafts.tell(self._drafted, self._held)
        self._open.clear()
        self._drafted = self._held = 0
