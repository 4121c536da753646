"""Arithmetic on exact fractions, written as Python writes it and bounded in time, depth and size."""

import ast
import re
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated

from g4local.tools.tool import ToolError, tool

_MOST_CHARACTERS = 1000
_MOST_BITS = 4096
"""Of a numerator or denominator; a product of two such numbers takes microseconds."""
_DEEPEST = 50
_EXACT_DIGITS = 20
"""Up to here a decimal fraction that ends is written out."""
_ROUNDED_DIGITS = 10
_LONGEST_PLAIN = 50
"""Digits before the point that are written out; larger numbers take an exponent."""

_OTHER_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**", "\n": " ", "\t": " "})  # noqa: RUF001
_FOREIGN = re.compile(r"[^0-9.eE_+\-*/%() ]+")
_WHAT_IS_UNDERSTOOD = "numbers, + - * / // % ** and parentheses are"
_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: Fraction(left // right),
    ast.Mod: lambda left, right: left % right,
    ast.Pow: lambda left, right: _power(left, right),
}


@tool
def calculate(expression: Annotated[str, "Numbers, + - * / // % ** and parentheses."]) -> str:
    """Work out an arithmetic expression."""
    source = expression.translate(_OTHER_SPELLINGS).strip()
    if len(source) > _MOST_CHARACTERS:
        raise ToolError(f"The expression is longer than {_MOST_CHARACTERS} characters.")
    if foreign := _FOREIGN.search(source):
        raise ToolError(f"{foreign.group()!r} is not understood; {_WHAT_IS_UNDERSTOOD}.")
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ToolError(f"{expression!r} is not an arithmetic expression; {_WHAT_IS_UNDERSTOOD} understood.") from error
    try:
        return _written(_value(tree.body, source, 0))
    except ZeroDivisionError as error:
        raise ToolError("Division by zero.") from error


def _value(node: ast.expr, source: str, depth: int) -> Fraction:
    if depth > _DEEPEST:
        raise ToolError("The expression is nested too deeply.")
    if isinstance(node, ast.Constant):
        return _number(ast.get_source_segment(source, node) or "")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        operand = _value(node.operand, source, depth + 1)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.BinOp):
        return _chain(node, source, depth)
    raise ToolError(f"{ast.get_source_segment(source, node)!r} is not understood; {_WHAT_IS_UNDERSTOOD}.")


def _chain(node: ast.BinOp, source: str, depth: int) -> Fraction:
    """The value of `a + b - c ...`, which is a tree as deep on its left side as it has operators."""
    steps: list[ast.BinOp] = []
    leftmost: ast.expr = node
    while isinstance(leftmost, ast.BinOp):
        steps.append(leftmost)
        leftmost = leftmost.left
    value = _value(leftmost, source, depth + 1)
    for step in reversed(steps):
        value = _bounded(_OPERATIONS[type(step.op)](value, _value(step.right, source, depth + 1)))
    return value


def _number(literal: str) -> Fraction:
    try:
        number = Decimal(literal)
    except InvalidOperation as error:
        raise ToolError(f"{literal!r} is not a decimal number.") from error
    if not number:
        return Fraction(0)
    if abs(number.adjusted()) > _MOST_CHARACTERS:
        raise ToolError(f"{literal} is too large or too small a number.")
    return _bounded(Fraction(number))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator == 1:
        bits = max(abs(base.numerator), base.denominator).bit_length()
        if bits > 1 and bits * abs(exponent.numerator) > _MOST_BITS:
            raise ToolError("The power is too large a number to work out.")
        return Fraction(base**exponent.numerator)
    try:
        root = float(base) ** float(exponent)
    except OverflowError as error:
        raise ToolError("The power is too large a number to work out.") from error
    if isinstance(root, complex):
        raise ToolError("A negative number has no real power that is a fraction.")
    if base and not (float(base) and root):
        raise ToolError("The power is of too small a number to work out.")
    return Fraction(f"{root:.15g}")


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise ToolError("The result is too large a number, or has too many digits.")
    return value


def _written(value: Fraction) -> str:
    """The value in full where it is short, else rounded to ten digits."""
    if value.denominator == 1 and len(str(abs(value.numerator))) <= _LONGEST_PLAIN:
        return str(value.numerator)
    decimal = _quotient(value, _EXACT_DIGITS)
    if Fraction(decimal) != value:
        whole_digits = max(0, decimal.adjusted() + 1)
        decimal = _quotient(value, max(_ROUNDED_DIGITS, whole_digits + 2 if whole_digits <= _LONGEST_PLAIN else 0))
    decimal = decimal.normalize(Context(prec=_LONGEST_PLAIN + 2))
    plain = -_ROUNDED_DIGITS <= decimal.adjusted() < _LONGEST_PLAIN
    return format(decimal, "f") if plain else format(decimal, "e")


def _quotient(value: Fraction, digits: int) -> Decimal:
    return Context(prec=digits).divide(Decimal(value.numerator), Decimal(value.denominator))
