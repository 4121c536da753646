"""Where a history is cut when its older part becomes a summary, and what is put in its place; it knows no model.

A history is cut between turns only, so that calls and their results are never torn apart. The questions of the older
part are kept word for word as far as there is room: several in a row, which the summary answers all at once.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from g4local.chat.calls import unanswered
from g4local.core.messages import Message, ToolCall

Cost = Callable[[Sequence[Message]], int]
"""The tokens of messages by themselves."""
TextCost = Callable[[str], int]
"""The tokens of a text."""

HEADING = "Summary of the conversation so far:\n"
_WHAT_COUNTS = (
    "Keep every fact, name, number, decision and open question that may matter later, and what tools found out. "
    "Answer with the summary alone, in short sentences"
)
REQUEST = f"Summarise our conversation so far for your own use: you will see the summary instead of it. {_WHAT_COUNTS}."
_MOST_SUMMARY = 1024
"""Tokens of the longest summary; a longer one takes a slow machine minutes to write."""
_LEAST_SUMMARY = 16
_LEAST_PIECE = 48
"""Tokens; a piece of a transcript below this says nothing."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens for the parts of a history that was compacted; half of the room is left for what comes."""

    summary: int
    questions: int
    kept: int

    @property
    def suffices(self) -> bool:
        """Whether a summary of that length can say anything."""
        return self.summary >= _LEAST_SUMMARY


def budget(room: int) -> Budget:
    """How so many tokens of room are shared out."""
    return Budget(min(room // 8, _MOST_SUMMARY), room // 8, room // 4)


@dataclass(frozen=True, slots=True)
class Cut:
    """A history in two parts."""

    older: tuple[Message, ...]
    """What becomes a summary."""
    kept: tuple[Message, ...]
    """What stays as it is. A question that has no answer yet stays, even if the tools that it has called do not."""

    questions: tuple[Message, ...]
    """The user's messages of the older part that are not kept anyway."""


def turns(messages: Sequence[Message]) -> list[list[Message]]:
    """The history in parts that belong together: a question, or several in a row, and all that followed."""
    parts: list[list[Message]] = []
    for index, message in enumerate(messages):
        if index == 0 or (message.role == "user" and messages[index - 1].role != "user"):
            parts.append([])
        parts[-1].append(message)
    return parts


def cut(messages: Sequence[Message], room: int, cost: Cost) -> Cut:
    """Keep as many of the last turns as fit into the room; where all of them do, the last one, perhaps the only one.

    The last turn alone may take twice the room. One that is still longer belongs to the older part, but for a question
    that waits for its answer.
    """
    parts = turns(messages)
    fits = _fitting(parts, room, cost) or _fitting(parts[-1:], 2 * room, cost)
    if parts and not fits:
        last = parts[-1]
        asked = _questions(last)
        if not (last[-1].role in ("user", "tool") or unanswered(last)):
            return Cut(tuple(messages), (), _questions(messages))
        border = len(messages) - len(last)
        older = messages if len(asked) < len(last) else messages[:border]
        return Cut(tuple(older), asked, _questions(messages[:border]))
    border = len(messages) - sum(map(len, parts[-1:] if fits == len(parts) else parts[-fits:]))
    return Cut(tuple(messages[:border]), tuple(messages[border:]), _questions(messages[:border]))


def verbatim(questions: Sequence[Message], room: int, cost: Cost) -> list[Message]:
    """The newest questions that fit into the room, in their order; of the very last one at least the beginning."""
    kept: list[Message] = []
    for message in reversed(questions):
        needed = cost([message])
        if needed <= room:
            kept.insert(0, message)
            room -= needed
        elif not kept:
            return [_shortened(message, room, cost)]
    return kept


def compacted(older: Sequence[Message], summary: str, kept: Sequence[Message]) -> list[Message]:
    """The history with a summary behind the questions that it answers."""
    return [*older, Message("assistant", HEADING + summary, summary=True), *kept]


def transcript(messages: Sequence[Message]) -> list[str]:
    """What was said, a paragraph for each message; thoughts are left out."""
    return [paragraph for message in messages for paragraph in _paragraphs(message)]


def pieces(paragraphs: Sequence[str], most: int, cost: TextCost) -> list[str]:
    """The paragraphs put together to pieces of at most `most` tokens; one that is longer is cut. Nothing is lost."""
    done: list[str] = []
    filled = most + 1
    for paragraph in paragraphs:
        for part in _parts(paragraph, most, cost):
            needed = cost(part)
            if filled + needed > most:
                done.append("")
                filled = 0
            done[-1] += part
            filled += needed
    return done


def piece_room(context: int, overhead: int, summary: int) -> int:
    """Tokens of a piece of the transcript, beside the request, the summary so far and the new one; 0 if too few."""
    room = context - overhead - 2 * summary - 2
    return room if room >= _LEAST_PIECE else 0


def piece_request(piece: str, so_far: str) -> Message:
    """What the model is asked about one piece of a transcript."""
    before = f"\n\nWhat came before it, summarised:\n{so_far}" if so_far else ""
    asks = f"Summarise this conversation between a user and an assistant. {_WHAT_COUNTS}"
    return Message("user", f"{asks}{', together with what came before it.' if so_far else '.'}{before}\n\n{piece}")


def _fitting(parts: Sequence[Sequence[Message]], room: int, cost: Cost) -> int:
    """How many of the last parts fit into the room."""
    total = 0
    for count, part in enumerate(reversed(parts)):
        total += cost(part)
        if total > room:
            return count
    return len(parts)


def _questions(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(message for message in messages if message.role == "user")


def _paragraphs(message: Message) -> list[str]:
    if message.role == "tool":
        return [f"{message.name or 'A tool'} answered: {message.text}\n\n"]
    text = message.text.removeprefix(HEADING) if message.summary else message.text
    told = [f"{_speaker(message)}: {text}\n\n"] if text else []
    told += [f"The assistant called {_call(call)}\n\n" for call in message.tool_calls]
    return told + [f"{answer.name} answered: {answer.response}\n\n" for answer in message.tool_responses]


def _speaker(message: Message) -> str:
    if message.summary:
        return "Summary of what came before"
    return "Assistant" if message.role == "assistant" else message.role.capitalize()


def _call(call: ToolCall) -> str:
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"


def _shortened(message: Message, room: int, cost: Cost) -> Message:
    text = message.text
    length = _most(len(text), lambda characters: cost([replace(message, content=f"{text[:characters]}…")]) <= room)
    return replace(message, content=f"{text[:length]}…")


def _parts(text: str, most: int, cost: TextCost) -> list[str]:
    """A text in parts of at most `most` tokens, and at least one character."""
    parts: list[str] = []
    while text and cost(text) > most:
        start = text
        length = max(1, _most(len(text), lambda characters, start=start: cost(start[:characters]) <= most))  # type: ignore[misc]
        parts.append(text[:length])
        text = text[length:]
    return [*parts, text] if text else parts


def _most(high: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `high` that fits, found by halving; 0 where none does."""
    return bisect_left(range(1, high + 1), True, key=lambda number: not fits(number))
