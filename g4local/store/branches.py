"""Where a session's tree parts: which messages stand in the place of one, and where their branches lead to."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from g4local.store.values import Stored


@dataclass(frozen=True, slots=True)
class Branch:
    """A message that is one of several in its place."""

    number: int
    """Which one, from 1, in the order in which they were said."""
    of: int


def branches(tree: Sequence[Stored], path: Sequence[int]) -> dict[int, Branch]:
    """The branches on the way along messages with these ids, by the places of these messages in it."""
    beside = _children(tree)
    found: dict[int, Branch] = {}
    for index, message in enumerate(path):
        siblings = beside[path[index - 1] if index else None]
        if len(siblings) > 1:
            found[index] = Branch(siblings.index(message) + 1, len(siblings))
    return found


def end_of_neighbour(tree: Sequence[Stored], path: Sequence[int], index: int, step: int) -> int | None:
    """The last message of the branch that begins so many steps beside this place; None where there is none.

    Where that one parts again, the way that was gone last is taken.
    """
    beside = _children(tree)
    siblings = beside[path[index - 1] if index else None]
    number = siblings.index(path[index]) + step
    if not 0 <= number < len(siblings):
        return None
    end = siblings[number]
    while beside.get(end):
        end = beside[end][-1]
    return end


def _children(tree: Sequence[Stored]) -> Mapping[int | None, list[int]]:
    children: defaultdict[int | None, list[int]] = defaultdict(list)
    for each in sorted(tree, key=lambda each: each.id):
        children[each.parent].append(each.id)
    return children
