"""Values are checked against a JSON Schema that somebody else wrote, in no more steps than there is patience for.

References make far more of a schema than its size says: two under `anyOf` that lead back double with each level.
"""

from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from g4local.core.messages import Json

MOST_STEPS = 20_000
"""Words of the schema that are applied to a value; one that lists others counts as so many."""

_MESSAGE_STEP = 100
"""Characters of a complaint that count as a step: each holds what it complains of."""
_LONGEST_COMPLAINT = 300

_Word = Callable[..., Iterator[ValidationError] | None]


class _TooManySteps(Exception):
    """A schema makes too much of a value."""


def complaint(schema: dict[str, Any], value: Json) -> str | None:
    """What is wrong with a value, in one sentence; None when nothing is."""
    validator = extend(Draft202012Validator, _counted(MOST_STEPS))  # type: ignore[no-untyped-call]
    try:
        error = best_match(validator(schema, registry=Registry()).iter_errors(value))
    except (Unresolvable, RecursionError):
        return "its schema refers to what there is not, or to itself without end"
    except _TooManySteps:
        return "its schema makes too much of them to be checked"
    if error is None:
        return None
    words = error.message if len(error.message) <= _LONGEST_COMPLAINT else error.message[:_LONGEST_COMPLAINT] + "…"
    return f"{'.'.join(map(str, error.path))}: {words}" if error.path else words


def _counted(left: int) -> dict[str, _Word]:
    """The words of JSON Schema, which take so many steps together and then raise _TooManySteps."""

    def spend(steps: int) -> None:
        nonlocal left
        left -= steps
        if left < 0:
            raise _TooManySteps

    def counted(word: _Word) -> _Word:
        def applied(validator: Any, said: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
            spend(1 + (len(said) if isinstance(said, list | dict) else 0))
            for error in word(validator, said, value, schema) or ():
                spend(len(error.message) // _MESSAGE_STEP)
                yield error

        return applied

    return {name: counted(word) for name, word in Draft202012Validator.VALIDATORS.items()}
