"""Summaries written by the model itself: greedy, within a budget of tokens, and without a trace when it is stopped."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from threading import Event as Wish

from g4local.backend.engine import Completion, Engine, EngineInfo, Guidance, Sampling
from g4local.chat import compaction
from g4local.chat.stream import ReplyStream, start_of
from g4local.chat.template import render, variant_of
from g4local.core.errors import Cancelled, ContextFull, EngineError
from g4local.core.messages import Message
from g4local.core.progress import Progress, Report
from g4local.core.prompt import Segment

_STAGE = "summary"
_HINT = "Load the model with a larger context (--ctx), or begin anew with /clear."


@dataclass(frozen=True, slots=True)
class Summary:
    """What the model made of a part of a conversation."""

    text: str
    cut: bool = False
    """Whether it was longer than its budget and ends there."""


@dataclass(frozen=True, slots=True)
class Summarizer:
    """A loaded model that is asked for summaries of at most `most` tokens."""

    engine: Engine
    info: EngineInfo
    most: int
    report: Report
    cancel: Wish

    def in_place(self, prompt: Sequence[Segment], *, thinking: bool) -> Summary | None:
        """The summary of a conversation that the prompt goes through and asks for, so that its cache is of use.

        None where it finds no room, or where the model does something else than to write one.
        """
        if len(self.engine.tokenize(prompt, self.cancel)) + self.most > self.info.context:
            return None
        summary = self._asked(prompt, Guidance(thinking=thinking, think_budget=1))
        return summary if summary.text else None

    def in_pieces(self, messages: Sequence[Message]) -> Summary:
        """The summary of a conversation of any length: piece by piece, each with the summary of those before it.

        ContextFull where no piece fits into the context, EngineError where the model writes nothing.
        """
        overhead = self._tokens(compaction.piece_request("", so_far="-"))
        room = compaction.piece_room(self.info.context, overhead, self.most)
        if not room:
            raise ContextFull(f"The context of {self.info.context:,} tokens is too small for a summary.", _HINT)
        pieces = compaction.pieces(compaction.transcript(messages), room, self._text_tokens)
        summary = Summary("")
        for done, piece in enumerate(pieces):
            self.report(Progress(_STAGE, done, len(pieces), "pieces"))
            summary = self._asked(self._prompt(compaction.piece_request(piece, summary.text)), Guidance())
            if not summary.text:
                raise EngineError("The model has written no summary.", "Try /drop, or /clear to begin anew.")
        return summary

    def _asked(self, prompt: Sequence[Segment], guidance: Guidance) -> Summary:
        stream = ReplyStream(self.info, start=start_of(prompt))
        greedy = Sampling(temperature=0)
        with closing(self.engine.generate(prompt, greedy, self.most, self.report, self.cancel, guidance)) as said:
            for count, piece in enumerate(said, 1):
                if isinstance(piece, Completion):
                    if piece.reason == "cancelled":
                        raise Cancelled("The summary was stopped; the conversation is as it was.")
                    stream.finish()
                    return Summary(stream.text.strip(), cut=piece.reason != "stop")
                self.report(Progress(_STAGE, count, self.most, "tokens"))
                stream.feed(piece)
        raise AssertionError("a generation ends with its Completion")

    def _prompt(self, message: Message) -> list[Segment]:
        return render([message], variant=variant_of(self.info))

    def _tokens(self, message: Message) -> int:
        return len(self.engine.tokenize(self._prompt(message), self.cancel))

    def _text_tokens(self, text: str) -> int:
        return len(self.engine.tokenize([Segment(text)], self.cancel))
