"""LM Studio's conversations: `~/.lmstudio/conversations/*.conversation.json`.

{"name": ..., "createdAt": milliseconds, "systemPrompt": ..., "messages": [{"currentlySelected": 0, "versions": [
  {"role": "user", "type": "singleStep", "content": [{"type": "text", "text": ...}]} or
  {"role": "assistant", "type": "multiStep", "steps": [{"type": "contentBlock", "style": {"type": "thinking"},
    "content": [{"type": "text", ...}, {"type": "toolCallRequest", ...}, {"type": "toolCallResult", ...}]}]}]}]}

LM Studio documents no format; this is what its files of 2025 and 2026 hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from g4local.core.messages import Message, ToolCall
from g4local.store.imports.values import Imported, Tree, fingerprint, items, reply, seconds, settled, table, text

_MILLISECOND = 0.001
_SYSTEM_FIELD = "llm.prediction.systemPrompt"
_IDS = ("toolCallRequestId", "toolCallId", "callId")


def read(conversation: dict[str, Any]) -> Imported:
    """A conversation; versions of a message that were not chosen are branches. Files and images are left out."""
    tree, head = Tree(), None
    for message in map(table, items(conversation.get("messages"))):
        versions = [table(version) for version in items(message.get("versions"))]
        chosen = message.get("currentlySelected")
        chosen = chosen if isinstance(chosen, int) and 0 <= chosen < len(versions) else 0
        ends = [tree.add_all(_messages(tree, version), head) for version in versions]
        head = ends[chosen] if ends else head
    created = seconds(conversation.get("createdAt"), _MILLISECOND)
    last = max(seconds(conversation.get(f"{who}LastMessagedAt"), _MILLISECOND) for who in ("user", "assistant"))
    return Imported(
        source=f"lm-studio:{f'{created}:{last}' if created else fingerprint(conversation)}",
        title=text(conversation.get("name")) or tree.first_words(),
        nodes=tree.nodes,
        head=head,
        created=created,
        updated=last or created,
        turns=settled(text(table(conversation.get("lastUsedModel")).get("identifier")), _system(conversation)),
        left_out=tree.left_out,
    )


def _system(conversation: dict[str, Any]) -> str:
    fields = items(table(conversation.get("perChatPredictionConfig")).get("fields"))
    own = (text(each.get("value")) for each in map(table, fields) if each.get("key") == _SYSTEM_FIELD)
    return next((value for value in own if value), "") or text(conversation.get("systemPrompt"))


def _messages(tree: Tree, version: dict[str, Any]) -> Sequence[Message]:
    """One version of a message as messages."""
    if version.get("role") != "assistant":
        said = _Reply(tree)
        said.take(items(version.get("content")), is_thought=False)
        return [Message("user", said.text)] if said.text else []
    said = _Reply(tree)
    if version.get("type") != "multiStep":
        said.take(items(version.get("content")), is_thought=False)
    for step in map(table, items(version.get("steps"))):
        if step.get("type") == "contentBlock":
            is_thought = table(step.get("style")).get("type") == "thinking"
            said.take(items(step.get("content")), is_thought=is_thought)
    said.end()
    return said.messages


@dataclass(slots=True)
class _Reply:
    """A reply while its parts are read: text and calls until results come, then what follows these."""

    tree: Tree
    messages: list[Message] = field(default_factory=list)
    text: str = ""
    thought: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    open: list[ToolCall] = field(default_factory=list)
    """Calls that have no result yet."""

    def take(self, parts: Sequence[Any], *, is_thought: bool) -> None:
        """Take the parts of a step."""
        for part in map(table, parts):
            match part.get("type"):
                case "text" if is_thought:
                    self.thought += text(part.get("text"))
                case "text":
                    self.text += text(part.get("text"))
                case "toolCallRequest":
                    self.calls.append(ToolCall(text(part.get("name")), table(part.get("parameters")), _id(part)))
                case "toolCallResult":
                    self._result(part)
                case _:
                    self.tree.left_out += 1

    def end(self) -> None:
        """Make messages of what was said since the last result."""
        self.messages += reply(self.text, self.thought, self.calls)
        self.open += self.calls
        self.text, self.thought, self.calls = "", "", []

    def _result(self, part: dict[str, Any]) -> None:
        self.end()
        call = next((call for call in self.open if call.id == _id(part)), next(iter(self.open), None))
        if call is None:
            self.tree.left_out += 1
            return
        self.open.remove(call)
        self.messages.append(Message("tool", text(part.get("content")), tool_call_id=call.id, name=call.name))


def _id(part: dict[str, Any]) -> str:
    return next((str(part[key]) for key in _IDS if isinstance(part.get(key), str | int)), "")
