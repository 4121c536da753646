"""Whether a tool may run: the rules say so, or --yes, or the person; where nobody can be asked it may not."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from g4local.cli import asking
from g4local.cli.turns import call_text
from g4local.core.errors import G4Error
from g4local.core.messages import ToolCall
from g4local.tools import permissions
from g4local.tools.tool import ToolError


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rules hold for a conversation."""

    rules: Path
    """Their file."""
    folder: Path
    session: Callable[[], str | None]
    """The id of the session that it is kept as just now."""


class Approval:
    """Asks the person where no rule says whether a tool may run, and keeps as a rule what is meant as one."""

    def __init__(
        self, scope: Scope, *, everything: bool, announced: bool, warn: Callable[[str], None], cancel: Event
    ) -> None:
        """`everything`: nobody is asked; `announced`: the call is on the screen already when it is asked for."""
        self._scope = scope
        self._everything = everything
        self._announced = announced
        self._warn = warn
        self._cancel = cancel
        self._always: set[tuple[str | None, str]] = set()
        """Sessions and the tools that may run in them, for those that are not kept."""

    def ask(self, call: ToolCall) -> bool:
        """Whether this call may run; ToolError for why it may not. Ctrl-C at the question stops the turn."""
        session = self._scope.session()
        rule = permissions.read(self._scope.rules).permission(call.name, self._scope.folder, session)
        if rule == "deny":
            raise ToolError("it may not run: the user's rules deny it")
        if rule == "allow" or self._everything or (session, call.name) in self._always:
            return True
        if not asking.can_ask():
            self._warn(f"Nobody can be asked whether {call.name} may run, so it may not; --yes allows every tool.")
            raise ToolError("it may not run, since there is nobody who could be asked")
        question = f"Run {'it' if self._announced else call_text(call)}?"
        answer = asking.reply(
            f"{question} [y]es, [a]lways in this chat, in this [f]older, [n]o: ", self._cancel
        ).lower()
        if answer.startswith("a"):
            self._always.add((session, call.name))
            if session is not None:
                self._keep(call.name, session=session)
        elif answer.startswith("f"):
            self._always.add((session, call.name))
            self._keep(call.name, folder=self._scope.folder)
        return answer[:1] in ("y", "a", "f")

    def _keep(self, tool: str, *, folder: Path | None = None, session: str | None = None) -> None:
        try:
            permissions.remember(self._scope.rules, tool, "allow", folder=folder, session=session)
        except G4Error as error:
            self._warn(f"It is allowed for now only: {error.message}")
