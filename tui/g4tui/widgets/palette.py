"""The command palette."""

from typing import Any

from textual.command import CommandList, CommandPalette
from textual.worker import Worker

from g4tui.widgets.sturdy import SturdyScreen


class Palette(CommandPalette, SturdyScreen[None]):
    """Textual's, which also bears a terminal with no room for its list."""

    def run_worker(self, *arguments: Any, **options: Any) -> Worker[Any]:
        """Search as Textual's does, but let a search that outlives the palette fail alone, not with the app."""
        return super().run_worker(*arguments, **{**options, "exit_on_error": False})

    def _action_command_list(self, action: str) -> None:
        # Without room the list has laid nothing out, and Textual's ends the app with a KeyError for a page of it.
        if self.query_one(CommandList).scrollable_content_region.area:
            super()._action_command_list(action)
