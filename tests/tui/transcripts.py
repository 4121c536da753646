"""A transcript in an app of its own, for tests."""

from collections.abc import Awaitable, Callable
from typing import Any

from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from g4local.core.events import TextDelta
from g4local.core.messages import Message
from g4tui.widgets.tool_card import ToolCard
from g4tui.widgets.transcript import Transcript
from g4tui.widgets.wishes import BranchWanted, CopyWanted, EditWanted, QuoteWanted
from tests.tui.pilots import drive

PARAGRAPH = "word " * 30 + "\n\n"


class Shows(App[None]):
    """A transcript above a line to type in; what goes up is kept."""

    CSS = "Input { height: 1; border: none; }"

    def __init__(self) -> None:
        super().__init__()
        self.wishes: list[Any] = []

    def compose(self) -> ComposeResult:
        yield Transcript()
        yield Input()

    @on(BranchWanted)
    @on(CopyWanted)
    @on(EditWanted)
    @on(QuoteWanted)
    @on(ToolCard.Answered)
    @on(Transcript.Left)
    def keep(self, wish: Any) -> None:
        self.wishes.append(wish)


Steps = Callable[[Pilot[None], Transcript], Awaitable[None]]


def show(steps: Steps, size: tuple[int, int] = (80, 24)) -> list[Any]:
    """Show a transcript and take these steps with it; what it posted."""
    app = Shows()

    async def run(pilot: Pilot[None]) -> None:
        await steps(pilot, app.query_one(Transcript))

    drive(app, run, size)
    return app.wishes


def chat(turns: int, text: str = PARAGRAPH) -> list[Message]:
    """A history in which each question and each answer has its number."""
    return [
        message
        for turn in range(turns)
        for message in (Message("user", f"question {turn}."), Message("assistant", f"answer {turn}.\n\n{text}"))
    ]


async def said(pilot: Pilot[None], transcript: Transcript, text: str, size: int = 7) -> None:
    """Say a text in pieces."""
    for at in range(0, len(text), size):
        await transcript.add([TextDelta(text[at : at + size])])
        await pilot.pause(0)
