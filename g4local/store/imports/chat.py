"""OpenAI's chat messages, as `g4local sessions export --format jsonl` prints them: {"messages": [...]} on each line."""

from typing import Any

from g4local.core.messages import from_dict
from g4local.store.imports.values import Imported, Tree, fingerprint, items, settled, table


def is_one(conversation: dict[str, Any]) -> bool:
    """Whether these messages are OpenAI's, and not LM Studio's, which have versions."""
    return any("role" in table(each) for each in items(conversation.get("messages")))


def read(conversation: dict[str, Any]) -> Imported:
    """A conversation; UsageError where a message is none. System messages are its system prompt."""
    tree, head, systems = Tree(), None, []
    for message in map(from_dict, map(table, items(conversation.get("messages")))):
        if message.role in ("system", "developer"):
            systems.append(message.text)
        else:
            head = tree.add(message, head)
    return Imported(
        source=f"chat:{fingerprint(conversation)}",
        title=tree.first_words(),
        nodes=tree.nodes,
        head=head,
        turns=settled("", "\n\n".join(systems)),
    )
