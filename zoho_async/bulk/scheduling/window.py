"""The hours of the day in which a user allows calls, and waiting for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import count

import msgspec

from zoho_async.bulk.errors import InputError

UNKNOWN_RESET = timedelta(hours=1)
"""How long to wait for the next day's calls where Zoho does not say when it begins."""
MAX_SLEEP_S = 60.0
"""The longest sleep before `sleep_until` reads the clock again."""

_DAY = timedelta(days=1)
_FORMAT = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


class Window(msgspec.Struct, frozen=True):
    """The allowed hours of each day, by the wall clock: from `start` up to but not including `end`.

    An end earlier than the start passes midnight.

    Raises:
        InputError: Start and end are the same time.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise InputError(f"A window cannot begin and end at the same time, {self.start:%H:%M}.")

    @classmethod
    def parse(cls, text: str) -> Window:
        """Reads a window from text.

        Args:
            text: `HH:MM-HH:MM` with hours from 00 to 23, such as `19:00-07:00` or `09:00-17:00`.

        Returns:
            The window.

        Raises:
            InputError: The text has another form, or start and end are the same time.
        """
        found = _FORMAT.fullmatch(text)
        if found is None:
            raise InputError(f"A window is written HH:MM-HH:MM with hours from 00 to 23, not {text[:40]!r}.")
        hour, minute, last_hour, last_minute = (int(number) for number in found.groups())
        return cls(time(hour, minute), time(last_hour, last_minute))

    def open_at(self, moment: datetime) -> bool:
        """Whether calls are allowed at `moment`, by the wall clock of its zone."""
        clock = moment.time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def next_opening(self, moment: datetime) -> datetime:
        """The first moment from `moment` on at which the window is open, in the same zone.

        A start in an hour that a change of the UTC offset skips is an hour late, or a day when the window is closed
        by then; in an hour that comes twice only the first start counts.
        """
        # The round trip through UTC makes a skipped wall-clock time a real one.
        current = moment.astimezone(UTC)
        local = current.astimezone(moment.tzinfo)
        if self.open_at(local):
            return local
        for days in count():
            opening = _at(local.date() + days * _DAY, self.start, moment.tzinfo)
            if opening >= current and self.open_at(opening.astimezone(moment.tzinfo)):
                return opening.astimezone(moment.tzinfo)
        raise AssertionError("unreachable")

    def open_periods(self, begin: datetime, end: datetime, zone: tzinfo | None) -> Iterator[tuple[datetime, datetime]]:
        """The parts of the time from `begin` to `end` in which the window is open by the clock of `zone`, in UTC.

        A period that starts or ends in an hour that a change of the UTC offset skips or repeats is up to an hour off.
        """
        closing_day = timedelta() if self.start < self.end else _DAY
        day = begin.astimezone(zone).date() - _DAY
        while (opens := _at(day, self.start, zone)) < end:
            closes = _at(day + closing_day, self.end, zone)
            if max(opens, begin) < min(closes, end):
                yield max(opens, begin), min(closes, end)
            day += _DAY


async def sleep_until(
    moment: datetime, *, now: Callable[[], datetime], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Sleeps until the clock `now` reaches `moment`; returns at once when it already has.

    Sleeps at most `MAX_SLEEP_S` seconds at a time: timers stand still while a machine is suspended.
    """
    end = moment.astimezone(UTC)
    while (left := (end - now().astimezone(UTC)).total_seconds()) > 0:
        await sleep(min(left, MAX_SLEEP_S))


def _at(day: date, clock: time, zone: tzinfo | None) -> datetime:
    """A day's wall-clock time in a zone, in UTC."""
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)


def local_now() -> datetime:
    """This machine's clock, with its zone."""
    return datetime.now().astimezone()
