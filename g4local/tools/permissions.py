"""Which tools may run: rules in a JSON file that a person can read and write.

    {"tools": {"calculate": "allow", "run_shell": "deny"},
     "folders": {"/home/ada/notes": {"read_file": "allow"}},
     "sessions": {"3f2a9c1d": {"clock": "allow"}}}

The rule of the session counts before that of the folder, a folder's before that of one above it, and these before the
one for everywhere. Where there is no rule, the person is asked. The folder is the one that the file tools see.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from g4local.core.errors import G4Error, UsageError, reason
from g4local.core.files import write_whole
from g4local.core.locks import alone

Permission = Literal["allow", "ask", "deny"]

_Rules = dict[str, Permission]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the person has said of tools, by their names."""

    tools: _Rules = field(default_factory=dict)
    """Everywhere."""
    folders: dict[str, _Rules] = field(default_factory=dict)
    """By the path of the folder."""
    sessions: dict[str, _Rules] = field(default_factory=dict)
    """By the id of the session."""

    def permission(self, tool: str, folder: Path, session: str | None = None) -> Permission:
        """Whether a tool may run in a session that is held in a folder."""
        here = Path(os.path.realpath(folder))
        nearest = sorted((each for each in self.folders if here.is_relative_to(_real(each))), key=_depth, reverse=True)
        scopes = [self.sessions.get(session or "", {}), *(self.folders[each] for each in nearest), self.tools]
        return next((rules[tool] for rules in scopes if tool in rules), "ask")


def read(file: Path) -> Rules:
    """The rules of a file, none where there is no file; UsageError for one that can't be understood."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Rules()
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} can't be read: {reason(error)}.", "Mend it, or delete it.") from error
    groups = _table(file, content)
    if unknown := groups.keys() - {"tools", "folders", "sessions"}:
        raise UsageError(f"{file} has the unknown key {min(unknown)!r}.", "Its keys are tools, folders and sessions.")
    return Rules(
        _rules(file, groups.get("tools", {})),
        {_path(file, path): _rules(file, rules) for path, rules in _table(file, groups.get("folders", {})).items()},
        {name: _rules(file, rules) for name, rules in _table(file, groups.get("sessions", {})).items()},
    )


def remember(
    file: Path, tool: str, permission: Permission | None, *, folder: Path | None = None, session: str | None = None
) -> None:
    """Add a rule to the file, for a folder, for a session or for everywhere; what others add meanwhile is kept.

    None takes the rule back.
    """

    def changed(rules: Rules) -> None:
        groups, key = (rules.sessions, session or "") if folder is None else (rules.folders, os.path.realpath(folder))
        is_everywhere = folder is None and session is None
        place = rules.tools if is_everywhere else groups.setdefault(key, {})
        if permission is not None:
            place[tool] = permission
            return
        place.pop(tool, None)
        if not (place or is_everywhere):
            del groups[key]

    _change(file, changed)


def forget(file: Path, sessions: Iterable[str]) -> None:
    """Take out the rules of sessions that are no more."""
    gone = set(sessions) & read(file).sessions.keys()
    if gone:
        _change(file, lambda rules: [rules.sessions.pop(each, None) for each in gone])


def hand_on(file: Path, session: str, fork: str) -> None:
    """Let the rules of a session that keep tools from running hold in its fork; what it allows is for itself alone."""
    kept: _Rules = {tool: rule for tool, rule in read(file).sessions.get(session, {}).items() if rule != "allow"}
    if kept:
        _change(file, lambda rules: rules.sessions.update({fork: kept}))


def _change(file: Path, change: Callable[[Rules], object]) -> None:
    try:
        with alone(file):
            rules = read(file)
            change(rules)
            content = {"tools": rules.tools, "folders": rules.folders, "sessions": rules.sessions}
            write_whole(file, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise G4Error(f"{file} can't be written: {reason(error)}.", "Check your rights there.") from error


def _rules(file: Path, content: Any) -> _Rules:
    for tool, permission in _table(file, content).items():
        if permission not in get_args(Permission):
            raise UsageError(
                f"{file} has the unknown permission {permission!r} for {tool}.", "It is allow, ask or deny."
            )
    return dict(content)


def _table(file: Path, content: Any) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise UsageError(f"{file} is not what it should be.", 'It looks like {"tools": {"run_shell": "deny"}}.')
    return content


def _path(file: Path, folder: str) -> str:
    try:
        _real(folder)
    except ValueError as error:
        raise UsageError(f"{file} names the folder {folder!r}, which can't be one.", "Mend it.") from error
    return folder


def _real(folder: str) -> str:
    return os.path.realpath(os.path.expanduser(folder))  # noqa: PTH111 (Path.expanduser fails for unknown users)


def _depth(folder: str) -> int:
    return len(Path(_real(folder)).parts)
