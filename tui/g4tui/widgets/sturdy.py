"""What all screens bear that Textual's do not: keys and clicks that come when what they were meant for has gone."""

from textual.await_complete import AwaitComplete
from textual.geometry import Offset
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget


class SturdyScreen(Screen[ScreenResultType]):
    """A screen that can be clicked while its widgets are made anew, and closed twice."""

    _is_closing = False

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """What a selection would begin at; nothing where that was removed, but is still drawn."""
        widget, offset = super().get_widget_and_offset_at(x, y)
        if widget is not None and widget is not self and widget.parent is None:
            return None, None
        return widget, offset

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close the screen, unless it was closed or another one lies over it."""
        if self._is_closing or not (self.is_current and self.is_running):
            return AwaitComplete()
        self._is_closing = True
        return super().dismiss(result)
