"""A prompt as the engine takes it: special tokens by name, and text that is only text."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """A special token, or text in which nothing is special.

    Text is never searched for special tokens, so what a user, a file or a tool says can't open a turn or a tool call.
    """

    text: str
    """The special token's name in the vocabulary (`<|turn>`), or plain text."""
    special: bool = False
    """True: exactly one special token."""
    restorable: bool = False
    """True: a later prompt is likely to part from this one here, so the engine should be able to come back to it."""


def joined(segments: Iterable[Segment]) -> str:
    """The prompt as one string, as Google's template would have rendered it."""
    return "".join(segment.text for segment in segments)
