"""Room in the context of a conversation: how much there is, and the two ways to make more of it.

Nothing changes before `take`, so whoever stops a summary has lost nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Event as Wish

from g4local.backend.engine import EngineInfo
from g4local.chat import compaction
from g4local.chat.calls import NOT_RUN, answer, spoken, unanswered
from g4local.chat.compaction import Budget, Cut
from g4local.chat.contents import Contents, contents, lightened
from g4local.chat.conversation import Conversation
from g4local.chat.summary import Summarizer, Summary
from g4local.core.errors import ContextFull, UsageError
from g4local.core.messages import Message
from g4local.core.progress import Report


@dataclass(frozen=True, slots=True)
class Change:
    """A history with more room, which is not in use yet."""

    messages: tuple[Message, ...]
    before: int
    """Tokens of the next prompt as things are, and with these messages."""
    after: int
    summary: str = ""
    """What the model wrote in place of older messages; empty where none were summarised."""
    cut: bool = False
    """Whether the summary was longer than its budget and ends there."""

    @property
    def won(self) -> int:
        """Tokens that it makes room for."""
        return self.before - self.after


class Room:
    """The context of one conversation, before a question that is perhaps too long for it."""

    def __init__(self, talk: Conversation, report: Report, cancel: Wish, question: str = "") -> None:
        """Load the model if it is not loaded; the errors of `Engine.start`."""
        self.info = talk.load(report, cancel)
        self._talk = talk
        self._report = report
        self._cancel = cancel
        self._question = question

    def contents(self) -> Contents:
        """What the next prompt is made of."""
        return contents(self._next(self._talk.messages), self.info.context, self._count)

    def check(self) -> Budget:
        """How much room there is for a history; ContextFull where the question alone takes nearly all of it."""
        alone = self._count(self._next(()))
        budget = compaction.budget(self.info.context - alone)
        if budget.suffices:
            return budget
        what = "The question alone" if self._question else "What comes before the first question"
        raise ContextFull(
            f"{what} takes {alone:,} of the context's {self.info.context:,} tokens.",
            "Shorten it, or load the model with a larger context (--ctx).",
        )

    def lighter(self) -> Change:
        """The history without results of tools, those of the last turn only where the others are not enough.

        UsageError where nothing would be won.
        """
        before = self._count(self._next(self._talk.messages))
        enough = before - 1 if not self._question else self.info.context - self.info.context // 8
        change = Change((), before, before)
        for keep_turns in (1, 0):
            if change.after > enough or change.won == 0:
                messages = lightened(self._talk.messages, keep_turns)
                change = Change(tuple(messages), before, self._count(self._next(messages)))
        if change.won <= 0:
            has_results = any(message.role == "tool" or message.tool_responses for message in self._talk.messages)
            why = "To drop the results of tools would win nothing." if has_results else "There are no results of tools."
            raise UsageError(why, "/compact summarises older turns.")
        return change

    def summarised(self) -> Change:
        """The history with a summary of its older turns, written by the model.

        UsageError where there is nothing to summarise, ContextFull where not even that has room, Cancelled, EngineError
        and EngineDied where no summary came of it.
        """
        before = self._count(self._next(self._talk.messages))
        budget = self.check()
        cut = compaction.cut(self._talk.messages, budget.kept, self._cost)
        if not cut.older:
            raise UsageError("There is nothing to summarise: only one turn was said.", "/clear begins anew.")
        summary = self._summary(cut, budget.summary)
        questions = compaction.verbatim(cut.questions, budget.questions, self._cost)
        messages = compaction.compacted(questions, summary.text, cut.kept)
        change = Change(tuple(messages), before, self._count(self._next(messages)), summary.text, summary.cut)
        if change.won <= 0:
            raise UsageError("A summary would be no shorter than what it stands for.", "/clear begins anew.")
        return change

    def take(self, change: Change) -> None:
        """Let the conversation go on with the changed history."""
        self._talk.replace(change.messages)

    def _summary(self, cut: Cut, most: int) -> Summary:
        summarizer = Summarizer(self._talk.engine, self.info, most, self._report, self._cancel)
        if cut.older[-1].role == "assistant" and not unanswered(cut.older):
            asked = [*cut.older, Message("user", compaction.REQUEST)]
            summary = summarizer.in_place(self._talk.prompt(self.info, asked), thinking=self._talk.options.thinking)
            if summary is not None:
                return summary
        return summarizer.in_pieces(cut.older)

    def _next(self, messages: Sequence[Message]) -> list[Message]:
        """What is sent when the next question is asked, or when an unfinished turn goes on."""
        if self._talk.unfinished and not self._question:
            return spoken(messages)
        not_run = [answer(call, NOT_RUN) for call in unanswered(messages)]
        return [*messages, *not_run, Message("user", self._question)]

    def _count(self, messages: Sequence[Message], *, system: bool = True, tools: bool = True) -> int:
        prompt = self._talk.prompt(self.info, messages, system=system, tools=tools)
        return len(self._talk.engine.tokenize(prompt, self._cancel))

    def _cost(self, messages: Sequence[Message]) -> int:
        """The tokens of messages by themselves."""
        return self._count(messages, system=False, tools=False) - self._frame

    @cached_property
    def _frame(self) -> int:
        """The tokens of a prompt without a message."""
        return self._count((), system=False, tools=False)


def context_of(info: EngineInfo) -> str:
    """A hint at a larger context where the model can have one; empty where it can't."""
    if info.context >= info.trained_context:
        return ""
    return f"The model can have up to {info.trained_context:,} tokens: --ctx max takes as many as fit into memory."
