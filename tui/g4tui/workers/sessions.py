"""What is done with the kept sessions, in threads; each opens the store for itself, for a moment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import environ
from pathlib import Path
from threading import Event as Wish

from textual.message import Message
from textual.message_pump import MessagePump

from g4local.core.errors import G4Error
from g4local.core.messages import Message as Said
from g4local.forgetting import forget
from g4local.settings import paths
from g4local.store import transcript, upkeep
from g4local.store.store import Store
from g4local.store.values import Session
from g4tui.export import write
from g4tui.kept import Found

_MOST = 500
"""Sessions that are listed; the search finds the others."""
_MOST_HITS = 200
"""Messages that a search looks at."""


class SessionsFound(Message):
    """The sessions that there are, or those in which words were found."""

    def __init__(self, words: str, found: Sequence[Found], count: int) -> None:
        super().__init__()
        self.words = words
        self.found = found
        self.count = count
        """How many sessions there are in all."""


class SessionRead(Message):
    """What was said in a session."""

    def __init__(self, session: str, messages: Sequence[Said]) -> None:
        super().__init__()
        self.session = session
        self.messages = messages


class SessionsChanged(Message):
    """Something about the sessions is different now."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self.told = told


class SessionsFailed(Message):
    """Something could not be done."""

    def __init__(self, error: G4Error) -> None:
        super().__init__()
        self.error = error


def find(screen: MessagePump, words: str, cancel: Wish) -> None:
    """Post the sessions in which the words are, the best first; all of them, forks below their origins, for none."""

    def found() -> Message:
        with _store() as store:
            if store is None:
                return SessionsFound(words, (), 0)
            chosen = _searched(store, words) if words.strip() else _nested(store.sessions(_MOST))
            return SessionsFound(words, chosen, store.count())

    _post(screen, found, cancel)


def read(screen: MessagePump, session: str, cancel: Wish) -> None:
    """Post what was said in a session."""

    def read() -> Message:
        with _store() as store:
            messages = transcript.read(store, store.find(session)).messages if store else []
            return SessionRead(session, messages)

    _post(screen, read, cancel)


def rename(screen: MessagePump, session: str, title: str, cancel: Wish) -> None:
    """Give a session another title."""
    _change(screen, lambda store: f"It is called {upkeep.rename(store, store.find(session), title)!r} now.", cancel)


def fork(screen: MessagePump, session: str, cancel: Wish) -> None:
    """Begin a session as this one is."""
    _change(screen, lambda store: f"Session {upkeep.fork(store, store.find(session), None)} begins like it.", cancel)


def export(screen: MessagePump, session: str, file: str, cancel: Wish) -> None:
    """Write a session to a new file, in the form that its name ends in."""
    _change(screen, lambda store: f"Written to {write(store, session, Path(file))}.", cancel)


def remove(sessions: Sequence[str]) -> None:
    """Remove sessions for good, those of them that are still there."""
    with _store() as store:
        if store is not None:
            there = [each for each in store.sessions() if each.id in sessions]
            forget(store, there, paths(environ))


def _change(screen: MessagePump, do: Callable[[Store], str], cancel: Wish) -> None:
    def done() -> Message:
        with _store() as store:
            return SessionsChanged(do(store) if store else "There is no session yet.")

    _post(screen, done, cancel)


def _post(screen: MessagePump, job: Callable[[], Message], cancel: Wish) -> None:
    try:
        message = job()
    except G4Error as error:
        message = SessionsFailed(error)
    if not cancel.is_set():
        screen.post_message(message)


@contextmanager
def _store() -> Iterator[Store | None]:
    """The store; None where nothing was ever kept."""
    path = paths(environ).sessions
    if not path.exists():
        yield None
        return
    with Store(path) as store:
        yield store


def _searched(store: Store, words: str) -> list[Found]:
    """The sessions with the best messages, each once."""
    found: dict[str, Found] = {}
    for hit in upkeep.search(store, words, _MOST_HITS):
        if hit.session not in found:
            found[hit.session] = Found(store.find(hit.session), hit.snippet)
    return list(found.values())


def _nested(sessions: Sequence[Session]) -> list[Found]:
    """The sessions with their forks below them."""
    there = {session.id for session in sessions}
    below: dict[str | None, list[Session]] = {}
    for session in sessions:
        origin = session.forked_from if session.forked_from in there else None
        below.setdefault(origin, []).append(session)

    def listed(origin: str | None, depth: int) -> Iterator[Found]:
        for session in below.get(origin, ()):
            yield Found(session, depth=depth)
            yield from listed(session.id, depth + 1)

    return list(listed(None, 0))
