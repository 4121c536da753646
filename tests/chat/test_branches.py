"""Branches of a conversation: what was edited or asked again is not lost, and can be gone back to."""

import random
from pathlib import Path

import pytest

from g4local.chat.conversation import Conversation
from g4local.core.errors import UsageError
from g4local.core.progress import silent
from g4local.store.branches import Branch
from tests.chat.talk import conversation, said
from tests.chat.test_recording import Wish, kept, stored


def texts(talk: Conversation) -> list[str]:
    return [message.text for message in talk.messages]


def test_an_edited_question_is_one_of_two(tmp_path: Path) -> None:
    with kept(tmp_path / "s.db", "one", "two", "three") as talk:
        said(talk, "first")
        said(talk, "second")
        assert talk.branches() == {}
        talk.rewind(2)
        said(talk, "other")
        assert texts(talk) == ["first", "one", "other", "three"]
        assert talk.branches() == {2: Branch(2, 2)}
        talk.turn_to(2, -1)
        assert texts(talk) == ["first", "one", "second", "two"]
        assert talk.branches() == {2: Branch(1, 2)}
        assert stored(tmp_path / "s.db", talk.session) == talk.messages


def test_what_is_said_after_a_change_of_branch_follows_it(tmp_path: Path) -> None:
    with kept(tmp_path / "s.db", "one", "two", "three") as talk:
        said(talk, "first")
        list(talk.retry(report=silent, cancel=Wish()))
        assert talk.branches() == {1: Branch(2, 2)}
        talk.turn_to(1, -1)
        said(talk, "second")
        assert texts(talk) == ["first", "one", "second", "three"]
        assert stored(tmp_path / "s.db", talk.session) == talk.messages
        assert talk.branches() == {1: Branch(1, 2)}


def test_the_first_question_has_branches_as_well(tmp_path: Path) -> None:
    with kept(tmp_path / "s.db", "one", "two") as talk:
        said(talk, "first")
        talk.rewind(0)
        said(talk, "other")
        assert talk.branches() == {0: Branch(2, 2)}
        talk.turn_to(0, -1)
        assert texts(talk) == ["first", "one"]


@pytest.mark.parametrize(("index", "step"), [(0, -1), (0, 1), (1, 1), (7, 1)])
def test_where_there_is_no_other_branch_nothing_changes(tmp_path: Path, index: int, step: int) -> None:
    with kept(tmp_path / "s.db", "one") as talk:
        said(talk, "first")
        with pytest.raises(UsageError, match="no other branch"):
            talk.turn_to(index, step)
        assert texts(talk) == ["first", "one"]


def test_what_is_not_kept_has_no_branches() -> None:
    talk, _ = conversation("one")
    said(talk, "first")
    assert talk.branches() == {}
    with pytest.raises(UsageError, match="not kept"):
        talk.turn_to(0, 1)


def test_every_branch_that_was_ever_said_can_be_gone_to(tmp_path: Path) -> None:
    chance = random.Random(5)
    with kept(tmp_path / "s.db", *(f"answer {number}" for number in range(40))) as talk:
        ever: set[str] = set()
        for number in range(40):
            questions = [index for index, each in enumerate(talk.messages) if each.role == "user"]
            if questions and chance.random() < 0.5:
                talk.rewind(chance.choice(questions))
            said(talk, f"question {number}")
            ever.add(f"question {number}")
        seen: set[str] = set()
        walk(talk, 0, seen)
        assert seen & ever == ever


def walk(talk: Conversation, index: int, seen: set[str]) -> None:
    """Go through all branches that part at this message or behind it."""
    while (branch := talk.branches().get(index)) and branch.number > 1:
        talk.turn_to(index, -1)
    while True:
        seen.update(texts(talk))
        if index + 1 < len(talk.messages):
            walk(talk, index + 1, seen)
        branch = talk.branches().get(index)
        if not branch or branch.number == branch.of:
            return
        talk.turn_to(index, 1)
