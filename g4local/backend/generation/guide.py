"""What may come next in a reply: thoughts within their budget, an answer that follows its grammar, calls that parse.

A token is sampled first and then checked; only one that is refused costs a mask over the vocabulary and another
sampling. Without constraints, what comes is what the sampler says.
"""

from collections import deque
from typing import TYPE_CHECKING, Literal

from g4local.backend.engine import Constraint, Guidance
from g4local.backend.generation.constraint import Grammars, Matcher
from g4local.backend.generation.loops import LoopGuard
from g4local.backend.generation.sampling import Sampler
from g4local.backend.model.vocabulary import Vocabulary
from g4local.core.errors import EngineError
from g4local.core.prompt import Segment

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_CHANNEL_NAME = Segment("thought\n")
"""What follows `<|channel>`; anything else would make the channel text."""


class Guide:
    """The way through one reply.

    thought --<channel|>--> answer        answer, before its first token --<|channel>--> thought
    thought, answer --<|tool_call>--> call --<tool_call|>--> called, or answer where nothing constrains it
    """

    def __init__(self, guidance: Guidance, sampler: Sampler, vocabulary: Vocabulary, grammars: Grammars) -> None:
        self.thought_cut = False
        """Whether a thought had to be closed."""
        self.loops = False
        """Whether the reply has become a loop."""
        self._guidance = guidance
        self._sampler = sampler
        self._vocabulary = vocabulary
        self._grammars = grammars
        names = vocabulary.special
        self._channel, self._channel_end = names.get("<|channel>"), names.get("<channel|>")
        self._call, self._call_end = names.get("<|tool_call>"), names.get("<tool_call|>")
        self._guard = LoopGuard(self._channel) if guidance.loop_guard else None
        self._state: Literal["thought", "answer", "call", "called"] = "thought" if guidance.in_thought else "answer"
        self._has_thought = guidance.in_thought
        self._thought_tokens = 0
        self._begun = False
        """Whether the answer has begun."""
        self._answer: Matcher | None = None
        self._arguments: Matcher | None = None
        """The call that is being written, where calls have a grammar."""
        self._forced: deque[int] = deque()
        if guidance.answer or guidance.calls:
            grammars.prepare()

    def sample(self, context: int, row: int = -1) -> int:
        """The next token, from the logits of a row of the last decode's batch, by default its last.

        UsageError at the first one for a bad constraint.
        """
        if self._answer is None and self._guidance.answer:
            self._answer = self._grammars.matcher(self._guidance.answer)
        token = self._forced.popleft() if self._forced else self._picked(context, row)
        self._look(token)
        self._take(token)
        return token

    def _look(self, token: int) -> None:
        """Let the guard see a token that comes next; what only the form asks for is no loop of the model's."""
        matcher = self._matcher
        if self._guard and not (matcher and matcher.asks_for(self._vocabulary.piece(token))):
            self.loops = self._guard.feed(token)

    def _picked(self, context: int, row: int) -> int:
        if not self._is_held:
            return self._sampler.sample(context, row)
        if self._sampler.remembers:  # a refused token would be remembered as said
            token = self._sampler.sample_among(context, row, self._allowed())
        else:
            token = self._sampler.sample(context, row)
            if not self._allows(token):
                token = self._sampler.sample_among(context, row, self._allowed())
        if self._must_close and token != self._channel_end:
            assert self._channel_end is not None
            self.thought_cut = True
            return self._channel_end
        return token

    @property
    def _is_held(self) -> bool:
        """Whether there is anything that could refuse a token now."""
        return bool(self._guidance.answer or self._matcher or self._must_close or self.thought_cut)

    @property
    def _matcher(self) -> Matcher | None:
        """The grammar that the next token is a part of."""
        return {"answer": self._answer, "call": self._arguments}.get(self._state)

    @property
    def _must_close(self) -> bool:
        budget = self._guidance.think_budget
        is_spent = 0 < budget <= self._thought_tokens
        return self._state == "thought" and is_spent and self._channel_end is not None

    def _allows(self, token: int) -> bool:
        if token in self._welcome():
            return True
        if token in self._refused() or self._state == "called":
            return False
        return self._matcher is None or self._matcher.allows(token)

    def _allowed(self) -> "npt.NDArray[np.bool_]":
        """For each token, whether it may come next; EngineError when none may."""
        import numpy as np

        matcher = self._matcher
        flags = matcher.allowed() if matcher else np.full(self._vocabulary.size, self._state != "called")
        flags[list(self._refused() | self._sampler.suppressed)] = False
        flags[list(self._welcome())] = True
        if not flags.any():
            raise EngineError("The answer can't be held to its grammar: nothing fits it.", "Change the grammar.")
        return flags

    def _welcome(self) -> set[int]:
        """Tokens that may come next beside those of the grammar."""
        welcome: set[int | None] = set()
        if self._state == "called" or (self._state == "answer" and self._answer and self._answer.is_complete):
            welcome |= self._vocabulary.end_tokens
        if self._state == "called" or self._may_call:
            welcome.add(self._call)
        if self._may_think:
            welcome.add(self._channel)
        return {token for token in welcome if token is not None}

    @property
    def _may_call(self) -> bool:
        """Whether a constrained reply may call a tool now."""
        return bool(self._guidance.calls) and (self._state == "thought" or self._is_at_answer)

    @property
    def _may_think(self) -> bool:
        """Whether a constrained reply may begin a thought now."""
        return self._is_at_answer and self._guidance.thinking and not self._has_thought

    @property
    def _is_at_answer(self) -> bool:
        """Whether a constrained answer could begin now."""
        return self._state == "answer" and self._answer is not None and not self._begun

    def _refused(self) -> set[int]:
        """Tokens that may not come next where no grammar says so."""
        refused: set[int | None] = set()
        if self._state == "thought" and self._guidance.answer:
            refused |= self._vocabulary.end_tokens
            if not self._guidance.calls:
                refused.add(self._call)
        if self._state == "answer" and self.thought_cut:
            refused.add(self._channel)
        return {token for token in refused if token is not None}

    def _take(self, token: int) -> None:
        """Go on with a token that was said."""
        is_free = self._state != "call" and self._matcher is None
        if self._state == "thought":
            self._thought_tokens += 1
        if token == self._channel and (is_free or self._may_think):
            self._open_thought()
        elif token == self._channel_end and self._state == "thought":
            self._state = "answer"
        elif token == self._call and (is_free or self._may_call):
            self._state = "call"
            calls = self._guidance.calls
            self._arguments = self._grammars.matcher(Constraint("lark", calls)) if calls else None
        elif self._matcher and token not in self._vocabulary.end_tokens:
            self._matcher.take(token)
            self._begun |= self._state == "answer"
        if token == self._call_end and self._state == "call":
            self._state = "called" if self._guidance.answer else "answer"

    def _open_thought(self) -> None:
        self._state = "thought"
        self._has_thought = True
        if self._guidance.answer or self._guidance.think_budget:
            self._forced.extend(self._vocabulary.tokenize([_CHANNEL_NAME])[0])
