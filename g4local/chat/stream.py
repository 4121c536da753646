"""A reply's tokens as events: what is thought, what is said, which tools are called.

Markup is known by token ids alone, looked up by name in the model's vocabulary: the same characters spelled out are
text, and no markup reaches anybody.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from g4local.backend.engine import EngineInfo, Piece
from g4local.chat.toolcalls import parse
from g4local.core.events import Event, MalformedCall, TextDelta, ThoughtDelta
from g4local.core.messages import Message, ToolCall
from g4local.core.prompt import Segment, joined

Start = Literal["text", "thought"]

_MARKUP = re.compile(r"<\|.*>|<.*\|>|<(bos|eos|pad|unk|mask)>", re.DOTALL)
"""The names of Gemma 4's own tokens; other user-defined tokens (`<table>`, `\\n\\n`) are words like any other."""

_CHANNEL_NAME = "thought"
"""What follows `<|channel>` when a thought begins."""


def start_of(prompt: Sequence[Segment]) -> Start:
    """What the model goes on with after this prompt: its answer, or a thought that the prompt has opened."""
    last = next((segment.text for segment in reversed(prompt) if segment.special), "")
    return "thought" if last == "<|channel>" else "text"


class ReplyStream:
    """The state machine of one reply: `feed` it each piece, then `finish`.

    The deltas that it gives add up to `text` and `thought`, exactly. Whitespace that ends either of them, or that
    stands between markup and its first word, belongs to neither; it is held back until that is known.
    """

    def __init__(self, info: EngineInfo, *, start: Start = "text", first_call: int = 0) -> None:
        self.calls: list[ToolCall] = []
        """The calls that could be read, with ids that count up from `call_{first_call}`."""
        self.thought_tokens = 0
        """Tokens of thoughts, their markup included."""
        self._names = {token: name for name, token in info.special_tokens.items() if _MARKUP.fullmatch(name)}
        self._end_tokens = info.end_tokens
        self._first_call = first_call
        self._state: Literal["text", "thought", "opening", "call"] = start
        self._text = _Words()
        self._thought = _Words()
        self._thought.begin()
        self._opening = ""
        """What has come since `<|channel>`, as long as it may become the channel's name."""
        self._opened_in: Start = start
        self._call: list[Segment] = []

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._text.said

    @property
    def thought(self) -> str:
        """The thoughts so far, with an empty line between two of them."""
        return self._thought.said

    def feed(self, piece: Piece) -> list[Event]:
        """What this piece brings to light; often nothing."""
        if piece.token in self._end_tokens:
            return []
        before = self._state
        name = self._names.get(piece.token)
        events = self._plain(piece.text) if name is None else self._markup(name)
        if before == "thought" or self._state in ("thought", "opening"):
            self.thought_tokens += 1
        return events

    def finish(self) -> list[Event]:
        """What the end of the reply brings to light; an unfinished thought stays a thought, a call is malformed."""
        return self._unreadable_call() if self._state == "call" else self._no_channel()

    def messages(self, *, ended: bool) -> list[Message]:
        """The reply as messages, as far as it came; one that was cut off before its first word is none.

        What was said before a call is a message of its own: in one message with the call, the template would put it
        behind the results, and end the model's turn there.
        """
        calls = tuple(self.calls)
        if self.text and calls:
            return [Message("assistant", self.text, self.thought), Message("assistant", tool_calls=calls)]
        if ended or self.text or self.thought or calls:
            return [Message("assistant", self.text, self.thought, calls)]
        return []

    def _plain(self, text: str) -> list[Event]:
        match self._state:
            case "text":
                said = self._text.add(text)
                return [TextDelta(said)] if said else []
            case "thought":
                said = self._thought.add(text)
                return [ThoughtDelta(said)] if said else []
            case "opening":
                return self._channel_name(text)
            case "call":
                self._call.append(Segment(text))
                return []

    def _channel_name(self, text: str) -> list[Event]:
        self._opening += text
        name = self._opening.lstrip()
        if name.startswith(_CHANNEL_NAME):
            self._state = "thought"
            self._thought.begin()
            return self._plain(name.removeprefix(_CHANNEL_NAME))
        return [] if _CHANNEL_NAME.startswith(name) else self._no_channel()

    def _no_channel(self) -> list[Event]:
        """Takes an opener that no channel's name follows as if it were not there."""
        if self._state != "opening":
            return []
        self._state = self._opened_in
        return self._plain(self._opening)

    def _markup(self, name: str) -> list[Event]:
        if self._text.silent:
            self._text.begin()
        match name, self._state:
            case "<|tool_call>", _:
                return self._open_call()
            case "<tool_call|>", "call":
                return self._close_call()
            case _, "call":
                self._call.append(Segment(name, special=True))
                return []
            case "<|channel>", _:
                return self._open_channel()
            case "<channel|>", _:
                return self._close_channel()
        return []

    def _open_channel(self) -> list[Event]:
        events = self._no_channel()
        self._opened_in = "thought" if self._state == "thought" else "text"
        self._state = "opening"
        self._opening = ""
        return events

    def _close_channel(self) -> list[Event]:
        events = self._no_channel()
        self._state = "text"
        return events

    def _open_call(self) -> list[Event]:
        events = self._no_channel()
        if self._state == "call" and joined(self._call).strip():
            events = self._unreadable_call()
        self._state = "call"
        self._call = []
        return events

    def _close_call(self) -> list[Event]:
        call = parse(self._call)
        if call is None:
            return self._unreadable_call()
        self.calls.append(replace(call, id=f"call_{self._first_call + len(self.calls)}"))
        self._state = "text"
        return []

    def _unreadable_call(self) -> list[Event]:
        self._state = "text"
        return [MalformedCall(joined(self._call))]


class _Words:
    """A text that grows, without the whitespace that would end it."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._held: list[str] = []
        self._at_start = False

    @property
    def said(self) -> str:
        return "".join(self._said)

    @property
    def silent(self) -> bool:
        return not self._said

    def begin(self) -> None:
        """From here on a new paragraph: whitespace until the next word is dropped."""
        self._held = ["\n\n"] if self._said else []
        self._at_start = True

    def add(self, text: str) -> str:
        """What can be said now that this has come."""
        text = text.lstrip() if self._at_start else text
        words = text.rstrip()
        if not words:
            self._held.append(text)
            return ""
        self._at_start = False
        self._said.append("".join([*self._held, words]))
        self._held = [text[len(words) :]]
        return self._said[-1]
