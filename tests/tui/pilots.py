"""The app in a test: driven by keys in a terminal that is not there."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from textual.app import App
from textual.pilot import Pilot

Steps = Callable[[Pilot[None]], Awaitable[None]]

_PATIENCE = 60.0
"""Seconds after which what did not happen never will."""


def drive(app: App[None], steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    """Show the app, and take these steps in it."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await steps(pilot)

    asyncio.run(run())


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = monotonic() + _PATIENCE
    while not condition():
        assert monotonic() < end, f"it never came to be so:\n{seen(pilot.app)}"
        await pilot.pause(0.02)


async def typed(pilot: Pilot[None], text: str, *keys: str) -> None:
    """Type a text, then press these keys."""
    await pilot.press(*(_KEYS.get(each, each) for each in text), *keys)


def seen(app: App[None]) -> str:
    """The screen as text, a line a row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


_KEYS = {" ": "space", "\n": "ctrl+j", "/": "slash"}
