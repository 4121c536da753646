"""The question whether a tool may run, at the terminal."""

from threading import Event

from g4local.cli import asking
from g4local.cli.turns import call_text
from g4local.core.messages import ToolCall
from g4local.opening.approval import Answer, Ask

_ANSWERS: dict[str, Answer] = {"y": "once", "a": "session", "f": "folder"}


def asker(cancel: Event, *, announced: bool = True) -> Ask:
    """Asks the person who is at the terminal, if somebody is; Ctrl-C at the question is a no, and sets the Event.

    `announced`: the call is on the screen already when it is asked for.
    """

    def ask(call: ToolCall) -> Answer | None:
        if not asking.can_ask():
            return None
        question = f"Run {'it' if announced else call_text(call)}?"
        answer = asking.reply(f"{question} [y]es, [a]lways in this chat, in this [f]older, [n]o: ", cancel)
        return _ANSWERS.get(answer.lower()[:1], "no")

    return ask
