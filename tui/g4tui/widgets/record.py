"""What a transcript holds, shown or not: a history, and the turn that is running, as one list of entries."""

from collections.abc import Sequence

from g4local.core.events import (
    Event,
    MalformedCall,
    RawDelta,
    TextDelta,
    ThoughtDelta,
    ToolFinished,
    ToolRequested,
    ToolResult,
    TurnFinished,
    TurnStarted,
    Warned,
)
from g4local.core.messages import Media, Message, ToolCall
from g4local.core.visible import printable
from g4tui.widgets.cutting import Begin, Cutter, Fragment
from g4tui.widgets.note import Noted
from g4tui.widgets.question import Asked
from g4tui.widgets.reply import Part, Said
from g4tui.widgets.thought import Chunk, Thinking, pour
from g4tui.widgets.tool_card import Called

Entry = Asked | Thinking | Chunk | Part | Called | Noted

_FAILED = "error: "
"""What the result of a tool that failed begins with in a history."""
_LINES = str.maketrans({"\u2028": "\n", "\u2029": "\n"})
"""Marks that end a line in Unicode and not in Markdown."""


class Record:
    """The entries, in order, and which of them are new or have changed since somebody asked."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.changed: dict[Entry, None] = {}
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.changed.clear()
        self.questions = 0
        self._said: Said | None = None
        self._cutter = Cutter()
        self._part: Part | None = None
        self._thinking: Thinking | None = None
        self._raw: list[Chunk] = []

    def read(self, messages: Sequence[Message]) -> None:
        """Add a history."""
        for message in messages:
            if message.role == "user":
                self.ask(message.text, tuple(part.kind for part in message.content if isinstance(part, Media)))
            elif message.role == "assistant":
                self._read_answer(message)
            elif message.role == "tool":
                self._read_result(message)
        self.end()

    def ask(self, text: str, media: tuple[str, ...] = ()) -> None:
        """Add a question."""
        self.end()
        self._add(Asked(self.questions, text, media))
        self.questions += 1

    def add(self, event: Event) -> None:  # noqa: C901 (one flat match over a closed union)
        """Add what happened in a turn."""
        match event:
            case ThoughtDelta(text):
                self._think(text)
            case TextDelta(text):
                self._say(text)
            case RawDelta(text):
                self._say_raw(text)
            case ToolRequested(call):
                self._request(call)
            case ToolFinished(call, result):
                self._finish(call, result)
            case MalformedCall(raw):
                self.note(Noted(f"The model wrote a tool call that can't be read: {raw}", "warning"))
            case Warned(message):
                self.note(Noted(message, "warning"))
            case TurnStarted() | TurnFinished():
                pass

    def note(self, noted: Noted) -> None:
        """Add a note."""
        self._pause()
        self._add(noted)

    def want(self, call: ToolCall) -> Called:
        """The entry of a call that asks whether it may run."""
        called = self._open(call)
        if called is None:
            self._request(call)
            called = self._open(call)
        assert called is not None
        called.state = "asks"
        self.changed[called] = None
        return called

    def end(self) -> None:
        """The turn is over: nothing of it goes on."""
        self._pause()
        for entry in self._since_question():
            if isinstance(entry, Called) and entry.state in ("running", "asks"):
                entry.state = "no result"
                self.changed[entry] = None
        self._said = None

    def toggle(self, thinking: Thinking) -> list[Chunk]:
        """Unfold a thought, or fold it; what is no more among the entries then."""
        at = self.entries.index(thinking) + 1
        gone, thinking.chunks = thinking.chunks, []
        thinking.is_open = not thinking.is_open
        del self.entries[at : at + len(gone)]
        if thinking.is_open:
            self.entries[at:at] = pour("".join(thinking.pieces), thinking.chunks)
        self.changed[thinking] = None
        return gone

    def branch(self, index: int, number: int, of: int) -> None:
        """Note that a question has other versions."""
        for entry in self.entries:
            if isinstance(entry, Asked) and entry.index == index:
                entry.number, entry.of = number, of
                self.changed[entry] = None

    def parts_of_code(self, part: Part, *, is_first: bool, is_last: bool) -> list[Part]:
        """The parts that a block of code is in which is the first, or the last, of this one's."""
        at = self.entries.index(part)
        first = last = at
        while is_first and _goes_on(self.entries[first]):
            first -= 1
        while is_last and last + 1 < len(self.entries) and _goes_on(self.entries[last + 1]):
            last += 1
        return [entry for entry in self.entries[first : last + 1] if isinstance(entry, Part)]

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)

    def _read_answer(self, message: Message) -> None:
        if message.summary:
            self.note(Noted("Older messages were taken out; this summary stands in their place."))
        if message.thought:
            self._think(message.thought)
        if not message.tool_responses:
            self._say(message.text)
        for call in message.tool_calls:
            self._request(call)
        for answer in message.tool_responses:
            waiting = next((each for each in self._waiting() if each.call.name == answer.name), None)
            if waiting:
                waiting.finish(ToolResult(answer.response, ok=True))
        if message.tool_responses:
            self._say(message.text)
        self._pause()

    def _read_result(self, message: Message) -> None:
        text = message.text
        for called in self._waiting():
            if called.call.id == message.tool_call_id:
                called.finish(ToolResult(text.removeprefix(_FAILED), ok=not text.startswith(_FAILED)))
                return

    def _think(self, text: str) -> None:
        if not text:
            return
        if self._thinking is None:
            self._pause()
            self._thinking = Thinking()
            self._add(self._thinking)
        self._thinking.add(text.translate(_LINES))
        self.changed[self._thinking] = None
        if self._thinking.is_open:
            self.entries += pour(text.translate(_LINES), self._thinking.chunks)
            self.changed[self._thinking.chunks[-1]] = None

    def _say(self, text: str) -> None:
        self._end_thought()
        text = printable(text).translate(_LINES)
        if self._part is None and not (text := text.lstrip("\n")):
            return
        self._show(self._cutter.feed(text))

    def _show(self, fragments: Sequence[Fragment]) -> None:
        for fragment in fragments:
            if fragment.said:
                self._show_one(fragment)

    def _show_one(self, fragment: Fragment) -> None:
        is_first = self._said is None
        self._said = self._said or Said()
        if fragment.begins or self._part is None:
            self._end_part(fragment.begins)
            self._part = Part(self._said, fragment.begins or "block", is_first)
            self._add(self._part)
            if not fragment.begins and not is_first:
                self._said.pieces.append("\n\n")
        self._part.add(fragment.said, fragment.text)
        self._said.pieces.append(fragment.said)
        self.changed[self._part] = None

    def _say_raw(self, text: str) -> None:
        self._end_thought()
        self.entries += pour(text.translate(_LINES), self._raw, is_thought=False)
        self.changed[self._raw[-1]] = None

    def _request(self, call: ToolCall) -> None:
        if self._open(call) is None:
            self._pause()
            self._add(Called(call))

    def _finish(self, call: ToolCall, result: ToolResult) -> None:
        self._request(call)
        called = self._open(call)
        if called:
            called.finish(result)
            self.changed[called] = None

    def _open(self, call: ToolCall) -> Called | None:
        """The entry of a call that has no result yet."""
        return next((each for each in self._waiting() if each.call == call), None)

    def _waiting(self) -> list[Called]:
        calls = [entry for entry in self._since_question() if isinstance(entry, Called)]
        return [called for called in calls if called.state in ("running", "asks", "no result")]

    def _since_question(self) -> list[Entry]:
        """The entries of the turn that came last."""
        begin = next((at for at in range(len(self.entries) - 1, -1, -1) if isinstance(self.entries[at], Asked)), 0)
        return self.entries[begin:]

    def _pause(self) -> None:
        """Something else follows: what was being said goes on in a part of its own, if it does."""
        self._end_thought()
        self._raw = []
        self._show(self._cutter.rest())
        self._end_part()
        self._cutter = Cutter()

    def _end_part(self, follows: Begin | None = None) -> None:
        if self._part:
            self._part.is_over = True
            self._part.follows = follows
            self.changed[self._part] = None
            self._part = None

    def _end_thought(self) -> None:
        if self._thinking:
            self._thinking.is_over = True
            self.changed[self._thinking] = None
            self._thinking = None


def _goes_on(entry: Entry) -> bool:
    return isinstance(entry, Part) and entry.begins == "fence"
