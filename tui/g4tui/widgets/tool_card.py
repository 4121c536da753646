"""A tool call: what the model wants, whether it may, how it goes, and what came of it."""

import json
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar, Literal

from textual import events
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from g4local.core.events import ToolResult
from g4local.core.messages import Json, ToolCall
from g4local.core.visible import in_one_line, printable
from g4tui import keys
from g4tui.tones import MUTED
from g4tui.widgets.folding import Folded, folded, height
from g4tui.widgets.wishes import CopyWanted

Answer = Literal["once", "session", "folder", "no"]
"""What a person says of a call: now, always in this session, always in this folder, not at all."""
State = Literal["asks", "running", "done", "failed", "refused", "no result"]

FOLDED, UNFOLDED = 6, 400
"""Lines of a result, and of an argument, before and after it is unfolded."""

REFUSED = "refused by the user"
"""The result of a call that may not run."""
_INLINE = 60
"""Characters of arguments that stand behind the name."""
_LOOKS: dict[State, tuple[str, str, str]] = {
    "asks": ("?", "may it run?", "bold $text-warning"),
    "running": ("…", "running", "$text-accent"),
    "done": ("✓", "done", "$text-success"),
    "failed": ("✗", "failed", "$text-error"),
    "refused": ("✗", "refused", "$text-error"),
    "no result": ("-", "no result", MUTED),
}
"""A sign, words and a style for each state."""
_ANSWERS: tuple[tuple[str, Answer, str], ...] = (
    ("y", "once", "once"),
    ("a", "session", "in this session"),
    ("f", "folder", "in this folder"),
    ("n", "no", "no"),
)
_Span = str | tuple[str, str | Style]


@dataclass(eq=False, slots=True)
class Called:
    """A call, and what has come of it so far."""

    call: ToolCall
    state: State = "running"
    value: Json = None
    is_open: bool = False
    """Whether all of its result is shown."""

    def finish(self, result: ToolResult) -> None:
        """Note what came of it."""
        self.value = result.value
        self.state = "done" if result.ok else "refused" if result.value == REFUSED else "failed"

    @property
    def result(self) -> str:
        """What came of it, as text."""
        if self.value is None or isinstance(self.value, str):
            return self.value or ""
        return json.dumps(self.value, ensure_ascii=False, indent=2)

    def widget(self) -> "ToolCard":
        """What shows it."""
        return ToolCard(self)

    def lines(self, width: int) -> int:
        """About how many lines it takes."""
        most = UNFOLDED if self.is_open else FOLDED
        arguments = sum(height(folded(_text(value), most).text, width) for value in self.call.arguments.values())
        return 3 + arguments + height(folded(self.result, most).text, width)


class ToolCard(Static, can_focus=True):
    """A tool call's card. While it asks, keys that come as if typed on are ignored: they were meant for the prompt."""

    BINDINGS = keys.bindings("tool_card")
    DEFAULT_CSS = """
    ToolCard {
        height: auto;
        margin: 0 2 1 2;
        padding: 0 1;
        border-left: outer $surface-lighten-2;
        &:focus { border-left: outer $accent; }
        &.-asks { border: round $warning; padding: 0 1; }
    }
    """
    QUIET: ClassVar[float] = 0.4
    """Seconds without a key after which a key is an answer."""

    class Answered(Message):
        """A person has said whether a call may run."""

        def __init__(self, call: ToolCall, answer: Answer) -> None:
            super().__init__()
            self.call = call
            self.answer = answer

    def __init__(self, called: Called) -> None:
        super().__init__(_content(called))
        self.called = called
        self.set_class(called.state == "asks", "-asks")
        self._last_key = monotonic()

    def refold(self) -> None:
        """Show what its data says now."""
        self.set_class(self.called.state == "asks", "-asks")
        self.update(_content(self.called))
        if self.is_attached:  # a key may come when the card was removed
            self.refresh_bindings()

    def ask(self) -> None:
        """Ask whether the call may run."""
        self.called.state = "asks"
        self._last_key = monotonic()
        self.refold()
        self.focus(scroll_visible=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Answers are taken while it asks."""
        return self.called.state == "asks" if action == "answer" else True

    def on_key(self, event: events.Key) -> None:
        """Keep what was typed on from being an answer."""
        if self.called.state == "asks" and event.is_printable:
            if event.time - self._last_key < self.QUIET:
                event.stop()
            self._last_key = event.time

    def action_answer(self, answer: Answer) -> None:
        """Say whether the call may run."""
        self.called.state = "refused" if answer == "no" else "running"
        self.refold()
        self.post_message(self.Answered(self.called.call, answer))

    def action_unfold(self) -> None:
        """Show all of it, or its beginning."""
        self.called.is_open = not self.called.is_open
        self.refold()

    def action_copy(self) -> None:
        """Have the result copied, or the arguments where there is none."""
        called = self.called
        text = called.result or json.dumps(called.call.arguments, ensure_ascii=False, indent=2)
        self.post_message(CopyWanted(text, "result" if called.result else "arguments"))


def _content(called: Called) -> Content:
    sign, words, style = _LOOKS[called.state]
    most = UNFOLDED if called.is_open else FOLDED
    inline = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in called.call.arguments.items()
    )
    spans: list[_Span] = [(f"{sign} ", style), (in_one_line(called.call.name), "bold")]
    folds: list[Folded] = []
    if len(inline) <= _INLINE:
        spans.append(f"({in_one_line(inline)})")
    spans.append((f" · {words}", style))
    for name, value in called.call.arguments.items() if len(inline) > _INLINE else ():
        folds.append(folded(printable(_text(value)), most))
        spans += [(f"\n  {in_one_line(name)}: ", MUTED), *_below(folds[-1], "    ")]
    if called.result:
        folds.append(folded(printable(called.result.rstrip()), most))
        spans += [("\n│ ", MUTED), *_below(folds[-1], "│ ")]
    if called.is_open or any(fold.is_cut for fold in folds):
        spans.append(("\n▾ folds it" if called.is_open else "\n▸ shows more", _click("unfold")))
    return Content.assemble(*spans, *(_buttons() if called.state == "asks" else ()))


def _below(fold: Folded, margin: str) -> list[_Span]:
    """A text's lines below each other, each but the first behind a margin."""
    spans: list[_Span] = []
    for number, line in enumerate(fold.text.split("\n")):
        spans += [(f"\n{margin}", MUTED) if number else "", line]
    return [*spans, (f"\n{margin}{fold.says}", MUTED)] if fold.is_cut else spans


def _buttons() -> list[_Span]:
    spans: list[_Span] = ["\n\n"]
    for key, answer, says in _ANSWERS:
        spans += [(f" {key} ", "reverse"), (f" {says}", _click(f"answer('{answer}')")), "   "]
    return spans


def _click(action: str) -> Style:
    return Style.from_meta({"@click": action})


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
