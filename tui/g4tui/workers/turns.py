"""What is done with the conversation, in threads: turns, loads, and jobs between them; what happens is posted."""

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import closing
from threading import Event as Wish
from threading import Lock

from textual.message import Message
from textual.message_pump import MessagePump

from g4local.chat.contents import Contents
from g4local.chat.conversation import Conversation
from g4local.chat.room import Change
from g4local.core.errors import G4Error
from g4local.core.events import Event, TextDelta, ThoughtDelta
from g4local.core.messages import ToolCall
from g4local.core.progress import Progress, Report, silent
from g4local.opening.approval import Answer, Ask
from g4local.opening.request import Request
from g4local.store.branches import Branch
from g4tui.talk import Opened, Talk

Begin = Callable[[Conversation, Report, Wish], Generator[Event, None, None]]
"""Begins a turn: a question, the last one again, or what was not answered yet."""


class Postbox:
    """Events on their way from a turn's thread to the screen, which takes as many as there are when it has time."""

    def __init__(self, screen: MessagePump) -> None:
        self._screen = screen
        self._lock = Lock()
        self._events: list[Event] = []

    def add(self, event: Event) -> None:
        """Add an event; the screen is told unless it was told already and has not looked since."""
        with self._lock:
            self._events.append(event)
            is_first = len(self._events) == 1
        if is_first:
            self._screen.post_message(TurnAdvanced(self))

    def take(self) -> list[Event]:
        """What has happened since the last look."""
        with self._lock:
            events, self._events = self._events, []
        return events


class TurnAdvanced(Message):
    """Events of the turn wait in the postbox."""

    def __init__(self, postbox: Postbox) -> None:
        super().__init__()
        self.postbox = postbox


class TurnEnded(Message):
    """The turn is over; its last events may still be in the postbox."""

    def __init__(self, postbox: Postbox, error: G4Error | None, session: str | None) -> None:
        super().__init__()
        self.postbox = postbox
        self.error = error
        self.session = session


class ApprovalWanted(Message):
    """The turn waits for the person to say whether a tool may run."""

    def __init__(self, call: ToolCall, answer: "Future[Answer]") -> None:
        super().__init__()
        self.call = call
        self.answer = answer


class Advanced(Message):
    """A job has come so far; of several that wait, the last one counts."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def can_replace(self, message: Message) -> bool:
        """Take the place of an older one that nobody has seen yet."""
        return isinstance(message, Advanced)


class ConversationOpened(Message):
    """Another conversation is ready for questions."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self.opened = opened


class OpeningFailed(Message):
    """No conversation is open."""

    def __init__(self, error: G4Error, request: Request) -> None:
        super().__init__()
        self.error = error
        self.request = request


class WarnedOf(Message):
    """Something that the person should know."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Measured(Message):
    """What the context is filled with now, and the bytes that the model's process holds."""

    def __init__(self, contents: Contents, memory: int | None) -> None:
        super().__init__()
        self.contents = contents
        self.memory = memory


class BranchesFound(Message):
    """Which questions have other versions, by their places among the questions: which one this is, and of how many."""

    def __init__(self, versions: Mapping[int, Branch]) -> None:
        super().__init__()
        self.versions = versions


class HistoryChanged(Message):
    """The history is another one."""

    def __init__(self, *, note: str = "", question: str = "", ask: bool = False) -> None:
        super().__init__()
        self.note = note
        """What has happened to it."""
        self.question = question
        """A question that was taken out of it."""
        self.ask = ask
        """Whether that is to be asked now; else it is there to be changed."""


class JobDone(Message):
    """A job between two turns was done."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self.told = told


class JobFailed(Message):
    """What was asked for was not done."""

    def __init__(self, error: G4Error) -> None:
        super().__init__()
        self.error = error


def merged(events: list[Event]) -> list[Event]:
    """The events with neighbouring pieces of an answer, or of a thought, as one event."""
    result: list[Event] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            result[-1] = TextDelta(last.text + event.text)
        elif isinstance(event, ThoughtDelta) and isinstance(last, ThoughtDelta):
            result[-1] = ThoughtDelta(last.text + event.text)
        else:
            result.append(event)
    return result


def open_conversation(screen: MessagePump, talk: Talk, request: Request, carried: bool, cancel: Wish) -> None:
    """Open a conversation and load its model; `carried`: with what was said in the last one."""
    try:
        opened = talk.open(request, carried, reporter(screen), cancel, lambda text: _post(screen, WarnedOf(text)))
    except G4Error as error:
        screen.post_message(OpeningFailed(error, request))
    else:
        screen.post_message(ConversationOpened(opened))


def run_turn(screen: MessagePump, talk: Talk, begin: Begin, cancel: Wish) -> None:
    """Run a turn to its end, also one that is cancelled."""
    postbox = Postbox(screen)
    failure: G4Error | None = None
    try:
        with talk.held(cancel) as conversation, closing(begin(conversation, reporter(screen), cancel)) as events:
            for event in events:
                postbox.add(event)
    except G4Error as error:
        failure = error
    screen.post_message(TurnEnded(postbox, failure, talk.session))


def measure(screen: MessagePump, talk: Talk, cancel: Wish) -> None:
    """Look at the context and at the branches, and let the model read ahead; what can't be known is not told."""
    try:
        with talk.held(cancel) as conversation:
            screen.post_message(BranchesFound(_versions(conversation)))
        screen.post_message(Measured(talk.contents(silent, cancel), talk.memory))
        with talk.held(cancel) as conversation:
            conversation.read_ahead()
    except G4Error:
        return


def _versions(talk: Conversation) -> dict[int, Branch]:
    questions = [index for index, message in enumerate(talk.messages) if message.role == "user"]
    branches = talk.branches()
    return {number: branches[index] for number, index in enumerate(questions) if index in branches}


def make_room(screen: MessagePump, change: Callable[[Report, Wish], Change], cancel: Wish) -> None:
    """Shorten the history by `Talk.lighter` or `Talk.summarised`."""

    def made() -> Message:
        made = change(reporter(screen), cancel)
        told = f"{made.before:,} tokens became {made.after:,}."
        return HistoryChanged(note=f"Summary: {made.summary}\n\n{told}" if made.summary else told)

    run_job(screen, made)


def change(screen: MessagePump, talk: Talk, do: Callable[[Conversation], Message], cancel: Wish) -> None:
    """Do something with the conversation between two turns."""

    def done() -> Message:
        with talk.held(cancel) as conversation:
            return do(conversation)

    run_job(screen, done)


def run_job(screen: MessagePump, job: Callable[[], Message]) -> None:
    """Post what comes of a job, or why nothing does."""
    try:
        screen.post_message(job())
    except G4Error as error:
        screen.post_message(JobFailed(error))


def asker(screen: MessagePump) -> Ask:
    """Asks the person on the screen; whoever stops the turn has to answer, too."""

    def ask(call: ToolCall) -> Answer:
        answer: Future[Answer] = Future()
        screen.post_message(ApprovalWanted(call, answer))
        return answer.result()

    return ask


def reporter(screen: MessagePump) -> Report:
    """A Report that posts."""
    return lambda progress: _post(screen, Advanced(progress))


def _post(screen: MessagePump, message: Message) -> None:
    screen.post_message(message)
