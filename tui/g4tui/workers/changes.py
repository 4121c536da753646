"""What a person changes in a conversation between two turns; each says what came of it as a message."""

from collections.abc import Sequence
from dataclasses import replace
from os import environ
from pathlib import Path

from g4local.chat import adjusting
from g4local.chat.conversation import Conversation
from g4local.core.errors import UsageError
from g4local.opening.offering import chosen, local
from g4local.settings import paths
from g4local.store.store import Store
from g4tui.export import write
from g4tui.talk import Opened
from g4tui.workers.turns import HistoryChanged, JobDone


def anew(talk: Conversation) -> HistoryChanged:
    """Begin a new conversation."""
    left = talk.session
    talk.clear()
    return HistoryChanged(note=f"The last conversation is kept as session {left}." if left else "")


def taken_back(talk: Conversation, question: int | None = None) -> HistoryChanged:
    """Take back a question, the last one or the one with this number, and all that followed, to be changed."""
    text = talk.rewind(_place(talk, -1 if question is None else question))
    return HistoryChanged(question=text, note="Change the question and send it; what was said is kept as a branch.")


def other_branch(talk: Conversation, question: int, step: int) -> HistoryChanged:
    """Go over to another version of the question with this number, and to what followed it."""
    talk.turn_to(_place(talk, question), step)
    return HistoryChanged()


def thinking(talk: Conversation, word: str) -> JobDone:
    """Let the model think before it answers, or not."""
    talk.options = replace(talk.options, thinking=adjusting.switch(word, talk.options.thinking))
    return JobDone(f"Thinking is {'on' if talk.options.thinking else 'off'}.")


def setting(talk: Conversation, argument: str) -> JobDone:
    """Change a setting, or tell what they are."""
    name, _, value = argument.partition(" ")
    if name and value.strip():
        talk.options = adjusting.adjusted(talk.options, name.replace("-", "_"), value.strip())
    shown = {name.replace("-", "_")} if name else set(adjusting.settings(talk.options))
    told = [
        f"{each}: {adjusting.NONE if now in (None, '') else now}"
        for each, now in adjusting.settings(talk.options).items()
        if each in shown
    ]
    if not told:
        raise UsageError(f"There is no setting {name!r}.", f"Settings: {', '.join(adjusting.settings(talk.options))}.")
    return JobDone("\n".join(told))


def tools(talk: Conversation, argument: str, opened: Opened) -> JobDone:
    """Choose the tools that the model is told of, or tell which there are."""
    known = (*local(opened.request)[0], *opened.served)
    if argument:
        talk.tools = chosen(argument, known)
    return JobDone(f"Tools: {_listed([tool.name for tool in talk.tools])}. {_others(talk, [t.name for t in known])}")


def asked_again(talk: Conversation) -> HistoryChanged:
    """Take back the last question to ask it again at once; what was answered is kept as a branch."""
    return HistoryChanged(question=taken_back(talk).question, ask=True)


def exported(talk: Conversation, file: str) -> JobDone:
    """Write the conversation to a new file, in the form that its name ends in."""
    if not talk.session:
        raise UsageError("Nothing of this conversation is kept, so there is nothing to export.", "Ask something first.")
    with Store(paths(environ).sessions) as store:
        return JobDone(f"Written to {write(store, talk.session, Path(file))}.")


def _place(talk: Conversation, question: int) -> int:
    """The place of a question in the history, by its number among the questions, from 0 or from the end."""
    places = [index for index, message in enumerate(talk.messages) if message.role == "user"]
    if not -len(places) <= question < len(places):
        raise UsageError("There is no such question.", "Ask something first.")
    return places[question]


def _others(talk: Conversation, known: Sequence[str]) -> str:
    others = [name for name in known if name not in {tool.name for tool in talk.tools}]
    return f"Not offered: {_listed(others)}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
