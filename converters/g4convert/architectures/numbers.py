"""Numbers out of a config.json, checked when they are asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from g4local.core.errors import BadCheckpoint

_MOST = 1e30


class Numbers:
    """A JSON object whose values are checked when they are asked for; null is the same as missing.

    BadCheckpoint names the file and the key, with the place of its object before it.
    """

    def __init__(self, values: Mapping[str, Any], place: str = "", file: str = "config.json") -> None:
        self.values = values
        self._place = place
        self._file = file

    def get(self, key: str) -> Any:
        """The value as it is."""
        return self.values.get(key)

    def count(self, key: str, default: int | None = None, least: int = 1, most: int = 2**31 - 1) -> int:
        """A whole number."""
        value = self.values.get(key, default)
        if value is None and least == 0:
            return 0
        if type(value) is not int or not least <= value <= most:
            raise self.bad(key, f"must be a whole number from {least} to {most}, not {value!r}")
        return value

    def real(self, key: str, default: float | None = None, most: float = _MOST) -> float:
        """A number above 0."""
        value = self.values.get(key, default)
        if type(value) not in (int, float) or not 0 < value <= most:
            raise self.bad(key, f"must be a number above 0, not {value!r}")
        return float(value)

    def counts(self, key: str, default: Sequence[int]) -> tuple[int, ...]:
        """As many whole numbers above 0 as the default has."""
        value = default if self.values.get(key) is None else self.values[key]
        numbers = value if isinstance(value, Sequence) and len(value) == len(default) else ()
        if not numbers or not all(type(number) is int and 0 < number < 2**31 for number in numbers):
            raise self.bad(key, f"must be {len(default)} whole numbers above 0, not {value!r}")
        return tuple(numbers)

    def reals(self, key: str, default: Sequence[float]) -> tuple[float, ...]:
        """As many numbers as the default has."""
        value = default if self.values.get(key) is None else self.values[key]
        numbers = value if isinstance(value, Sequence) and len(value) == len(default) else ()
        if not numbers or not all(type(number) in (int, float) and abs(number) <= _MOST for number in numbers):
            raise self.bad(key, f"must be {len(default)} numbers, not {value!r}")
        return tuple(map(float, numbers))

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        value = default if self.values.get(key) is None else self.values[key]
        if not isinstance(value, bool):
            raise self.bad(key, f"must be true or false, not {value!r}")
        return value

    def table(self, key: str, default: Mapping[str, Any] | None = None) -> "Numbers":
        """An object in this one."""
        value = default if self.values.get(key) is None else self.values[key]
        if not isinstance(value, Mapping):
            raise self.bad(key, f"must be an object, not {value!r}")
        return Numbers(value, f"{self._place}{key}.", self._file)

    def expect(self, key: str, wanted: Any) -> None:
        """Refuse any value but one; the key may be missing."""
        value = self.values.get(key, wanted)
        if value is not None and value != wanted:
            raise self.bad(key, f"is {value!r}, but only {wanted!r} is known")

    def bad(self, key: str, what: str) -> BadCheckpoint:
        """What is wrong with a key."""
        return bad(f"{self._place}{key}", what, self._file)


def bad(key: str, what: str, file: str = "config.json") -> BadCheckpoint:
    """The error for a key of a JSON file."""
    return BadCheckpoint(f"{file}: {key!r} {what}.", f"Compare it with the {file} of Google's own repository.")
