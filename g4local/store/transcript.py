"""Sessions as text for other programs and for people: the whole tree as JSON, chat messages, Markdown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from g4local.core.fences import fenced
from g4local.core.messages import Json, Message, to_dict
from g4local.store.store import Store
from g4local.store.values import Session, Stored, Turn, numbers

SCHEMA = "g4local.session/1"
"""The name and version of the object that `session_object` gives."""

_NAMES = {"user": "You", "assistant": "Model", "tool": "Tool", "system": "System", "developer": "System"}


@dataclass(frozen=True, slots=True)
class Transcript:
    """All of a session."""

    session: Session
    path: Sequence[Stored]
    """The messages from the beginning to the head."""
    draft: Sequence[Message]
    """What was said of a reply behind the head that is not over, or never will be."""
    tree: Sequence[Stored]
    """The messages of all branches."""
    turns: Sequence[Turn]

    @property
    def messages(self) -> list[Message]:
        """The conversation as it stands."""
        return [*(each.message for each in self.path), *self.draft]


def read(store: Store, session: Session) -> Transcript:
    """All of a session."""
    tree = store.tree(session)
    return Transcript(session, store.path_to(session.head), store.draft(session), tree, store.turns(tree))


def moment(seconds: float) -> str:
    """A time as scripts get it: ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def here(seconds: float) -> str:
    """A time as people read it: by the clock of this place, to the minute."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def head_object(session: Session) -> dict[str, Json]:
    """What is known of a session without its messages."""
    return {
        "id": session.id,
        "title": session.title,
        "model": session.setting("model"),
        "message_count": session.messages,
        "created": moment(session.created),
        "updated": moment(session.updated),
        "forked_from": session.forked_from,
    }


def session_object(transcript: Transcript) -> dict[str, Json]:
    """A whole session: each message with its parent and its turn, so that any branch can be followed or asked again."""
    number = numbers(transcript.tree)
    return {
        "schema": SCHEMA,
        **head_object(transcript.session),
        "head": transcript.session.head,
        "messages": [
            {
                "id": each.id,
                "number": number[each.id],
                "parent": each.parent,
                "turn": each.turn,
                "created": moment(each.created),
                "message": to_dict(each.message),
            }
            for each in transcript.tree
        ],
        "draft": [to_dict(message) for message in transcript.draft],
        "turns": [
            {
                "id": turn.id,
                "created": moment(turn.created),
                "settings": dict(turn.settings),
                "result": dict(turn.result) if turn.result is not None else None,
            }
            for turn in transcript.turns
        ],
    }


def chat_object(transcript: Transcript) -> dict[str, Json]:
    """The conversation as it stands, as a line of OpenAI's format for fine-tuning; `g4local prompt` takes it, too."""
    system = transcript.session.setting("system")
    messages = [Message("system", system)] if system else []
    return {"messages": [_openai(message) for message in (*messages, *transcript.messages)]}


def _openai(message: Message) -> dict[str, Json]:
    """The message with the arguments of its calls as text, as OpenAI's are."""
    entry = to_dict(message)
    if message.tool_calls:
        entry["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return entry


def markdown(transcript: Transcript, numbers: Mapping[int, int] | None = None) -> str:
    """The conversation as it stands, for people; its messages perhaps with numbers, which are found by their ids."""
    session = transcript.session
    about = [session.id, session.setting("model"), here(session.created)[:10]]
    blocks = [f"# {session.title}", f"*{' · '.join(word for word in about if word)}*"]
    if system := session.setting("system"):
        blocks += ["## System", system]
    for stored in transcript.path:
        number = f"{numbers[stored.id]}. " if numbers else ""
        blocks += [f"## {number}{heading(stored.message)}", *_blocks(stored.message)]
    for message in transcript.draft:
        blocks += [f"## {heading(message)}", *_blocks(message)]
    return "\n\n".join(blocks) + "\n"


def heading(message: Message) -> str:
    """Who says a message, as people read it."""
    return "Summary" if message.summary else f"{_NAMES[message.role]} {message.name}".rstrip()


def _blocks(message: Message) -> list[str]:
    thought = [_quoted(message.thought)] if message.thought else []
    calls = [fenced(f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})") for call in message.tool_calls]
    answers = [fenced(json.dumps(each.response, ensure_ascii=False), "json") for each in message.tool_responses]
    text = [fenced(message.text)] if message.role == "tool" else [message.text] if message.text else []
    is_silent = message.role == "assistant" and not (calls or answers or text)
    return [*thought, *calls, *answers, *text, *(["*(no answer)*"] if is_silent else [])]


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
