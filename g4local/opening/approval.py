"""Whether a tool may run: the rules say so, or the request, or the person; where nobody can be asked it may not."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from g4local.core.errors import G4Error
from g4local.core.messages import ToolCall
from g4local.tools import permissions
from g4local.tools.tool import ToolError

Answer = Literal["once", "session", "folder", "no"]
"""What a person says of a call: now, always in this session, always in this folder, not at all."""

Ask = Callable[[ToolCall], Answer | None]
"""Asks the person whether a call may run; None when there is nobody to be asked."""


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

    def __init__(self, scope: Scope, *, everything: bool, ask: Ask, warn: Callable[[str], None]) -> None:
        """`everything`: nobody is asked."""
        self._scope = scope
        self._everything = everything
        self._ask = ask
        self._warn = warn
        self._always: set[tuple[str | None, str]] = set()
        """Sessions and the tools that may run in them, for those that are not kept."""

    def ask(self, call: ToolCall) -> bool:
        """Whether this call may run; ToolError for why it may not."""
        session = self._scope.session()
        rule = permissions.read(self._scope.rules).permission(call.name, self._scope.folder, session)
        if rule == "deny":
            raise ToolError("it may not run: the user's rules deny it")
        if rule == "allow" or self._everything or (session, call.name) in self._always:
            return True
        answer = self._ask(call)
        if answer is None:
            self._warn(f"Nobody can be asked whether {call.name} may run, so it may not; --yes allows every tool.")
            raise ToolError("it may not run, since there is nobody who could be asked")
        if answer in ("session", "folder"):
            self._always.add((session, call.name))
        if answer == "session" and session is not None:
            self._keep(call.name, session=session)
        elif answer == "folder":
            self._keep(call.name, folder=self._scope.folder)
        return answer != "no"

    def _keep(self, tool: str, *, folder: Path | None = None, session: str | None = None) -> None:
        try:
            permissions.remember(self._scope.rules, tool, "allow", folder=folder, session=session)
        except G4Error as error:
            self._warn(f"It is allowed for now only: {error.message}")
