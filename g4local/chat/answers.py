"""Whether an answer is what a JSON Schema asks for, checked by the reference implementation of the standard."""

import json
import math
from typing import TYPE_CHECKING, Any

from g4local.backend.engine import Constraint
from g4local.core.errors import UsageError
from g4local.core.messages import Json

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_LONGEST = 300
"""Characters of a complaint that are shown."""


def schema(text: str) -> Constraint:
    """The constraint that a JSON Schema is; UsageError when the text is none."""
    from jsonschema.exceptions import SchemaError

    try:
        value = _parsed(text)
        if not isinstance(value, dict):
            raise UsageError("The schema is no JSON object.", 'A schema looks like {"type": "object"}.')
        _validator(value).check_schema(value)
    except SchemaError as error:
        raise UsageError(
            f"The schema is no JSON Schema: {_shortened(error.message)}.", f"Look at {error.json_path}."
        ) from error
    except RecursionError as error:
        raise UsageError("The schema is too deeply nested.", "Flatten it.") from error
    except ValueError as error:
        raise UsageError(f"The schema is no JSON: {error}.", "Check its quotes and commas.") from error
    return Constraint("schema", text)


def value_of(text: str) -> Json:
    """The value that a valid answer is."""
    return _parsed(text)


def complaint(constraint: Constraint, answer: str) -> str | None:
    """What is wrong with an answer, in words; None when nothing is, or when only the grammar can tell."""
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    if constraint.kind != "schema":
        return None
    try:
        value = _parsed(answer)
        error = best_match(_validator(json.loads(constraint.text)).iter_errors(value))
    except RecursionError:
        return "it is too deeply nested"
    except Unresolvable as error:
        return f"the schema refers to {error.ref!r}, which is not in it"
    except ValueError as error:
        return f"it is no JSON: {error}"
    return None if error is None else _shortened(f"{error.json_path}: {error.message}")


def _validator(schema: dict[str, Any]) -> "Validator":
    """The validator of the schema's own draft, which fetches nothing."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    return validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())


def _parsed(text: str) -> Json:
    value: Json = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    return value


def _refuse(literal: str) -> float:
    raise ValueError(f"{literal} is no number")


def _finite(literal: str) -> float:
    number = float(literal)
    return number if math.isfinite(number) else _refuse(literal)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
