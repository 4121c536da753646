"""ChatGPT's export: `conversations.json`, a list of conversations, each of them a tree of nodes.

{"title": ..., "create_time": seconds, "current_node": ID, "mapping": {ID: {"parent": ID, "children": [ID, ...],
"message": {"author": {"role": ...}, "recipient": "all", "content": {"content_type": "text", "parts": ["..."]}}}}}

OpenAI documents no format; this is what exports of 2023 to 2026 hold.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from g4local.core.messages import Message
from g4local.store.imports.values import Imported, Tree, fingerprint, items, seconds, settled, table, text

_TEXTS = ("text", "multimodal_text")
_SILENT = ("user_editable_context", "model_editable_context", "reasoning_recap")
"""What ChatGPT keeps for itself; nobody said it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A node to be visited: behind which message, and with which thought before it."""

    node: str
    parent: int | None
    thought: str = ""


def read(conversation: dict[str, Any]) -> Imported:
    """A conversation with all its branches. Thoughts are kept; tools, images and files are not."""
    mapping = {name: table(node) for name, node in table(conversation.get("mapping")).items()}
    tree, places = Tree(), dict[str, int | None]()
    roots = [name for name, node in mapping.items() if text(node.get("parent")) not in mapping]
    waiting = [_Place(name, None) for name in reversed(roots)]
    while waiting:
        place = waiting.pop()
        if place.node in places or place.node not in mapping:
            continue
        node = mapping[place.node]
        last, thought = _visit(tree, table(node.get("message")), place)
        places[place.node] = last
        waiting += [_Place(text(child), last, thought) for child in reversed(items(node.get("children")))]
    model = text(conversation.get("default_model_slug")) or _last_model(mapping.values())
    name = text(conversation.get("conversation_id")) or text(conversation.get("id"))
    updated = seconds(conversation.get("update_time"))
    return Imported(
        source=f"chatgpt:{f'{name}:{updated}' if name and updated else fingerprint(conversation)}",
        title=text(conversation.get("title")) or tree.first_words(),
        nodes=tree.nodes,
        head=places.get(text(conversation.get("current_node")), len(tree.nodes) - 1 if tree.nodes else None),
        created=seconds(conversation.get("create_time")),
        updated=updated,
        turns=settled(model, ""),
        left_out=tree.left_out,
    )


def _last_model(nodes: Iterable[dict[str, Any]]) -> str:
    """The model that the last of the messages tells, as older exports do."""
    metadata = (table(table(node.get("message")).get("metadata")) for node in nodes)
    return next((slug for slug in reversed([text(each.get("model_slug")) for each in metadata]) if slug), "")


def _visit(tree: Tree, message: dict[str, Any], place: _Place) -> tuple[int | None, str]:
    """Take a node's message into the tree; what its children follow, and the thought that they go on with."""
    role, content = text(table(message.get("author")).get("role")), table(message.get("content"))
    kind = content.get("content_type")
    if kind == "thoughts":
        thoughts = [text(table(each).get("content")) for each in items(content.get("thoughts"))]
        return place.parent, "\n\n".join(each for each in (place.thought, *thoughts) if each)
    if role not in ("user", "assistant", "tool") or kind in _SILENT:
        return place.parent, place.thought
    parts = items(content.get("parts"))
    said = "\n\n".join(each for each in map(text, parts) if each)
    if role == "tool" or kind not in _TEXTS or text(message.get("recipient")) not in ("", "all"):
        tree.left_out += 1
        return place.parent, place.thought
    attached = items(table(message.get("metadata")).get("attachments"))  # an image is among the parts, too
    tree.left_out += max(sum(not isinstance(part, str) for part in parts), len(attached))
    created = seconds(message.get("create_time"))
    if role == "user" and said:
        return tree.add(Message("user", said), place.parent, created), ""
    if role == "assistant" and said:
        return tree.add(Message("assistant", said, place.thought), place.parent, created), ""
    return place.parent, place.thought
