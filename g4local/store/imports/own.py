"""g4local's own export: the object that `g4local sessions export --format json` prints (store/transcript.py)."""

from datetime import UTC, datetime
from typing import Any

from g4local.core.messages import from_dict
from g4local.store.imports.values import Imported, ImportedTurn, Node, items, seconds, table, text
from g4local.store.transcript import SCHEMA as SCHEMA


def read(session: dict[str, Any]) -> Imported:
    """A session with its branches and its turns; UsageError where a message is none."""
    entries = [table(entry) for entry in items(session.get("messages"))]
    turns = [table(turn) for turn in items(session.get("turns"))]
    places = {_key(entry.get("id")): index for index, entry in enumerate(entries)}
    numbers = {_key(turn.get("id")): index for index, turn in enumerate(turns)}
    nodes = []
    for index, entry in enumerate(entries):
        parent = places.get(_key(entry.get("parent")))
        nodes.append(
            Node(
                from_dict(table(entry.get("message"))),
                parent if parent is not None and parent < index else None,
                moment(entry.get("created")),
                numbers.get(_key(entry.get("turn"))),
            )
        )
    head = places.get(_key(session.get("head")))
    for draft in items(session.get("draft")):
        nodes.append(Node(from_dict(table(draft)), head))
        head = len(nodes) - 1
    name, updated = text(session.get("id")), moment(session.get("updated"))
    return Imported(
        source=f"g4local:{name}:{updated}",
        title=text(session.get("title")),
        nodes=nodes,
        head=head,
        created=moment(session.get("created")),
        updated=updated,
        turns=[ImportedTurn(table(each.get("settings")), table(each.get("result")) or None) for each in turns],
        own_id=name,
    )


def moment(value: Any) -> float:
    """A time in ISO 8601 as seconds since 1970, UTC where it names no zone; 0 where it is none."""
    try:
        when = datetime.fromisoformat(text(value))
        return seconds((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0


def _key(value: Any) -> Any:
    return value if isinstance(value, int | str) else None
