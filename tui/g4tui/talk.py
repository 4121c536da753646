"""The conversation behind the app: one at a time, with one model; its methods wait for each other, in any thread.

It knows no widget; what it has to say while it works goes to the functions that it is given.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from threading import Event as Wish
from threading import RLock

from g4local.backend.client import WorkerEngine
from g4local.backend.engine import EngineInfo
from g4local.backend.host import kernel
from g4local.chat.contents import Contents
from g4local.chat.conversation import Conversation
from g4local.chat.room import Change, Room
from g4local.core.errors import Cancelled, UsageError
from g4local.core.messages import Message
from g4local.core.progress import Report
from g4local.opening.approval import Ask
from g4local.opening.conversation import conversation
from g4local.opening.request import Request
from g4local.tools.tool import Tool

_LOOK_SECONDS = 0.05
"""How late a wish to stop may be seen while another thread has the conversation."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation that is ready for questions."""

    request: Request
    """With what the session knew where nothing was said."""
    info: EngineInfo
    messages: tuple[Message, ...]
    session: str | None
    served: tuple[Tool, ...]
    """The tools of MCP servers, which are there also while the model is not told of them."""


class Talk:
    """A conversation that is opened, used and closed by one thread after another."""

    def __init__(self, ask: Ask) -> None:
        """`ask` is called in the thread of a turn, for tools that no rule allows or denies."""
        self._ask = ask
        self._lock = RLock()
        self._open = ExitStack()
        self._conversation: Conversation | None = None

    def open(
        self, request: Request, carried: bool, report: Report, cancel: Wish, warn: Callable[[str], None]
    ) -> Opened:
        """Close what is open, since two models may be more than the memory holds; open another one and load its model.

        `carried`: what was said goes on with the other model. The errors of `opening.conversation` and `Engine.start`.
        """
        with self._alone(cancel), ExitStack() as stack:
            session, messages = (self.session, self.messages) if carried else (None, ())
            if session and not (request.session or request.go_on):
                request = replace(request, session=session)
            self._end()
            talk, asked = stack.enter_context(conversation(request, report, cancel, ask=self._ask, warn=warn))
            info = talk.load(report, cancel)
            if messages and not talk.messages:
                talk.messages[:] = messages
            self._conversation = talk
            served = tuple(tool for tool in talk.tools if tool.served)
            self._open = stack.pop_all()
            return Opened(asked, info, tuple(talk.messages), talk.session, served)

    def close(self) -> None:
        """Free the model and close the session."""
        with self._lock:
            self._end()

    @contextmanager
    def held(self, cancel: Wish) -> Iterator[Conversation]:
        """The conversation, which no other thread has meanwhile; UsageError where none is open, Cancelled."""
        with self._alone(cancel):
            if self._conversation is None:
                raise UsageError("No model is loaded.", "Choose one on the models screen.")
            yield self._conversation

    @property
    def messages(self) -> Sequence[Message]:
        """What was said so far; none where no conversation is open."""
        return tuple(self._conversation.messages) if self._conversation else ()

    @property
    def session(self) -> str | None:
        """The id of the session that this is kept as."""
        return self._conversation.session if self._conversation else None

    @property
    def memory(self) -> int | None:
        """Bytes that the model's process holds now; None where there is none, or the system does not tell."""
        engine = self._conversation.engine if self._conversation else None
        pid = engine.pid if isinstance(engine, WorkerEngine) else None
        return kernel.memory_now(pid) if pid is not None else None

    def contents(self, report: Report, cancel: Wish) -> Contents:
        """What the next prompt is made of."""
        with self.held(cancel) as talk:
            return Room(talk, report, cancel).contents()

    def lighter(self, report: Report, cancel: Wish) -> Change:
        """Take results of tools, and thoughts of an unfinished turn, out of the history."""
        with self.held(cancel) as talk:
            return self._taken(Room(talk, report, cancel), Room.lighter)

    def summarised(self, report: Report, cancel: Wish) -> Change:
        """Let the model summarise the older turns."""
        with self.held(cancel) as talk:
            return self._taken(Room(talk, report, cancel), Room.summarised)

    def _taken(self, room: Room, change_of: Callable[[Room], Change]) -> Change:
        change = change_of(room)
        room.take(change)
        return change

    @contextmanager
    def _alone(self, cancel: Wish) -> Iterator[None]:
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            if cancel.is_set():
                raise Cancelled("Stopped.")
        try:
            yield
        finally:
            self._lock.release()

    def _end(self) -> None:
        self._conversation = None
        self._open.close()
