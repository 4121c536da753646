"""The date and time, here or in a named time zone."""

from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from g4local.tools.tool import ToolError, tool

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@tool
def clock(
    zone: Annotated[str | None, "A time zone such as Europe/Paris; local time if left out."] = None,
) -> str:
    """Tell the date and time."""
    return told(datetime.now(_zone(zone.strip())) if zone and zone.strip() else datetime.now().astimezone())


def told(moment: datetime) -> str:
    """A moment that knows its zone, in English whatever the machine's language is."""
    day = f"{_DAYS[moment.weekday()]} {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    return f"{day}, {moment:%H:%M}, UTC{moment.isoformat(timespec='minutes')[16:]}"


def _zone(name: str) -> tzinfo:
    """The zone of that name, in whatever case; the name reaches the file system only if it is a known one."""
    if name.upper() == "UTC":
        return UTC
    names = {known.casefold(): known for known in available_timezones()}
    wanted = name.casefold().replace(" ", "_")
    if wanted in names:
        return ZoneInfo(names[wanted])
    if not names:
        raise ToolError("This machine has no time zone database; leave the zone out for local time.")
    near = [known for known in names if known.rpartition("/")[2] == wanted] or get_close_matches(wanted, names, n=1)
    suggestion = f"Did you mean {names[min(near)]}?" if near else "Zones look like Europe/Paris."
    raise ToolError(f"{name!r} is no time zone. {suggestion}")
