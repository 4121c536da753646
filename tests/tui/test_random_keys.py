"""Random keys, pastes, clicks and sizes while the model streams and tools ask: the app goes on, and nothing is lost."""

import asyncio
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event as Wish
from typing import Any

import pytest
from textual import events
from textual.app import App
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Size
from textual.message_pump import MessagePump
from textual.pilot import Pilot

from g4local.opening.request import Request
from g4local.settings import paths
from g4tui import keys
from g4tui.app import G4App
from g4tui.screens.chat import ChatScreen
from g4tui.talk import Talk
from g4tui.widgets.prompt import Prompt
from g4tui.workers import turns
from tests.fakes import ScriptedEngine
from tests.tui.pilots import drive, seen, typed, until

_CALL = '<|tool_call>call:calculate{expression:<|"|>48 * 17<|"|>}<tool_call|>'
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
# A widget that was removed just before the end has a coroutine that Python collects after its event loop has gone.

_LAST = "The very last answer"
_KEYS = [key for scope in keys.KEYS.values() for row in scope for key in row.keys.split(",")]
_MORE_KEYS = ["tab", "shift+tab", "ctrl+a", "ctrl+k", "ctrl+u", "ctrl+w", "ctrl+p", "shift+left", "f1", "f12", "ctrl+c"]
_LEFT_OUT = {"ctrl+q", "ctrl+z", "d", "delete"}
"""They leave the app, stop it, or remove a session for good."""
_PASTES = [
    "[bold]no[/markup]",
    "\x1b[31mred\x1b[0m",
    "two\nlines",
    "/tmp/a file.png",
    "漢字 🙂 e\u0301",
    "<|turn>",
    "x" * 3000,
]
_SIZES = [(80, 24), (40, 10), (200, 60), (20, 5), (120, 30)]


def _replies(chance: random.Random) -> Iterator[str]:
    """Long answers, short ones, calls and thoughts, each unlike the others."""
    number = 0
    while True:
        number += 1
        yield chance.choice(
            (
                f"Answer {number}. " + "word " * chance.randrange(2000),
                f"# Answer {number}\n\n```python\nprint({number})\n```\n\n| a | b |\n|---|---|\n| 1 | {number} |\n",
                f"Let me see, {number}.{_CALL}",
                f"<|channel>thought\nI think of {number}.<channel|>Answer {number}.",
            )
        )


class Endless(list[Any]):
    """Replies that never run out, but for those that are to come first."""

    def __init__(self, replies: Iterator[str]) -> None:
        super().__init__()
        self._replies = replies

    def __bool__(self) -> bool:
        return True

    def pop(self, _index: Any = -1) -> Any:
        """The next reply."""
        return super().pop(0) if len(self) else next(self._replies)


def _press(app: App[None], chance: random.Random) -> None:
    app.simulate_key(chance.choice([each for each in (*_KEYS, *_MORE_KEYS) if each not in _LEFT_OUT]))


def _type(app: App[None], chance: random.Random) -> None:
    app.simulate_key(chance.choice("abyn/@ [0"))


def _ask(app: App[None], chance: random.Random) -> None:
    for key in ("f2", *f"q{chance.randrange(1000)}", "enter"):
        app.simulate_key(key)


def _paste(app: App[None], chance: random.Random) -> None:
    app.post_message(events.Paste(chance.choice(_PASTES)))


def _click(app: App[None], chance: random.Random) -> None:
    x, y = chance.randrange(app.size.width), chance.randrange(app.size.height)
    for event in (events.MouseMove, events.MouseDown, events.MouseUp):
        app.post_message(event(None, x, y, 0, 0, 1, False, False, False, x, y))


def _resize(app: App[None], chance: random.Random) -> None:
    assert isinstance(app._driver, HeadlessDriver)
    size = app._driver._size = Size(*chance.choice(_SIZES))
    app.post_message(events.Resize(size, size))


_THINGS = {_press: 30, _type: 25, _ask: 12, _paste: 5, _click: 15, _resize: 4}
"""What is done, and how often of a hundred times or so."""


_REST = 0.4
"""How often the app has time to do what was asked for."""


async def _to_rest(pilot: Pilot[None], chat: ChatScreen) -> None:
    """Close what is open over the chat, and wait until nothing is done there."""
    await pilot.resize_terminal(80, 24)

    def is_at_rest() -> bool:
        if pilot.app._exception:
            raise pilot.app._exception
        if pilot.app.screen is not chat:
            pilot.app.simulate_key("escape")
            pilot.app.simulate_key("f2")
            return False
        if chat._errands.is_busy or chat._waiting:
            pilot.app.simulate_key("escape")
            return False
        return True

    await until(pilot, is_at_rest)
    await pilot.pause(0.1)


def _kept() -> set[str]:
    with closing(sqlite3.connect(paths(os.environ).sessions)) as database:
        return {text for (text,) in database.execute("SELECT text FROM messages")}


def _mash(
    scripted: Callable[..., ScriptedEngine], monkeypatch: pytest.MonkeyPatch, folder: Path, seed: int, times: int
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VISUAL", "true")
    chance = random.Random(seed)
    engine = scripted()
    engine.replies = Endless(_replies(chance))
    said: set[str] = set()
    run_turn = turns.run_turn

    def noted(screen: MessagePump, talk: Talk, begin: turns.Begin, cancel: Wish) -> None:
        run_turn(screen, talk, begin, cancel)
        said.update(each.text for each in talk.messages)

    async def stay(_app: G4App) -> None:
        return

    monkeypatch.setattr(turns, "run_turn", noted)
    monkeypatch.setattr(G4App, "action_leave", stay)
    monkeypatch.setattr(G4App, "action_quit", stay)

    async def steps(pilot: Pilot[None]) -> None:
        chat = pilot.app.screen
        assert isinstance(chat, ChatScreen)
        await until(pilot, lambda: chat._opened)
        for _ in range(times):
            chance.choices(list(_THINGS), list(_THINGS.values()))[0](pilot.app, chance)
            if chance.random() < _REST:
                await asyncio.sleep(0.02)
            if pilot.app._exception:
                return
        await _to_rest(pilot, chat)
        if chat._opened is None:  # its load was stopped
            chat.answer_with(Request("scripted"))
            await until(pilot, lambda: chat._opened and not chat._errands.is_busy)
        prompt = chat.query_one(Prompt)
        prompt.text = ""
        prompt.focus()
        engine.replies.append(_LAST)
        await typed(pilot, "Are you there?", "enter")
        await until(pilot, lambda: _LAST in seen(pilot.app))
        await _to_rest(pilot, chat)

    drive(G4App(Request("scripted", tool=["calculate"], folder=folder)), steps)
    assert _LAST in said
    assert said - {""} <= _kept()


@pytest.mark.reference
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_typed_the_app_goes_on_and_loses_nothing(
    scripted: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int
) -> None:
    _mash(scripted, monkeypatch, tmp_path, seed, 200)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 20))
def test_ten_thousand_keys(scripted: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int) -> None:
    _mash(scripted, monkeypatch, tmp_path, seed, 1000)
