"""What can be typed in `g4local chat`: questions, and commands that begin with a slash."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from threading import Event

from g4local.chat import adjusting, toolcosts
from g4local.chat.conversation import Conversation
from g4local.cli import output
from g4local.cli.interrupts import interruptible
from g4local.cli.space import Space
from g4local.cli.turns import Screen, follow, print_stats
from g4local.core import events
from g4local.core.errors import Cancelled, ContextFull, G4Error, TooManyTools, UsageError
from g4local.core.prompt import Segment
from g4local.opening import offering
from g4local.opening.request import Request
from g4local.tools.registry import Tool


class Session:
    """The person's side of a conversation in the terminal."""

    def __init__(self, talk: Conversation, request: Request, bar: output.Bar, cancel: Event) -> None:
        self.open = True
        """False once the person has left."""
        self.exit_code = 0
        """That of the first error, or of the first answer that is not whole unless the person stopped it."""
        self._talk = talk
        self._request = request
        self._bar = bar
        self._cancel = cancel
        self._stats = request.stats
        self._served = tuple(tool for tool in talk.tools if tool.served)
        self._space = Space(talk, bar, cancel)

    @property
    def typed(self) -> list[str]:
        """What the person has typed already, before it is asked for."""
        return self._space.typed

    def take(self, text: str) -> None:
        """Answer a question or carry out a command; an error is told, and the conversation goes on."""
        try:
            if text.startswith("/"):
                name, *argument = text[1:].split(maxsplit=1)[:2] or [""]
                self._command(name, argument[0].strip() if argument else "")
            elif text.strip():
                self._ask(lambda: self._talk.say(text, report=self._bar.report, cancel=self._cancel), text)
        except Cancelled as stopped:
            output.note(stopped.message)
        except G4Error as error:
            output.error(error.message, error.hint)
            self._note(error.exit_code)

    def _ask(self, begin: Callable[[], Generator[events.Event, None, None]], question: str = "") -> None:
        """Run a turn; where it does not fit, and the person makes room for it, run it again."""
        try:
            self._turn(begin())
        except TooManyTools:
            raise
        except ContextFull as full:
            if self._space.make_room(question, full):
                self._turn(begin())
            else:
                self._note(full.exit_code)

    def _command(self, name: str, argument: str) -> None:
        command = _COMMANDS.get(_ALIASES.get(name, name))
        if command is None:
            raise UsageError(f"There is no command /{name}.", "/help lists the commands.")
        if argument and command not in _WITH_ARGUMENT:
            raise UsageError(f"/{name} stands alone.", f"Type /{name} and nothing behind it.")
        command(self, argument)

    def _turn(self, turn: Generator[events.Event, None, None]) -> None:
        screen = Screen(self._bar, is_prose=not self._request.constrained)
        self._cancel.clear()
        with interruptible(self._cancel):
            outcome = follow(turn, screen.show)
        screen.end()
        if outcome.error:
            raise outcome.error
        if outcome.finished and outcome.finished.reason == "cancelled":
            output.note("Stopped. /retry asks again" + (", /continue goes on." if self._talk.unfinished else "."))
        else:
            self._note(outcome.exit_code)
        if outcome.finished:
            self._tell_of_a_limit(outcome.finished)
        if outcome.finished and self._stats:
            print_stats(outcome.finished)
        if outcome.finished and outcome.finished.reason != "cancelled":
            self._space.look(outcome.finished)
            self._talk.read_ahead()

    def _tell_of_a_limit(self, finished: events.TurnFinished) -> None:
        most = self._talk.options.max_tokens
        if finished.reason == "length" and not finished.context_full and 0 < most <= finished.usage.completion:
            output.note("/set max_tokens 0 and /retry ask again without that limit.")

    def _note(self, exit_code: int) -> None:
        self.exit_code = self.exit_code or exit_code

    def _help(self, argument: str) -> None:
        """list the commands"""
        for name, command in _COMMANDS.items():
            output.note(f"  /{name:<10}{command.__doc__}")
        output.note('  """          begin and end a question of several lines')

    def _set(self, argument: str) -> None:
        """show or change settings: /set, /set seed, /set seed 7, /set seed none"""
        name, _, value = argument.removeprefix("parameter ").strip().partition(" ")
        name, value = name.lstrip("-").replace("-", "_"), value.strip()
        name = _FLAGS.get(name, name)
        settings = self._settings()
        if name and name not in settings:
            raise UsageError(f"There is no setting {name!r}.", f"Settings: {', '.join(settings)}.")
        if value:
            self._change(name, value)
        for each, now in self._settings().items():
            if name in ("", each):
                output.note(f"  {each:<16}{'none' if now in (None, '') else now}")

    def _change(self, name: str, value: str) -> None:
        if name == "stats":
            self._stats = adjusting.switch(value, self._stats)
        elif name == "think":
            self._talk.options = replace(self._talk.options, thinking=adjusting.switch(value, False))
        else:
            self._talk.options = adjusting.adjusted(self._talk.options, name, value)

    def _system(self, argument: str) -> None:
        """show or change the system prompt: /system Be brief., /system none"""
        self._set(f"system {argument}")

    def _think(self, argument: str) -> None:
        """think before answering, or not: /think on, /think off"""
        options = self._talk.options
        self._talk.options = replace(options, thinking=adjusting.switch(argument, options.thinking))
        output.note(f"Thinking is {'on' if self._talk.options.thinking else 'off'}.")

    def _tools(self, argument: str) -> None:
        """show or choose tools: /tools on, /tools off, /tools clock calculate"""
        known, warnings = offering.local(self._request)
        known += self._served
        for warning in warnings:
            output.warning(warning)
        if argument:
            self._talk.tools = offering.chosen(argument, known)
        self._list(known)

    def _list(self, known: Sequence[Tool]) -> None:
        """Tools with their tokens, and whether the model is told of them."""
        self._cancel.clear()
        with interruptible(self._cancel):
            context = self._talk.load(self._bar.report, self._cancel).context
            costs = [toolcosts.cost(tool, self._tokens) for tool in known]
        self._bar.stop()
        offered = {tool.name for tool in self._talk.tools}
        width = max(len(tool.name) for tool in known)
        for tool, cost in zip(known, costs, strict=True):
            is_on = "on " if tool.name in offered else "off"
            output.note(f"  {is_on}  {tool.name:<{width}}  {cost:>5,} tokens  {output.shortened(tool.description)}")
        total = sum(cost for tool, cost in zip(known, costs, strict=True) if tool.name in offered)
        output.note(f"Those that are on take {total:,} of the context's {context:,} tokens.")
        toolcosts.check(self._talk.tools, context, self._tokens)

    def _tokens(self, told: list[Segment]) -> int:
        return len(self._talk.engine.tokenize(told, self._cancel))

    def _retry(self, argument: str) -> None:
        """ask the last question again"""
        self._ask(lambda: self._talk.retry(report=self._bar.report, cancel=self._cancel))

    def _continue(self, argument: str) -> None:
        """go on with a turn that broke off before its answer"""
        self._ask(lambda: self._talk.resume(report=self._bar.report, cancel=self._cancel))

    def _undo(self, argument: str) -> None:
        """take back the last question and its answer"""
        questions = [index for index, message in enumerate(self._talk.messages) if message.role == "user"]
        if not questions:
            raise UsageError("There is no question to take back.", "Ask something first.")
        output.note(f"Taken back: {self._talk.rewind(questions[-1])}")

    def _clear(self, argument: str) -> None:
        """begin a new conversation"""
        left = self._talk.session
        self._talk.clear()
        output.note("A new conversation begins." + (f" The last one is kept as session {left}." if left else ""))

    def _context(self, argument: str) -> None:
        """show what the context is filled with"""
        self._space.show()

    def _drop(self, argument: str) -> None:
        """make room: take out what tools answered"""
        self._space.drop()

    def _compact(self, argument: str) -> None:
        """make room: let the model summarise the older turns"""
        self._space.compact()

    def _bye(self, argument: str) -> None:
        """leave (also /exit, or Ctrl-D)"""
        self.open = False

    def _settings(self) -> dict[str, object]:
        switches = {"think": self._talk.options.thinking, "stats": self._stats}
        return {**adjusting.settings(self._talk.options), **{name: _ON_OFF[now] for name, now in switches.items()}}


_COMMANDS: dict[str, Callable[[Session, str], None]] = {
    "set": Session._set,
    "system": Session._system,
    "think": Session._think,
    "tools": Session._tools,
    "retry": Session._retry,
    "continue": Session._continue,
    "undo": Session._undo,
    "context": Session._context,
    "drop": Session._drop,
    "compact": Session._compact,
    "clear": Session._clear,
    "help": Session._help,
    "bye": Session._bye,
}
_WITH_ARGUMENT = (Session._set, Session._system, Session._think, Session._tools)
_ON_OFF = {True: "on", False: "off"}
_FLAGS = {"temp": "temperature", "s": "system", "n": "max_tokens", "verbose": "stats"}
"""Settings by the other names that flags have."""
_ALIASES = {"?": "help", "exit": "bye", "quit": "bye"}
