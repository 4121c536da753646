"""A conversation with a model: the one way in for front ends, and the one loop between replies and tools.

Its messages are valid at any time, however a turn ended: a reply that broke off is kept as far as it came, and calls
that nobody answered stand at the end until `resume` runs them or `say` passes over them. A message of the user may
follow another one that was never answered.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from threading import Event as Wish

from g4local.backend.engine import Constraint, Engine, EngineInfo, Guidance, Piece, Sampling
from g4local.chat.answers import complaint
from g4local.chat.callgrammar import call_grammar
from g4local.chat.calls import CANCELLED, NOT_RUN, Approve, answer, next_number, outcome, refuse, spoken, unanswered
from g4local.chat.recording import Recording
from g4local.chat.stream import ReplyStream, start_of
from g4local.chat.template import before_last_turn, markup, render, variant_of
from g4local.chat.toolcosts import check
from g4local.chat.turn import Turn
from g4local.core.errors import Cancelled, ContextFull, EngineDied, UsageError
from g4local.core.events import (
    Event,
    MalformedCall,
    RawDelta,
    ToolFinished,
    ToolRequested,
    TurnFinished,
    TurnStarted,
    Warned,
)
from g4local.core.messages import Message
from g4local.core.progress import Report
from g4local.core.prompt import Segment
from g4local.store.branches import Branch
from g4local.tools.tool import Tool, declaration

_MOST_EQUAL_CALLS = 3
"""So often may a model make the same call in a turn; the last one is not run."""

_BOS = Segment("<bos>", special=True)


@dataclass(frozen=True, slots=True)
class ConversationOptions:
    """How the model is asked."""

    system: str = ""
    """The system prompt; empty is none, which is what Gemma 4 is used to."""
    thinking: bool = False
    """Whether the model thinks before it answers."""
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int = 0
    """Longest reply of one round in tokens; 0 is as long as there is room."""
    think_budget: int = 0
    """Longest thought of one round in tokens; 0 is as long as the model likes."""
    constraint: Constraint | None = None
    """What an answer must be; thoughts and tool calls are free of it."""
    loop_guard: bool = True
    """Whether a reply that only repeats itself is stopped."""
    max_rounds: int = 8
    """Replies in a turn, those that call tools included; at least 1."""
    raw: bool = False
    """`say` sends its text as the whole prompt, special tokens included, and all that comes is passed on unread."""


class Conversation:
    """What was said between a user and a model, and how it goes on."""

    def __init__(
        self,
        engine: Engine,
        *,
        tools: Sequence[Tool] = (),
        approve: Approve = refuse,
        options: ConversationOptions | None = None,
        messages: Iterable[Message] = (),
        recording: Recording | None = None,
    ) -> None:
        self.messages = list(messages)
        """The history, without the system prompt of the options."""
        self.options = options or ConversationOptions()
        """May be replaced between two turns."""
        self.tools = tuple(tools)
        """May be replaced between two turns."""
        self.engine = engine
        """The model that answers."""
        self._approve = approve
        self._recording = recording
        self._is_told = False
        self._info: EngineInfo | None = None
        self._stream: ReplyStream | None = None
        """The reply that is being said."""

    @property
    def unfinished(self) -> bool:
        """Whether the last turn has no answer yet, so that `resume` can go on with it."""
        said = spoken(self.messages)
        return bool(said) and (said[-1].role in ("user", "tool") or bool(unanswered(said)))

    @property
    def session(self) -> str | None:
        """The id of the session that this is kept as; None when it is not."""
        return self._recording.session if self._recording else None

    def load(self, report: Report, cancel: Wish) -> EngineInfo:
        """Load the model now, instead of with the first question; the errors of `Engine.start`."""
        return self.engine.start(report, cancel)

    def say(self, text: str, *, report: Report, cancel: Wish) -> Generator[Event, None, None]:
        """Ask the model, and run the tools that it wants, until it has answered.

        ContextFull, where the question leaves no room for an answer, takes the question back: the history is as it was.
        After any other error, and after a cancel, what was said so far is kept: `resume` goes on where there is no
        answer yet, `retry` asks again.
        """
        turn = Turn(report, cancel)
        if self.options.raw:
            yield from self._raw_turn(text, turn)
            return
        before = list(self.messages)
        self.messages += [answer(call, NOT_RUN) for call in unanswered(self.messages)]
        self.messages.append(Message("user", text))
        yield from self._turn_or_back(turn, before)

    def resume(self, *, report: Report, cancel: Wish) -> Generator[Event, None, None]:
        """Go on with a turn that has no answer yet: run the calls that nobody answered, and ask the model.

        The rounds and the equal calls are counted anew. UsageError when the history ends in an answer.
        """
        if not self.unfinished:
            raise UsageError("There is no unfinished turn.", "Ask something (`Go on.`), or retry the last answer.")
        self.messages[:] = spoken(self.messages)
        yield from self._recorded(Turn(report, cancel))

    def retry(self, *, report: Report, cancel: Wish) -> Generator[Event, None, None]:
        """Ask the last question again, in place of all that followed it; UsageError when there is none."""
        last_question = next((i for i in reversed(range(len(self.messages))) if self.messages[i].role == "user"), None)
        if last_question is None:
            raise UsageError("There is no question to ask again.", "Ask something first.")
        self._check_not_summarised(last_question)
        before = list(self.messages)
        del self.messages[last_question + 1 :]
        yield from self._turn_or_back(Turn(report, cancel), before)

    def rewind(self, to: int) -> str:
        """Take back the user's message at this index and all that followed it, and give its text to be edited."""
        if not 0 <= to < len(self.messages) or self.messages[to].role != "user":
            raise UsageError(
                f"Message {to} is not a question.", "A conversation is taken back to one of its questions."
            )
        self._check_not_summarised(to)
        text = self.messages[to].text
        del self.messages[to:]
        self._record()
        return text

    def replace(self, messages: Iterable[Message]) -> None:
        """Put other messages in the place of the history, which stays in the session as a branch."""
        self.messages[:] = messages
        self._record()

    def branches(self) -> dict[int, Branch]:
        """The messages that are one of several in their place, by index; none where nothing is kept. StoreError."""
        return self._recording.branches() if self._recording else {}

    def turn_to(self, index: int, step: int) -> None:
        """Go over to the branch so many steps beside a message; UsageError where there is none, StoreError."""
        if self._recording is None:
            raise UsageError("This conversation is not kept, and so are no branches of it.", "Leave out --no-save.")
        self.messages[:] = self._recording.turn_to(index, step)

    def read_ahead(self) -> None:
        """Let the model read what the next prompt will begin with while nobody asks; it returns at once.

        Thoughts are left out of the history, so that the answer behind them would have to be read in the next turn.
        """
        if self._info and self.messages and not self.unfinished and not self.options.raw:
            asked = self.prompt(self._info, [*self.messages, Message("user", "")], asking=False)
            self.engine.read(before_last_turn(asked))

    def clear(self) -> None:
        """Forget what was said; what is said next is another session."""
        self.messages.clear()
        if self._recording:
            self._recording.start_anew()

    def prompt(
        self,
        info: EngineInfo,
        messages: Sequence[Message] | None = None,
        *,
        system: bool = True,
        tools: bool = True,
        asking: bool = True,
    ) -> list[Segment]:
        """What the model is sent when it is asked now, or what other messages would be, perhaps without a preface."""
        instructions = [Message("system", self.options.system)] if self.options.system and system else []
        return render(
            [*instructions, *(self.messages if messages is None else messages)],
            tools=[declaration(tool) for tool in self.tools] if tools else [],
            variant=variant_of(info),
            enable_thinking=self.options.thinking,
            add_generation_prompt=asking,
        )

    def _check_not_summarised(self, question: int) -> None:
        if any(message.summary for message in self.messages[question:]):
            raise UsageError("The answer to this question is part of a summary.", "Ask something new, or begin anew.")

    def _turn_or_back(self, turn: Turn, before: list[Message]) -> Generator[Event, None, None]:
        try:
            yield from self._recorded(turn)
        except ContextFull:
            self.messages[:] = before
            if self._recording:
                self._recording.refuse(self.messages)
            raise

    def _recorded(self, turn: Turn) -> Generator[Event, None, None]:
        """The events of a turn; once the model is loaded, what was said is on the disk before they are passed on."""
        if self._recording:
            self._recording.begin({**asdict(self.options), "tools": [tool.name for tool in self.tools]})
        try:
            with closing(self._turn(turn)) as events:
                for event in events:
                    self._record(event, turn)
                    complaint = self._recording.complaint() if self._recording else ""
                    warned = (Warned(complaint),) if complaint else ()
                    yield from (event, *warned) if isinstance(event, TurnStarted) else (*warned, event)
        finally:
            self._record(turn=turn)

    def _record(self, event: Event | None = None, turn: Turn | None = None) -> None:
        """Keep what was said so far, unless it is the question of a turn whose model can't be loaded at all."""
        if self._recording and (turn is None or turn.counts):
            finished = event if isinstance(event, TurnFinished) else None
            self._recording.keep(self.messages, self._said_so_far, finished)

    def _said_so_far(self) -> list[Message]:
        return self._stream.messages(ended=False) if self._stream else []

    def _turn(self, turn: Turn) -> Generator[Event, None, None]:
        """Rounds of answering calls and asking the model; ContextFull only when nothing was generated."""
        yield TurnStarted()
        info = self._loaded(turn)
        if info is None:
            yield turn.finished("cancelled")
            return
        try:
            check(self.tools, info.context, lambda told: len(self.engine.tokenize(told, turn.cancel)))
        except Cancelled:
            yield turn.finished("cancelled")
            return
        self._record(turn=turn)
        yield from self._told_once(info)
        for _ in range(self.options.max_rounds):
            ending = (yield from self._answer_calls(turn)) or (yield from self._reply(info, turn))
            if ending:
                yield ending
                return
        yield Warned(
            f"The model still wants to call tools after {self.options.max_rounds} rounds; the turn is stopped."
        )
        yield turn.finished("tool_calls")

    def _loaded(self, turn: Turn) -> EngineInfo | None:
        try:
            info = self.engine.start(turn.report, turn.cancel)
        except (Cancelled, EngineDied) as ended:
            turn.counts = True
            if isinstance(ended, Cancelled):
                return None
            raise
        turn.loaded()
        self._info = info
        return info

    def _told_once(self, info: EngineInfo) -> Generator[Event, None, None]:
        """What is to be known of a model."""
        if self._is_told:
            return
        yield from map(Warned, info.warnings)
        self._is_told = True

    def _answer_calls(self, turn: Turn) -> Generator[Event, None, TurnFinished | None]:
        """Run the calls at the end of the history; what it returns ends the turn."""
        for call in unanswered(self.messages):
            if turn.cancel.is_set():
                break
            if turn.times_called(call) >= _MOST_EQUAL_CALLS:
                yield Warned(f"The same call of {call.name} came {_MOST_EQUAL_CALLS} times; the turn is stopped.")
                return turn.finished("tool_calls")
            yield ToolRequested(call)
            result = outcome(call, self.tools, self._approve, turn.cancel)
            self.messages.append(answer(call, result))
            yield ToolFinished(call, result)
        if turn.cancel.is_set():
            self._cancel_calls()
            return turn.finished("cancelled")
        return None

    def _cancel_calls(self) -> None:
        self.messages += [answer(call, CANCELLED) for call in unanswered(self.messages)]

    def _reply(self, info: EngineInfo, turn: Turn) -> Generator[Event, None, TurnFinished | None]:
        """Let the model say something and keep it; what it returns ends the turn, None when there are calls to run."""
        prompt = self.prompt(info)
        stream = ReplyStream(info, start=start_of(prompt), first_call=next_number(self.messages))
        self._stream = stream
        try:
            with closing(self._generated(prompt, self._guidance(info, prompt), turn)) as pieces:
                for piece in pieces:
                    yield from stream.feed(piece)
        except ContextFull:
            if turn.generations == 0:
                raise
            return (yield from self._full(info, turn))
        finally:
            rest = stream.finish()
            turn.thought(stream.thought_tokens)
            ended = turn.completion is not None and turn.completion.reason != "cancelled"
            self.messages += stream.messages(ended=ended)
            self._stream = None
        yield from (event for event in rest if not (turn.cancelled and isinstance(event, MalformedCall)))
        if turn.cancelled:
            self._cancel_calls()
        return (yield from self._ending(info, turn, None if stream.calls else stream.text))

    def _guidance(self, info: EngineInfo, prompt: Sequence[Segment]) -> Guidance:
        return Guidance(
            answer=self.options.constraint,
            calls=call_grammar(self.tools, info.special_tokens),
            thinking=self.options.thinking,
            in_thought=start_of(prompt) == "thought",
            think_budget=self.options.think_budget,
            loop_guard=self.options.loop_guard,
        )

    def _generated(self, prompt: Sequence[Segment], guidance: Guidance, turn: Turn) -> Generator[Piece, None, None]:
        sampling, max_tokens = turn.sampling(self.options.sampling), self.options.max_tokens
        return turn.watch(self.engine.generate(prompt, sampling, max_tokens, turn.report, turn.cancel, guidance))

    def _ending(self, info: EngineInfo, turn: Turn, answer: str | None) -> Generator[Event, None, TurnFinished | None]:
        """How the turn ends after a reply; None when that was no answer but calls, with which it goes on."""
        assert turn.completion is not None, "a generation ends with its Completion"
        yield from map(Warned, turn.completion.warnings)
        if turn.completion.thought_cut:
            yield Warned(f"The thought was ended at its budget of {self.options.think_budget} tokens.")
        match turn.completion.reason:
            case "stop":
                return None if answer is None else (yield from self._answered(turn, answer))
            case "context":
                return (yield from self._full(info, turn))
            case "length":
                yield Warned(f"The answer was cut off at {self.options.max_tokens} tokens, the most that were allowed.")
                return self._cut_off(turn)
            case "loop":
                yield Warned("The model only repeats itself; the answer is cut off here (not with --no-loop-guard).")
                return self._cut_off(turn)
            case "cancelled":
                return turn.finished("cancelled")

    def _answered(self, turn: Turn, answer: str) -> Generator[Event, None, TurnFinished]:
        wrong = complaint(self.options.constraint, answer) if self.options.constraint else None
        if wrong is not None:
            yield Warned(f"The answer is not what the schema asks for: {wrong}.")
        elif not (answer or self.options.raw or self.options.constraint):
            yield Warned("The model ended its turn without an answer.")
        return turn.finished("stop", unsatisfied=wrong is not None)

    def _full(self, info: EngineInfo, turn: Turn) -> Generator[Event, None, TurnFinished]:
        yield Warned(f"The context of {info.context:,} tokens is full; the answer ends here.")
        return self._cut_off(turn, context_full=True)

    def _cut_off(self, turn: Turn, *, context_full: bool = False) -> TurnFinished:
        unsatisfied = self.options.constraint is not None
        return turn.finished("length", context_full=context_full, unsatisfied=unsatisfied)

    def _raw_turn(self, text: str, turn: Turn) -> Generator[Event, None, None]:
        """A text continued as it is; it is no part of the history."""
        yield TurnStarted()
        info = self._loaded(turn)
        if info is None:
            yield turn.finished("cancelled")
            return
        yield from self._told_once(info)
        prompt = markup(text, info.special_tokens)
        if prompt[:1] != [_BOS]:
            prompt.insert(0, _BOS)
        names = {token: name for name, token in info.special_tokens.items()}
        with closing(self._generated(prompt, Guidance(loop_guard=self.options.loop_guard), turn)) as pieces:
            for piece in pieces:
                shown = piece.text or names.get(piece.token, "")
                if shown:
                    yield RawDelta(shown)
        ending = yield from self._ending(info, turn, "")
        assert ending is not None, "only calls keep a turn going"
        yield ending
