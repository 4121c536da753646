"""What is done with the conversation, one thing at a time: what is asked for meanwhile stops it, and comes next."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Event as Wish

from g4local.opening.approval import Answer

Errand = Callable[[Wish], None]
"""Takes a while, in a thread; the Event asks it to end."""


class Errands:
    """What runs, and what comes next."""

    def __init__(self, start: Callable[[Callable[[], None]], object]) -> None:
        """`start` runs a function in a thread."""
        self.is_busy = False
        """Whether something is done that the person waits for."""
        self._start = start
        self._cancel = Wish()
        self._next: Errand | None = None
        self._questions: dict[str, Future[Answer]] = {}
        """Questions to the person that what runs waits for, by the ids of the calls that they are about."""

    def do(self, errand: Errand) -> None:
        """Do this, as soon as what runs has been stopped."""
        if self.is_busy:
            self._next = errand
            self.stop()
        else:
            self._begin(errand)
            self.is_busy = True

    def do_aside(self, errand: Errand) -> None:
        """Do this while nobody waits; whatever the person asks for stops it."""
        if not self.is_busy:
            self._begin(errand)

    def done(self) -> bool:
        """What was done is over; whether something comes next, which has begun."""
        self.is_busy = False
        errand, self._next = self._next, None
        if errand:
            self.do(errand)
        return errand is not None

    def stop(self) -> None:
        """Stop what runs; a question that it waits for is answered with no."""
        self._cancel.set()
        for answer in self._questions.values():
            answer.set_result("no")
        self._questions.clear()

    def ask(self, call: str, answer: "Future[Answer]") -> bool:
        """Keep a question about a call; whether it is to be asked: what is being stopped gets a no."""
        if self._cancel.is_set():
            answer.set_result("no")
            return False
        self._questions[call] = answer
        return True

    def answer(self, call: str, answer: Answer) -> None:
        """Answer a question, unless that was done."""
        if question := self._questions.pop(call, None):
            question.set_result(answer)

    def _begin(self, errand: Errand) -> None:
        self._cancel.set()
        cancel = self._cancel = Wish()
        self._start(lambda: errand(cancel))
