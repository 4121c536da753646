from fractions import Fraction
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local.tools.calculator import calculate
from g4local.tools.tool import ToolError
from tests.tools.fractions_counted import Counted, counted


def worked_out(expression: str) -> str:
    return str(calculate.run({"expression": expression}, Event()))


def complaint(expression: str) -> str:
    with pytest.raises(ToolError) as caught:
        calculate.run({"expression": expression}, Event())
    return caught.value.message


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("34 * 24", "816"),
        ("0.1 + 0.2", "0.3"),
        ("1/3", "0.3333333333"),
        ("2/3", "0.6666666667"),
        ("-1/30000", "-0.00003333333333"),
        ("12345678901234/3", "4115226300411.33"),
        ("1/1024", "0.0009765625"),
        ("123456789.123456789", "123456789.123456789"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("2 ** -3", "0.125"),
        ("2 ** 0.5 * 2 ** 0.5", "2"),
        ("8 ** (1/3)", "2"),
        ("-2 ** 2", "-4"),
        ("2 ** 3 ** 2", "512"),
        ("(1 + 2) * -(3 - 5)", "6"),
        ("10 - 4 - 3", "3"),
        (" 3 × 4 ÷ 2 − 1 ", "5"),  # noqa: RUF001
        ("2^10", "1024"),
        ("1_000 * 2", "2000"),
        ("1 +\n2", "3"),
        (".5 + 5.", "5.5"),
        ("1e5", "100000"),
        ("10 ** 50", "1e+50"),
        ("9 ** 400", "4.977414123e+381"),
        ("1 / 7e20", "1.428571429e-21"),
        ("0e999999999", "0"),
        ("1 ** 999999999999", "1"),
        ("0 / 5", "0"),
    ],
)
def test_arithmetic_comes_out_as_people_write_it(expression: str, result: str) -> None:
    assert worked_out(expression) == result


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("1/0", "zero"),
        ("5 % 0", "zero"),
        ("0 ** -1", "zero"),
        ("0 ** -0.5", "zero"),
        ("1e-400 ** 0.5", "small"),
        ("sqrt(2)", "'sqrt'"),
        ("__import__('os')", "'import'"),
        ("1,000", "','"),
        ("e", "'e'"),
        ("(1)(2)", "not understood"),
        ("()", "not understood"),
        ("0x10", "'x'"),
        ("007 + 1", "not an arithmetic"),
        ("1 +", "not an arithmetic"),
        ("", "not an arithmetic"),
        ("(-8) ** 0.5", "negative"),
        ("9 ** 9 ** 9", "too large"),
        ("9.5 ** 1e300", "too large"),
        ("10 ** 1000.5", "too large"),
        ("1e999999999", "too large"),
        ("1e-999999999", "too small"),
        ("*".join(["1e999"] * 20), "too large"),
        ("-" * 900 + "1", "too deeply"),
        ("1" * 1001, "longer than"),
        ("(" * 400 + "1" + ")" * 400, "not an arithmetic"),
    ],
)
def test_what_can_not_be_worked_out_is_told_before_anything_large_is(expression: str, word: str) -> None:
    with counted(expression):
        assert word in complaint(expression)


def test_a_long_sum_is_not_a_deep_one() -> None:
    with counted(expression := "1" + "+1" * 499):
        assert worked_out(expression) == "500"
    assert Counted.steps == 499


@given(st.text(alphabet="0123456789.eE_+-*/%() ", max_size=40) | st.text(max_size=20))
def test_any_text_gives_a_short_result_or_a_complaint(expression: str) -> None:
    with counted(expression):
        try:
            assert 0 < len(worked_out(expression)) <= 60
        except ToolError as error:
            assert error.message.endswith(".")


@given(st.fractions(max_denominator=10**6), st.fractions(max_denominator=10**6))
def test_results_agree_with_exact_fractions_to_ten_digits(left: Fraction, right: Fraction) -> None:
    def spelled(value: Fraction) -> str:
        return f"({value.numerator}/{value.denominator})"

    for operator, exact in (("+", left + right), ("-", left - right), ("*", left * right)):
        result = Fraction(worked_out(f"{spelled(left)}{operator}{spelled(right)}"))
        assert abs(result - exact) <= abs(exact) * Fraction(1, 10**9)
