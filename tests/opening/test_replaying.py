"""Which turn is asked again, with which history and settings; what it says again is in tests/cli/test_replay.py."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from g4local.backend.engine import Constraint, Sampling
from g4local.chat.conversation import ConversationOptions
from g4local.core.errors import UsageError
from g4local.core.messages import Json, Message, ToolCall
from g4local.opening import replaying
from g4local.store.store import Store

CALL = Message("assistant", tool_calls=(ToolCall("clock", {}, "call_0"),))
RESULT = Message("tool", "noon", tool_call_id="call_0", name="clock")


def settings(**options: object) -> dict[str, Json]:
    asked = asdict(ConversationOptions(**options))  # type: ignore[arg-type]
    return {"model": "demo", "file": "demo.gguf", "quant": None, "ctx": 512, "mcp": [], "tools": ["clock"], **asked}


def result(reason: str = "stop", seed: int = 7) -> dict[str, Json]:
    return {"reason": reason, "seed": seed, "usage": {"completion": 5}}


class Session:
    """A session that is written turn by turn."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        with self.store.writing():
            self.id = self.store.start("a session")
        self.heads: list[int | None] = [None]

    def turn(self, after: int, asked: Mapping[str, Json], ended: Mapping[str, Json] | None, *said: Message) -> None:
        """Messages behind the one of this number, 0 is the beginning."""
        with self.store.writing():
            turn, head = self.store.begin_turn(asked), self.heads[after]
            for message in said:
                head = self.store.append(self.id, head, message, turn=turn)
                self.heads.append(head)
            if ended is not None:
                self.store.end_turn(turn, ended)
            self.store.move_head(self.id, head)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path / "sessions.db")


def said(path: Path, number: int | None = None) -> tuple[list[str], list[str]]:
    """The words before a turn and in it."""
    found = replaying.find(path, None, number)
    return [message.text for message in found.before], [message.text for message in found.said]


def test_a_turn_is_found_by_any_of_its_messages(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    session.turn(0, settings(), result(), Message("user", "hi"), Message("assistant", "Hello."))
    session.turn(2, settings(), result(), Message("user", "time?"), CALL, RESULT, Message("assistant", "Noon."))
    whole = (["hi", "Hello.", "time?"], ["", "noon", "Noon."])
    assert [said(path, number) for number in (None, 3, 4, 5, 6)] == [whole] * 5
    assert said(path, 1) == said(path, 2) == (["hi"], ["Hello."])


def test_an_answer_that_was_asked_again_is_one_of_two_branches(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    session.turn(0, settings(), result(), Message("user", "hi"), Message("assistant", "One."))
    session.turn(1, settings(), result(seed=8), Message("assistant", "Two."))
    assert (said(path, 2), said(path, 3)) == ((["hi"], ["One."]), (["hi"], ["Two."]))
    assert [replaying.find(path, None, number).options.sampling.seed for number in (2, 3)] == [7, 8]


def test_it_is_asked_as_it_was(session: Session, tmp_path: Path) -> None:
    asked = ConversationOptions("Be brief.", True, Sampling(0.5, 3), 40, 20, Constraint("regex", "a+"), False, 2)
    session.turn(0, settings(**{name: getattr(asked, name) for name in ConversationOptions.__slots__}),
                 result(), Message("user", "hi"), Message("assistant", "aa"))  # fmt: skip
    found = replaying.find(tmp_path / "sessions.db", session.id[:5], None)
    assert asdict(found.options) == {**asdict(asked), "sampling": asdict(Sampling(0.5, 3, seed=7))}
    assert (found.request.model, found.request.ctx, found.request.tool) == ("demo", 512, ["clock"])
    assert not found.request.save and found.tools == ["clock"]


def test_what_is_the_same(session: Session, tmp_path: Path) -> None:
    path, hi = tmp_path / "sessions.db", Message("user", "hi")
    session.turn(0, settings(), result(), hi, Message("assistant", "One two.", "Hm."))
    whole = replaying.find(path, None, None)
    assert whole.is_repeated_by([hi, Message("assistant", "One two.", "Hm.")])
    for other in ([hi], [hi, Message("assistant", "One two.")], [hi, Message("assistant", "One", "Hm.")]):
        assert not whole.is_repeated_by(other)


def test_of_an_answer_that_was_stopped_the_beginning_is_the_same(session: Session, tmp_path: Path) -> None:
    path, hi = tmp_path / "sessions.db", Message("user", "hi")
    session.turn(0, settings(), result("cancelled"), hi, Message("assistant", "One tw"))
    found = replaying.find(path, None, None)
    assert found.options.max_tokens == 5, "and not until the context is full"
    assert found.is_repeated_by([hi, Message("assistant", "One two three.")])
    assert not found.is_repeated_by([hi, Message("assistant", "One.")])


def test_what_is_no_whole_answer_is_not_asked_again(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with pytest.raises(UsageError, match="no session yet"):
        replaying.find(path, None, None)
    session.turn(0, settings(), None, Message("user", "hi"), Message("assistant", "Hel"))
    session.turn(2, {"model": "demo", "system": ""}, result(), Message("user", "so?"), Message("assistant", "Hello."))
    for number, complaint in ((2, "whole answer"), (4, "How this turn was asked"), (5, "no message 5")):
        with pytest.raises(UsageError, match=complaint):
            replaying.find(path, None, number)
    with pytest.raises(UsageError, match="no session yet"):
        replaying.find(tmp_path / "none.db", None, None)
