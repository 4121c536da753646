"""What Ctrl-P finds: what can be done where the person is, the chat's commands, and the themes."""

from collections.abc import Callable, Iterator
from functools import partial

from textual.app import App, SystemCommand
from textual.screen import Screen

from g4tui import keys
from g4tui.commands import COMMANDS
from g4tui.screens.chat import ChatScreen


def entries(app: App[None], screen: Screen[object], put_on: Callable[[str], None]) -> Iterator[SystemCommand]:
    """All of it; `screen` is the one that lies under the palette, `put_on` takes a theme."""
    yield from _pressed(app, screen)
    if isinstance(screen, ChatScreen):
        for command in COMMANDS:
            title = f"/{command.name} {command.argument}".rstrip()
            yield SystemCommand(title, _sentence(command.says), partial(screen.choose, command))
    for theme in sorted(app.available_themes):
        yield SystemCommand(f"Theme {theme}", "The app's colours", partial(put_on, theme))


def _pressed(app: App[None], screen: Screen[object]) -> Iterator[SystemCommand]:
    """What keys do on this screen and on what has its focus, each once; but for those that only help to type."""
    listed: set[str] = set()
    typing = {keys.key_id("prompt", key) for key in keys.KEYS["prompt"]}
    own = {keys.key_id(scope, key): key for scope in keys.KEYS for key in keys.KEYS[scope]}
    for active in screen.active_bindings.values():
        known = active.binding.id
        if known in own and known not in listed | typing and active.binding.action != "command_palette":
            listed.add(known)
            callback = partial(app.run_action, active.binding.action, active.node)
            yield SystemCommand(own[known].says, f"Key: {keys.shown(active.binding.key)}", callback)


def _sentence(says: str) -> str:
    return says[:1].upper() + says[1:]
