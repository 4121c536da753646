"""The question whether a tool may run, at the terminal."""

from threading import Event

from g4local.cli import asking
from g4local.cli.turns import call_text
from g4local.core.messages import ToolCall
from g4local.opening.approval import Answer, Ask

_ANSWERS: dict[str, Answer] = {
    **dict.fromkeys(("y", "yes"), "once"),
    **dict.fromkeys(("a", "always"), "session"),
    **dict.fromkeys(("f", "folder"), "folder"),
    **dict.fromkeys(("n", "no", ""), "no"),
}
"""By the whole word that is typed: a sentence that begins like one allows nothing."""


def asker(cancel: Event, *, announced: bool = True) -> Ask:
    """Asks the person who is at the terminal, if somebody is; Ctrl-C at the question is a no, and sets the Event.

    `announced`: the call is on the screen already when it is asked for.
    """

    def ask(call: ToolCall) -> Answer | None:
        if not asking.can_ask():
            return None
        question = f"Run {'it' if announced else call_text(call)}?"
        answer = asking.reply(f"{question} [y]es, [a]lways in this chat, in this [f]older, [n]o: ", cancel)
        if answer.lower() not in _ANSWERS:
            answer = asking.reply("That is none of these. y, a, f or n: ", cancel)
        return _ANSWERS.get(answer.lower(), "no")

    return ask
