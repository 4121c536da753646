"""The first line: which model answers, and as what the conversation is kept."""

from textual.widgets import Static

from g4local.core.visible import in_one_line
from g4tui.talk import Opened


class Heading(Static):
    """One line about the conversation."""

    def __init__(self) -> None:
        super().__init__("g4local", markup=False)
        self._model = ""
        self._session: str | None = None

    def show_loading(self, model: str) -> None:
        """A model is being loaded."""
        self._say(f"{in_one_line(model) or 'the session'} is being loaded …")

    def show_failed(self, model: str) -> None:
        """It could not be loaded."""
        self._say(f"{in_one_line(model) or 'The model'} is not loaded.")

    def show_opened(self, opened: Opened) -> None:
        """A model is ready."""
        name = in_one_line(opened.request.model)
        known = in_one_line(opened.info.name)
        self._model = name if known in (name, opened.info.path.stem) else f"{name} ({known})"
        self.show_session(opened.session)

    def show_session(self, session: str | None) -> None:
        """The conversation has this session's id."""
        self._session = session
        self._say(f"{self._model}  ·  session {session}" if session else self._model)

    def _say(self, text: str) -> None:
        self.update(f"g4local  ·  {text}" if text else "g4local")
