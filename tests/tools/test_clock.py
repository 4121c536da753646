from datetime import UTC, datetime, timedelta, timezone
from threading import Event

import pytest

from g4local.tools import clock as clock_module
from g4local.tools.clock import clock, told
from g4local.tools.tool import ToolError


def complaint(zone: str) -> str:
    with pytest.raises(ToolError) as caught:
        clock.run({"zone": zone}, Event())
    return caught.value.message


def test_a_moment_is_told_in_english_with_its_zone() -> None:
    moment = datetime(2026, 11, 24, 9, 5, tzinfo=timezone(-timedelta(hours=3, minutes=30)))
    assert told(moment) == "Tuesday 24 November 2026, 09:05, UTC-03:30"


def test_a_named_zone_is_found_in_any_spelling() -> None:
    tokyo = clock.run({"zone": "Asia/Tokyo"}, Event())
    assert str(tokyo).endswith(", UTC+09:00")
    assert str(clock.run({"zone": " asia/tokyo "}, Event())).endswith(", UTC+09:00")
    assert str(clock.run({"zone": "america/puerto rico"}, Event())).endswith(", UTC-04:00")
    assert str(clock.run({"zone": "utc"}, Event())).endswith(", UTC+00:00")


@pytest.mark.parametrize("arguments", [{}, {"zone": None}, {"zone": ""}])
def test_without_a_zone_it_is_local_time(arguments: dict[str, None]) -> None:
    before = told(datetime.now(UTC).astimezone())
    assert clock.run(arguments, Event()) in (before, told(datetime.now(UTC).astimezone()))


def test_an_unknown_zone_is_refused_with_a_near_one() -> None:
    assert "Did you mean Europe/Paris?" in complaint("Europ/Pari")
    assert "Did you mean Europe/Paris?" in complaint("Paris")
    assert "Zones look like" in complaint("Xyzzy")


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/localtime", "Europe", "Europe/Paris\0"])
def test_a_zone_can_not_be_a_path(zone: str) -> None:
    assert "no time zone" in complaint(zone)


def test_a_machine_without_zones_still_has_utc_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "available_timezones", set)
    assert "no time zone database" in complaint("Europe/Paris")
    assert clock.run({"zone": "UTC"}, Event())
