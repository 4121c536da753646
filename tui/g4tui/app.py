"""The app: which screens there are, and what holds on all of them."""

from collections.abc import Iterable
from os import environ
from typing import Any, ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from g4local.core.errors import G4Error
from g4local.opening.request import Request
from g4local.settings import paths
from g4tui import keys, palette, preferences
from g4tui.screens.chat import ChatScreen
from g4tui.screens.help import HelpScreen
from g4tui.screens.models import ModelsScreen
from g4tui.screens.sessions import SessionsScreen
from g4tui.widgets.palette import Palette


class G4App(App[None]):
    """The chat and all that belongs to it, in one terminal."""

    CSS_PATH = "g4tui.tcss"
    TITLE = "g4local"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("app")

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._config = paths(environ).config
        preferred = preferences.read(self._config, frozenset(self.available_themes))
        self._keys = preferred.keys
        if preferred.theme:
            self.theme = preferred.theme

    def on_load(self) -> None:
        """Let the person's own keys hold."""
        self.set_keymap(dict(self._keys))

    async def on_mount(self) -> None:
        """Show the chat; the other screens are made when they are asked for."""
        self._chat = ChatScreen(self._request)
        self.add_mode("chat", lambda: self._chat)
        self.add_mode("models", ModelsScreen)
        self.add_mode("sessions", lambda: SessionsScreen(lambda: self._chat.session))
        await self.switch_mode("chat")

    @on(ChatScreen.ModelWanted)
    async def _model_wanted(self, event: ChatScreen.ModelWanted) -> None:
        await self.switch_mode("models")
        if event.is_file:
            await self.run_action("screen.bring")

    @on(ModelsScreen.Left)
    @on(SessionsScreen.Left)
    def _left(self) -> None:
        self.switch_mode("chat")

    def on_sessions_screen_chosen(self, event: SessionsScreen.Chosen) -> None:
        """Go on with a session in the chat."""
        self.switch_mode("chat")
        self._chat.go_on_with(event.session)

    def on_models_screen_load_wanted(self, event: ModelsScreen.LoadWanted) -> None:
        """Let another model answer in the chat."""
        self.switch_mode("chat")
        self._chat.answer_with(event.request)

    def action_go(self, mode: str) -> None:
        """Show another screen."""
        self.switch_mode(mode)

    def action_help(self) -> None:
        """Show all keys and commands."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self._keys))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette finds, for Textual."""
        return palette.entries(self, screen, self.put_on)

    def put_on(self, theme: str) -> None:
        """Take a theme, and keep it."""
        self.theme = theme
        try:
            preferences.keep_theme(self._config, theme)
        except G4Error as error:
            self.notify(str(error), severity="error", markup=False)

    def action_command_palette(self) -> None:
        """Show all that can be done."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    def action_leave(self) -> None:
        """Leave; what was said is kept."""
        self.exit()


def run(request: Request) -> None:
    """Show the app until the person leaves."""
    G4App(request).run()
