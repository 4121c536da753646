"""Whether a tool may run: --yes says so, or the person at the terminal; where nobody can be asked it may not."""

from collections.abc import Callable
from threading import Event

from g4local.cli import asking
from g4local.cli.turns import call_text
from g4local.core.messages import ToolCall
from g4local.tools.tool import ToolError


class Approval:
    """Remembers which tools the person allowed for good."""

    def __init__(self, *, everything: bool, announced: bool, warn: Callable[[str], None], cancel: Event) -> None:
        """`announced`: the call is on the screen already when it is asked for."""
        self._everything = everything
        self._announced = announced
        self._warn = warn
        self._cancel = cancel
        self._always: set[str] = set()

    def ask(self, call: ToolCall) -> bool:
        """Whether this call may run; ToolError where nobody can be asked. Ctrl-C at the question stops the turn."""
        if self._everything or call.name in self._always:
            return True
        if not asking.can_ask():
            self._warn(f"Nobody can be asked whether {call.name} may run, so it may not; --yes allows every tool.")
            raise ToolError("it may not run, since there is nobody who could be asked")
        question = f"Run {'it' if self._announced else call_text(call)}? [y]es, [a]lways {call.name}, [n]o: "
        answer = asking.reply(question, self._cancel).lower()
        if answer.startswith("a"):
            self._always.add(call.name)
        return answer[:1] in ("y", "a")
