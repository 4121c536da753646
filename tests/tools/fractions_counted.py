"""Fractions that count what is worked out with them, and refuse what would take long before it is worked out."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest

from g4local.tools import calculator

MOST_BITS = 10_000
"""Of a result: a few microseconds' work."""


class Counted(Fraction):
    """A fraction whose operations are counted."""

    steps: ClassVar[int] = 0

    def __new__(cls, value: Any = 0) -> "Counted":
        if isinstance(value, Decimal):
            assert abs(value.adjusted()) * 4 < MOST_BITS, "a literal with an endless row of zeros"
        return super().__new__(cls, value)

    def __neg__(self) -> "Counted":
        return Counted(super().__neg__())


def _bits(value: Any) -> int:
    return max(abs(value.numerator).bit_length(), value.denominator.bit_length())


def _counted(name: str) -> Any:
    exact = getattr(Fraction, name)

    def operation(left: Fraction, right: Any) -> Counted:
        Counted.steps += 1
        large = _bits(left) * abs(right) if name == "__pow__" and _bits(left) > 1 else _bits(left) + _bits(right)
        assert large <= MOST_BITS, f"{name} would have a result of {large} bits"
        return Counted(exact(left, right))

    return operation


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Counted, f"__{_name}__", _counted(f"__{_name}__"))


@contextmanager
def counted(expression: str) -> Iterator[None]:
    """Let the calculator work with such fractions; it must take no more steps than the expression has characters."""
    Counted.steps = 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(calculator, "Fraction", Counted)
        yield
    assert Counted.steps <= len(expression)
