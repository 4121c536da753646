"""One thing that people ask, in the words they may use."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Intent:
    """What is asked, what is answered, and the wordings that training never sees."""

    name: str
    about: str
    """Completes "This is about ..." in a thought."""
    answers: tuple[str, ...]
    questions: tuple[str, ...] = ()
    """Whole questions, without the mark at the end."""
    tasks: tuple[str, ...] = ()
    """What the user wants to do ("convert a model"), put into the frames of wording.py."""
    unseen: tuple[str, ...] = ()
    """Whole questions for the evaluation only."""
