"""Prompts as the chat layer would render them, and what comes of them."""

import random
from collections.abc import Iterable

from g4local.backend.engine import Completion, Piece, Sampling
from g4local.core.prompt import Segment

GREEDY = Sampling(temperature=0)
LONG_ANSWER = Sampling(temperature=50.0, top_p=1.0, top_k=0, seed=5)
"""Says anything, so that an end token comes late."""


def special(name: str) -> Segment:
    return Segment(name, special=True)


def chat(*turns: str) -> list[Segment]:
    """A prompt: questions and answers in turn, the last one a question."""
    segments = [special("<bos>")]
    for index, text in enumerate(turns):
        segments += [special("<|turn>"), Segment(("user\n", "model\n")[index % 2] + text), special("<turn|>")]
        segments.append(Segment("\n"))
    return [*segments, special("<|turn>"), Segment("model\n", restorable=True)]


def words(seed: int, count: int) -> str:
    """Text that says nothing; about three tokens a word."""
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefghijklmnop", k=rng.randint(1, 5))) for _ in range(count))


def ids(said: Iterable[Piece | Completion]) -> list[int]:
    return [item.token for item in said if isinstance(item, Piece)]


def text(said: Iterable[Piece | Completion]) -> str:
    return "".join(item.text for item in said if isinstance(item, Piece))


def completion(said: list[Piece | Completion]) -> Completion:
    assert isinstance(said[-1], Completion)
    assert not any(isinstance(item, Completion) for item in said[:-1])
    return said[-1]
