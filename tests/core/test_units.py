from math import inf

import pytest

from g4local.core.units import human_bytes, nbytes, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("30s", 30), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400), ("90", 90)),
        *(("0", 0), ("-0", 0), ("-1", inf), ("-5m", inf), ("forever", inf)),
    ],
)
def test_times_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "m", "5 m", "5x", "never", "--1", "5m!", "1.2.3s", "٣", "1e3", "nan"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        seconds(text)


def test_sizes_are_told_in_decimal_units() -> None:
    assert [human_bytes(count) for count in (0, 999, 3_400_000_000)] == ["0 B", "999 B", "3.4 GB"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("4096", 4096), ("500MB", 5 * 10**8), ("1.5 GiB", 3 << 29), ("9000000T", 9 * 10**18)],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int) -> None:
    assert nbytes(text) == expected


@pytest.mark.parametrize("text", ["", "B", "1.5", "-1", "1e3", "٣", "10 000", "9" * 20, "9" * 5000, "10000000T"])
def test_what_is_no_size_or_larger_than_any_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        nbytes(text)
