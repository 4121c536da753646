"""A conversation as it is kept on the disk: what was said is there before anybody sees it.

The history of a conversation is compared with what is kept of it, so that whatever happens to it becomes branches of
the session's tree: a question that is taken back or asked again, an answer that did not fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic

from g4local.core.errors import StoreError, UsageError
from g4local.core.events import TurnFinished
from g4local.core.messages import Json, Message
from g4local.store import branches, upkeep
from g4local.store.branches import Branch
from g4local.store.store import Store
from g4local.store.values import Session, Stored

_DRAFT_SECONDS = 0.5
"""How old the kept part of a reply may become while it is being said."""


class Recording:
    """The session of a conversation, begun with its first message.

    A store that fails costs no answer: the conversation goes on without being kept, and `complaint` says so once.
    """

    def __init__(self, path: Path) -> None:
        self.session: str | None = None
        """The session's id; None before the first message, and where nothing can be kept."""
        self.settings: dict[str, Json] = {}
        """What each turn is asked with beside the conversation's options: the model and its file."""
        self._path = path
        self._store: Store | None = None
        self._lost = False
        self._complaint = ""
        self._kept: list[Message] = []
        self._numbers: list[int] = []
        """The messages that are kept, and where."""
        self._asked: Mapping[str, Json] = {}
        self._turn: int | None = None
        self._is_new = False
        """Whether the session began with this turn."""
        self._draft: int | None = None
        self._drafted_at = monotonic()

    def resume(self, name: str | None) -> tuple[Session, list[Message]]:
        """Go on with the session of this id, or with the last one: what is known of it, and its messages.

        UsageError when there is none, StoreError when the store can't be used.
        """
        if not self._path.exists():
            raise UsageError("There is no session to go on with.", "g4local chat demo begins one.")
        store = self._opened()
        session = store.resume(name)
        path = store.path_to(session.head)
        self.session = session.id
        self._asked = session.settings
        self._kept = [each.message for each in path]
        self._numbers = [each.id for each in path]
        return session, list(self._kept)

    def begin(self, settings: Mapping[str, Json]) -> None:
        """A turn begins, which is asked with these settings."""
        self._turn = None
        self._is_new = False
        self._asked = {**self.settings, **settings}

    def keep(
        self,
        messages: Sequence[Message],
        reply: Callable[[], list[Message]] = list,
        finished: TurnFinished | None = None,
    ) -> None:
        """Keep the history as it is now, the reply that is being said, and how the turn ended."""
        if self._lost or (not messages and self.session is None):
            return
        has_changed = messages != self._kept
        is_due = monotonic() - self._drafted_at >= _DRAFT_SECONDS
        said = reply() if is_due and not has_changed and not finished else []
        if not (has_changed or said or finished):
            return
        try:
            self._write(messages, said, finished)
        except StoreError as error:
            self._lost = True
            self._complaint = f"This conversation is not saved from here on: {error.message}"

    def refuse(self, messages: Sequence[Message]) -> None:
        """The turn's question did not fit and was taken back: a session that began with it has never been."""
        if self._is_new and self.session is not None:
            try:
                upkeep.remove(self._opened(), [self._opened().find(self.session)])
            except (StoreError, UsageError):  # it stays, empty, and nobody goes on with it
                return
            self.start_anew()
        else:
            self.keep(messages)

    def branches(self) -> dict[int, Branch]:
        """Where the history is one of several, by the places of its messages; StoreError."""
        return branches.branches(self._tree(), self._numbers)

    def turn_to(self, index: int, step: int) -> list[Message]:
        """Go over to the branch so many steps beside this message; its messages.

        UsageError where there is none, StoreError.
        """
        end = (
            branches.end_of_neighbour(self._tree(), self._numbers, index, step) if index < len(self._numbers) else None
        )
        if end is None or self.session is None:
            raise UsageError("There is no other branch.", "An edited question, or one that is asked again, makes one.")
        store = self._opened()
        with store.writing():
            store.move_head(self.session, end)
        path = store.path_to(end)
        self._kept = [each.message for each in path]
        self._numbers = [each.id for each in path]
        self._turn = None
        return list(self._kept)

    def _tree(self) -> Sequence[Stored]:
        return self._opened().tree(self._opened().find(self.session)) if self.session else ()

    def complaint(self) -> str:
        """Why nothing more is kept; empty when it is, or when that was told."""
        complaint, self._complaint = self._complaint, ""
        return complaint

    def start_anew(self) -> None:
        """The conversation begins again: what is said next is another session."""
        self.session = self._turn = self._draft = None
        self._kept, self._numbers = [], []
        self._lost = False

    def close(self) -> None:
        """Close the store."""
        if self._store:
            self._store.close()

    def _opened(self) -> Store:
        if self._store is None:
            self._store = Store(self._path)
        return self._store

    def _write(self, messages: Sequence[Message], said: Sequence[Message], finished: TurnFinished | None) -> None:
        """One transaction; what is remembered of it changes only when it has succeeded."""
        store = self._opened()
        same = _common(messages, self._kept)
        numbers = self._numbers[:same]
        draft, is_new = self._draft, self._is_new or self.session is None
        with store.writing():
            session = self.session or store.start(_first_words(messages))
            turn = self._turn
            if turn is None and (finished or said or messages[same:]):
                turn = store.begin_turn(self._asked)
            for message in messages[same:]:
                numbers.append(store.append(session, numbers[-1] if numbers else None, message, turn=turn))
            if draft is not None and not said:
                store.drop_draft(draft)
                draft = None
            if said:
                draft = store.keep_draft(draft, session, numbers[-1], turn, said)
            else:
                store.move_head(session, numbers[-1] if numbers else None)
            if finished and turn is not None:
                store.end_turn(turn, asdict(finished))
        self.session, self._turn, self._draft, self._is_new = session, turn, draft, is_new
        self._kept, self._numbers = list(messages), numbers
        self._drafted_at = monotonic()


def _common(messages: Sequence[Message], kept: Sequence[Message]) -> int:
    """How many messages both begin with."""
    for index, (now, then) in enumerate(zip(messages, kept, strict=False)):
        if now is not then and now != then:
            return index
    return min(len(messages), len(kept))


def _first_words(messages: Sequence[Message]) -> str:
    return next((message.text for message in messages if message.role == "user"), "")
