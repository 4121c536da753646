"""A turn of a session, asked again as it was asked then: the same history, settings and seed.

No tool is run: each call gets the result that it got then.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from g4local.backend.engine import Constraint, Sampling
from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.core.errors import UsageError
from g4local.core.messages import Json, Message, ToolCall
from g4local.core.progress import Report
from g4local.opening import offering
from g4local.opening.conversation import engine
from g4local.opening.request import Request
from g4local.store.store import Store
from g4local.store.values import Stored, Turn
from g4local.tools.registry import available
from g4local.tools.tool import ToolError

_OPTIONS = ("system", "thinking", "max_tokens", "think_budget", "loop_guard", "max_rounds")


@dataclass(frozen=True, slots=True)
class Replay:
    """A turn as it was."""

    session: str
    request: Request
    """Its model and its tools."""
    file: str
    """The model's file then."""
    options: ConversationOptions
    tools: Sequence[str]
    """The tools that were on offer, in order."""
    before: Sequence[Message]
    """What had been said."""
    said: Sequence[Message]
    """What the turn added."""
    was_stopped: bool
    """Whether the user stopped it, so that it might have gone on."""

    def is_repeated_by(self, messages: Sequence[Message]) -> bool:
        """Whether a conversation that was gone on with says the same."""
        added = messages[len(self.before) :]
        if self.was_stopped:
            return "".join(map(_words, added)).startswith("".join(map(_words, self.said)))
        return list(added) == list(self.said)


def find(path: Path, name: str | None, number: int | None) -> Replay:
    """The turn that said the message of this number in a session, or in the last one; the last turn without a number.

    UsageError when there is none, or no seed of it is known; StoreError.
    """
    if not path.exists():
        raise UsageError("There is no session yet.", "g4local chat demo begins one.")
    with Store(path) as store:
        session = store.find(name) if name is not None else store.last()
        tree = store.tree(session)
        if number is not None and not 1 <= number <= len(tree):
            hint = f"`g4local sessions show {session.id}` tells the numbers."
            raise UsageError(f"Session {session.id} has no message {number}.", hint)
        chain = _to_the_end(tree, store.path_to(session.head if number is None else tree[number - 1].id))
        said = _of_the_last_turn(chain)
        turn = next((each for each in store.turns(chain) if each.id == chain[-1].turn), None) if said else None
    if turn is None or turn.result is None or turn.result.get("seed") is None:
        raise UsageError("No model's whole answer is there.", "Name an answer by its number with --at.")
    before = [each.message for each in chain[: len(chain) - len(said)]]
    return _replay(session.id, turn, before, said)


@contextmanager
def conversation(replay: Replay, report: Report, cancel: Event, warn: Callable[[str], None]) -> Iterator[Conversation]:
    """The conversation that stands where the turn began; `resume` asks it again. The errors of `engine`."""
    with (
        offering.offered(replay.request, report, cancel, warn) as there,
        engine(replay.request, report, cancel, warn) as model,
    ):
        known = {tool.name: tool for tool in there}
        if gone := [name for name in replay.tools if name not in known]:
            raise UsageError(f"The tool {gone[0]} was on offer then, and is not now.", "A prompt names each tool.")
        results = _Results(replay.said)
        tools = [replace(known[name], run=results.give) for name in replay.tools]
        if model.path.name != replay.file:
            warn(f"The model's file is {model.path.name} now; it was {replay.file}.")
        yield Conversation(model, tools=tools, approve=results.expect, options=replay.options, messages=replay.before)


class _Results:
    """What the calls of a turn got; they are approved one by one, and each is run then."""

    def __init__(self, said: Sequence[Message]) -> None:
        self._known = {message.tool_call_id: message.text for message in said if message.role == "tool"}
        self._asked = ""

    def expect(self, call: ToolCall) -> bool:
        """Note which call is run next."""
        self._asked = call.id
        return True

    def give(self, arguments: Mapping[str, Json], cancel: Event) -> Json:
        """The result of that call."""
        if self._asked not in self._known:
            raise ToolError("the turn had no such call")
        return self._known[self._asked]


def _to_the_end(tree: Sequence[Stored], path: Sequence[Stored]) -> list[Stored]:
    """The path, with what the same turn said after it."""
    whole = list(path)
    while whole and (after := [each for each in tree if each.parent == whole[-1].id and each.turn == whole[-1].turn]):
        whole.append(after[0])
    return whole


def _of_the_last_turn(path: Sequence[Stored]) -> list[Message]:
    """What the turn of the last message said, without its question."""
    said: list[Message] = []
    for each in reversed(path):
        if each.turn is None or each.turn != path[-1].turn or each.message.role == "user" or each.message.summary:
            break
        said.insert(0, each.message)
    return said


def _replay(session: str, turn: Turn, before: Sequence[Message], said: Sequence[Message]) -> Replay:
    settings: Mapping[str, Any] = turn.settings
    result: Mapping[str, Any] = turn.result or {}
    try:
        options = ConversationOptions(
            sampling=Sampling(**{**settings["sampling"], "seed": result["seed"]}),
            constraint=Constraint(**settings["constraint"]) if settings["constraint"] else None,
            **{name: settings[name] for name in _OPTIONS},
        )
        names, kv_type = list(settings["tools"]), settings.get("kv_type", "f16")
        request = Request(settings["model"], quant=settings["quant"], ctx=settings["ctx"], kv_type=kv_type, save=False)
        local = {tool.name for tool in available(request.folder)[0]}
        request = replace(request, mcp=list(settings["mcp"]), tool=[name for name in names if name in local])
        was_stopped = result["reason"] == "cancelled"
        if was_stopped:  # it would have gone on
            options = replace(options, max_tokens=max(1, result["usage"]["completion"]))
    except (KeyError, TypeError) as error:
        raise UsageError("How this turn was asked is not known.", "Name another answer with --at.") from error
    return Replay(session, request, settings["file"], options, names, before, said, was_stopped)


def _words(message: Message) -> str:
    return message.thought + message.text
