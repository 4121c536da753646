"""Pictures of screens, and a conversation with an engine that follows a script."""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from g4local.chat.conversation import Conversation, ConversationOptions
from g4local.chat.recording import Recording
from g4local.core.events import TurnFinished
from g4local.opening.approval import Approval, Scope
from g4local.settings import paths
from g4local.tools.registry import available
from g4tui import talk
from g4tui.widgets.meter import Meter
from tests.fakes import ScriptedEngine

PICTURES = Path(__file__).parent / "pictures"
WRITE = "G4LOCAL_WRITE_PICTURES"
"""Set to anything, pictures are written instead of compared; look at each of them before it is committed."""

_STILL_FRAMES = 8
"""So long nothing may change before a picture is taken."""

Picture = Callable[[Pilot[None], str], Awaitable[None]]


@pytest.fixture
def picture(monkeypatch: pytest.MonkeyPatch) -> Picture:
    """Compares the screen with the picture of this name, when it has come to rest; no clock shows on it."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    finished = Meter.finished

    def without_a_clock(meter: Meter, turn: TurnFinished) -> None:
        finished(meter, replace(turn, timing=replace(turn.timing, ttft=0.25)))

    monkeypatch.setattr(Meter, "finished", without_a_clock)

    async def compare(pilot: Pilot[None], name: str) -> None:
        app = pilot.app
        for each in app.screen.query("TextArea, Input"):
            each.cursor_blink = False  # type: ignore[attr-defined]
        svg = await _at_rest(pilot)
        width, height = app.size
        file = PICTURES / f"{name}-{width}x{height}-{app.theme}.svg"
        if os.environ.get(WRITE):
            PICTURES.mkdir(exist_ok=True)
            file.write_text(svg, encoding="utf-8")
            return
        assert file.is_file(), f"there is no {file.name}; {WRITE}=1 writes it"
        if svg != file.read_text(encoding="utf-8"):
            other = Path(os.environ.get("G4LOCAL_PICTURES", "/tmp")) / file.name
            other.write_text(svg, encoding="utf-8")
            raise AssertionError(f"the screen is not {file.name} any more, but {other}")

    return compare


async def _at_rest(pilot: Pilot[None]) -> str:
    """The screen as SVG, once it stays the same for some frames."""
    before, same = "", 0
    while same < _STILL_FRAMES:
        await pilot.pause(0.05)
        svg = pilot.app.export_screenshot(simplify=True)
        same = same + 1 if svg == before else 0
        before = svg
    return before


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedEngine]:
    """Lets the app talk with an engine that says these replies, whatever model it opens."""

    def script(*replies: Any) -> ScriptedEngine:
        engine = ScriptedEngine(list(replies))

        @contextmanager
        def conversation(request: Any, report: Any, cancel: Any, *, ask: Any, warn: Any) -> Iterator[Any]:
            recording = Recording(paths(os.environ).sessions) if request.save else None
            messages: list[Any] = []
            if recording and (request.session or request.go_on):
                messages = recording.resume(request.session)[1]
            scope = Scope(paths(os.environ).permissions, request.folder, lambda: recording and recording.session)
            tools = tuple(each for each in available(request.folder)[0] if each.name in (request.tool or ()))
            yield (
                Conversation(
                    engine,
                    tools=tools,
                    approve=Approval(scope, everything=request.yes, ask=ask, warn=warn).ask,
                    options=ConversationOptions(thinking=bool(request.think)),
                    messages=messages,
                    recording=recording,
                ),
                request,
            )
            if recording:
                recording.close()

        monkeypatch.setattr(talk, "conversation", conversation)
        return engine

    return script
