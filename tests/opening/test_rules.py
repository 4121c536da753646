"""Rules for tools: each of allow, ask and deny, everywhere, for a folder and for a session, whoever can be asked."""

from itertools import product
from pathlib import Path
from threading import Event

import pytest

from g4local.core.messages import Message, ToolCall
from g4local.core.progress import silent
from g4local.opening import keeping, offering
from g4local.opening.approval import Answer, Approval, Scope
from g4local.opening.request import Request
from g4local.settings import paths
from g4local.store.store import Store
from g4local.tools import permissions
from g4local.tools.permissions import Permission, Rules
from g4local.tools.tool import ToolError

CALL = ToolCall("calculate", {"expression": "1"})
SESSION = "3f2a9c1d"
PERMISSIONS: tuple[Permission, ...] = ("allow", "ask", "deny")


def approval(home: Path, answer: Answer | None, *, everything: bool = False) -> tuple[Approval, list[str], list[str]]:
    """An Approval in a session and a folder, what it asks, and what it warns of."""
    asked: list[str] = []
    warned: list[str] = []

    def ask(call: ToolCall) -> Answer | None:
        asked.append(call.name)
        return answer

    scope = Scope(home / "permissions.json", home / "folder", lambda: SESSION)
    return Approval(scope, everything=everything, ask=ask, warn=warned.append), asked, warned


def set_rule(home: Path, place: str, permission: Permission) -> None:
    folder = home / "folder" if place == "folders" else None
    session = SESSION if place == "sessions" else None
    permissions.remember(home / "permissions.json", "calculate", permission, folder=folder, session=session)


@pytest.mark.parametrize("place", ["tools", "folders", "sessions"])
@pytest.mark.parametrize("answer", ["once", "no", None])
@pytest.mark.parametrize("everything", [False, True])
def test_allow_runs_unasked_and_deny_never_runs(
    own_home: Path, place: str, answer: Answer | None, everything: bool
) -> None:
    for permission in ("allow", "deny"):
        set_rule(own_home, place, permission)
        asking, asked, warned = approval(own_home, answer, everything=everything)
        if permission == "allow":
            assert asking.ask(CALL)
        else:
            with pytest.raises(ToolError, match="rules deny"):
                asking.ask(CALL)
        assert not asked and not warned


@pytest.mark.parametrize("place", ["tools", "folders", "sessions", ""])
def test_ask_asks_the_person_unless_nobody_is_to_be_asked_or_can(own_home: Path, place: str) -> None:
    """Without any rule, too."""
    if place:
        set_rule(own_home, place, "ask")
    for answer, may_run in (("once", True), ("no", False)):
        asking, asked, _ = approval(own_home, answer)  # type: ignore[arg-type]
        assert [asking.ask(CALL), asking.ask(CALL)] == [may_run, may_run]
        assert len(asked) == 2
    asking, asked, warned = approval(own_home, None, everything=True)
    assert asking.ask(CALL) and not asked and not warned
    asking, asked, warned = approval(own_home, None)
    with pytest.raises(ToolError, match="nobody"):
        asking.ask(CALL)
    assert len(warned) == 1 and "--yes" in warned[0]


@pytest.mark.parametrize(("answer", "place"), [("session", "sessions"), ("folder", "folders")])
def test_always_is_kept_where_it_was_said_for_and_nowhere_else(own_home: Path, answer: Answer, place: str) -> None:
    asking, asked, _ = approval(own_home, answer)
    assert asking.ask(CALL) and asking.ask(CALL)
    assert len(asked) == 1
    rules = permissions.read(own_home / "permissions.json")
    key = {"sessions": SESSION, "folders": str(own_home / "folder")}[place]
    assert getattr(rules, place) == {key: {"calculate": "allow"}}
    assert rules.tools == {} and getattr(rules, {"sessions": "folders", "folders": "sessions"}[place]) == {}
    assert rules.permission("calculate", own_home / "folder", SESSION) == "allow"
    assert rules.permission("calculate", own_home / "elsewhere", "another") == "ask"
    assert rules.permission("clock", own_home / "folder", SESSION) == "ask"


def test_of_all_rules_the_session_s_counts_then_the_nearest_folder_s_then_the_one_for_everywhere(
    tmp_path: Path,
) -> None:
    choices: tuple[Permission | None, ...] = (None, *PERMISSIONS)
    for session, below, above, everywhere in product(choices, repeat=4):
        rules = Rules(
            {"clock": everywhere} if everywhere else {},
            {
                str(tmp_path): {"clock": above} if above else {},
                str(tmp_path / "below"): {"clock": below} if below else {},
            },
            {SESSION: {"clock": session} if session else {}},
        )
        assert rules.permission("clock", tmp_path / "below", SESSION) == (
            session or below or above or everywhere or "ask"
        )
        assert rules.permission("clock", tmp_path / "below") == (below or above or everywhere or "ask")
        assert rules.permission("clock", tmp_path) == (above or everywhere or "ask")
        assert rules.permission("clock", tmp_path / ".." / "elsewhere") == (everywhere or "ask")


@pytest.fixture
def session(own_home: Path) -> str:
    """A session that can be gone on with."""
    with Store(paths({"G4LOCAL_HOME": str(own_home)}).sessions) as store, store.writing():
        name = store.start("Tea")
        store.move_head(name, store.append(name, None, Message("user", "hi")))
    return name


@pytest.mark.parametrize("save", [True, False])
def test_a_session_s_rules_say_what_is_offered_when_it_is_gone_on_with(
    own_home: Path, session: str, save: bool
) -> None:
    file = own_home / "permissions.json"
    permissions.remember(file, "clock", "deny", session=session)
    permissions.remember(file, "calculate", "allow", session=session)
    permissions.remember(file, "calculate", "deny")

    def offered(**asked: object) -> list[str]:
        request = Request("demo", tool=["clock", "calculate"], folder=own_home, save=save, **asked)  # type: ignore[arg-type]
        with (
            keeping.opened(request, raw=False) as kept,
            offering.offered(kept.request, silent, Event(), lambda warning: None, kept.session) as tools,
        ):
            return [tool.name for tool in tools]

    assert offered(session=session) == offered(go_on=True) == ["calculate"]
    assert offered() == ["clock"]
