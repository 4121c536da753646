"""When a reply only repeats itself: small models sometimes say the same few tokens, or open channels, without end."""

from collections.abc import Sequence

LONGEST_PERIOD = 256
"""Tokens of the longest passage that is recognized when it comes again and again."""
REPEATED_TOKENS, REPEATED_TIMES = 400, 6
"""A passage must fill so many tokens, and come so often, word for word and without anything between.

A table's ruler, a row of zeros or a refrain stay below that; nobody reads on after it.
"""
MOST_CHANNELS = 16
"""Channels opened in one reply; one that is meant so opens one, or a few."""

_EVERY = 16
"""Tokens between two looks."""


class LoopGuard:
    """Looks at the end of a reply while it grows."""

    def __init__(self, channel: int | None) -> None:
        """`channel` is the token that opens a channel, if the vocabulary has one."""
        self._channel = channel
        self._channels = 0
        self._said: list[int] = []

    def feed(self, token: int) -> bool:
        """Whether the reply, now with this token, is a loop."""
        self._said.append(token)
        self._channels += token == self._channel
        return self._channels > MOST_CHANNELS or (len(self._said) % _EVERY == 0 and repeats(self._said))


def repeats(tokens: Sequence[int]) -> bool:
    """Whether the tokens end in a passage that was said over and over."""
    longest = min(LONGEST_PERIOD, len(tokens) // REPEATED_TIMES)
    return any(
        tokens[-1] == tokens[-1 - period] and _has_period(tokens, period)
        for period in range(1, longest + 1)
        if max(REPEATED_TOKENS, REPEATED_TIMES * period) <= len(tokens)
    )


def _has_period(tokens: Sequence[int], period: int) -> bool:
    length = max(REPEATED_TOKENS, REPEATED_TIMES * period)
    tail = tokens[-length:]
    return tail[period:] == tail[:-period]
