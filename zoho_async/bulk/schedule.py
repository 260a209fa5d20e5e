"""When a number of calls will be done, given Zoho's limits, a reserve for others and the hours a user allows.

Everything but `sleep_until` is pure: the caller passes the time. Moments are aware datetimes. Two of the same zone are
compared and subtracted by Python as wall clocks, an hour wrong across a change of the clocks, so sums are done in UTC.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from itertools import count
from typing import Literal

import msgspec

from .problems import InputError

DAILY = (1000, 2000, 5000, 10000)
"""Calls a day under Zoho's plans, from Free to Premium and above."""
TEN_YEARS = timedelta(days=3653)
"""What is not done by then is never done, as far as a forecast goes."""
SLICE = 60.0
"""The longest sleep, in seconds, before `sleep_until` looks at the clock again."""

_MICROSECOND = timedelta(microseconds=1)
_MINUTE = 60_000_000
"""Microseconds of a minute."""
_DAY = timedelta(days=1)
_QUARTER = timedelta(minutes=15)
_CLOCKS_DIFFER = timedelta(minutes=2)
_EASTERNMOST = timedelta(hours=12, minutes=45)
_WRITTEN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


class Window(msgspec.Struct, frozen=True):
    """The hours of a day in which calls may be made, from `begins` up to but not including `ends`, by the wall clock.

    A window whose end is the earlier of the two passes midnight. Where clocks change, the wall clock decides alone: an
    hour that comes twice is in the window twice, and a boundary in an hour that is left out falls on the change.
    InputError when both are the same time.
    """

    begins: time
    ends: time

    def __post_init__(self) -> None:
        if self.begins == self.ends:
            raise InputError(f"A window cannot begin and end at the same time, {self.begins:%H:%M}.")

    @classmethod
    def parse(cls, text: str) -> Window:
        """A window from text such as `19:00-07:00` or `09:00-17:00`; InputError for anything else."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise InputError(f"A window is written HH:MM-HH:MM with hours from 00 to 23, not {text[:40]!r}.")
        hour, minute, last_hour, last_minute = (int(number) for number in found.groups())
        return cls(time(hour, minute), time(last_hour, last_minute))

    def open_at(self, moment: datetime) -> bool:
        """Whether calls may be made at `moment`, judged by the wall clock of its own zone."""
        clock = moment.time()
        if self.begins < self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends

    def next_opening(self, moment: datetime) -> datetime:
        """`moment` itself when the window is open then, else when it next opens, in the same zone."""
        return self._when(moment, opened=True)

    def next_closing(self, moment: datetime) -> datetime:
        """When the opening that `moment` is in, or the next one if it is in none, comes to its end."""
        return self._when(self.next_opening(moment), opened=False)

    def _when(self, moment: datetime, *, opened: bool) -> datetime:
        """The first moment from `moment` on when the window is open, or is not."""
        boundary = self.begins if opened else self.ends
        # By way of UTC, so that a time which the clocks left out becomes a real one.
        current = moment.astimezone(UTC)
        local = current.astimezone(moment.tzinfo)
        while self.open_at(local) != opened:
            following = current + _until(local.time(), boundary)
            if following.astimezone(moment.tzinfo).utcoffset() != local.utcoffset():
                following = _change_of_offset(current, following, moment.tzinfo)
            current, local = following, following.astimezone(moment.tzinfo)
        return local


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What may be called when. Numbers are calls; none of them is sent by looking at a forecast."""

    per_minute: int | None
    """In any 60 seconds; None: no limit."""
    per_day: int | None
    """In one of the organisation's days; None: unknown or no limit."""
    left_today: int | None
    """As Zoho counts, the reserve included; None: unknown, taken to be `per_day`."""
    resets_at: datetime | None
    """When the organisation's day ends; None: 24 hours after `now`. Later days end at the same wall-clock time in this
    moment's own zone. When it is past, another day has begun, and `left_today` says nothing about that one."""
    reserve: int = 0
    """Left to others on each day."""
    window: Window | None = None
    """By the wall clock of the zone of `now`; None: at any hour."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """When a number of calls will be done."""

    done_at: datetime | None
    """When the last call is sent, in the zone of `now`; None: never, or not within ten years."""
    days: int
    """How many of the organisation's days calls are made on; 0 when `done_at` is None."""
    limited_by: Literal["minute", "day", "window", "nothing"]
    """What decides the end. `nothing`: all is done at once. `minute`: neither the day's calls nor the window matter.
    Else the one of those two without which it would be done sooner, `day` when it makes no difference which."""


def forecast(calls: int, pace: Pace, now: datetime) -> Forecast:
    """When `calls` calls that begin at `now` will be done.

    The first call is sent as soon as one may be, the others evenly after it: 60 seconds divided by `per_minute` apart.
    """
    done_at, days = _walk(calls, pace, now)
    return Forecast(done_at=done_at, days=days, limited_by=_limited_by(calls, pace, now, done_at))


def larger_plans(calls: int, pace: Pace, now: datetime) -> dict[int, datetime]:
    """When `calls` would be done under each plan with more calls a day than `pace.per_day`, or each if that is unknown.

    What was used today counts under the other plan too. A plan under which it is never done is left out.
    """
    plans: dict[int, datetime] = {}
    for daily in DAILY:
        if pace.per_day is None or daily > pace.per_day:
            larger = msgspec.structs.replace(pace, per_day=daily, left_today=_left_under(daily, pace))
            done_at, _ = _walk(calls, larger, now)
            if done_at is not None:
                plans[daily] = done_at
    return plans


def organization_zone(resets_at: datetime) -> timezone | None:
    """The offset from UTC at which `resets_at` is midnight, to the quarter of an hour.

    None when the moment is more than two minutes off a quarter. A moment is midnight at two offsets a day apart, such
    as +13:00 and -11:00; the answer is the one from -11:00 to +12:45.
    """
    moment = resets_at.astimezone(UTC)
    before_midnight = _until(moment.time(), time())
    offset = round(before_midnight / _QUARTER) * _QUARTER
    if abs(before_midnight - offset) > _CLOCKS_DIFFER:
        return None
    return timezone(offset if offset <= _EASTERNMOST else offset - _DAY)


async def sleep_until(
    moment: datetime, *, now: Callable[[], datetime], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Sleep until the clock `now` shows `moment`; return at once when it already does.

    A timer stands still while a laptop is suspended, the wall clock does not: so the sleep is cut in slices of at most
    60 seconds, and the clock is read after each.
    """
    end = moment.astimezone(UTC)
    while (left := (end - now().astimezone(UTC)).total_seconds()) > 0:
        await sleep(min(left, SLICE))


def _walk(calls: int, pace: Pace, now: datetime) -> tuple[datetime | None, int]:
    """When the last of `calls` is sent and on how many days calls are; (None, 0) when not within ten years.

    Goes from one stretch of allowed time to the next, never from call to call. Time is counted from `now` in parts of
    a microsecond, `per_minute` parts to each: then the interval between calls is a whole number, and nothing is rounded
    but the result, up.
    """
    if calls <= 0:
        return now, 0
    if pace.per_minute is not None and pace.per_minute <= 0:
        return None, 0
    parts, interval = (1, 0) if pace.per_minute is None else (pace.per_minute, _MINUTE)
    start = now.astimezone(UTC)
    earliest = days = 0
    for begins, ends, allowance in _days(pace, now):
        today = calls if allowance is None else min(calls, allowance)
        left = today
        for opens, closes in _stretches(pace.window, begins, ends, now.tzinfo):
            if left <= 0:
                break
            first = max(earliest, (opens - start) // _MICROSECOND * parts)
            room = (closes - start) // _MICROSECOND * parts - first
            if room <= 0:
                continue
            fitting = min(left, -(-room // interval)) if interval else left
            left -= fitting
            earliest = first + fitting * interval
            if left == 0 and today == calls:
                last = earliest - interval
                return (start + -(-last // parts) * _MICROSECOND).astimezone(now.tzinfo), days + 1
        if left < today:
            calls -= today - left
            days += 1
    return None, 0


def _days(pace: Pace, now: datetime) -> Iterator[tuple[datetime, datetime, int | None]]:
    """The organisation's days from `now` on: beginning and end in UTC, and the calls allowed, None for no limit.

    They stop after ten years, or with the last day on which anything is allowed.
    """
    begins = now.astimezone(UTC)
    horizon = begins + TEN_YEARS
    later = None if pace.per_day is None else pace.per_day - pace.reserve
    today = later if pace.left_today is None else pace.left_today - pace.reserve
    for ends in _day_ends(pace, now):
        if ends <= begins:
            today = later
            continue
        yield begins, min(ends, horizon), today
        begins, today = ends, later
        if begins >= horizon or (later is not None and later <= 0):
            return


def _day_ends(pace: Pace, now: datetime) -> Iterator[datetime]:
    """When the organisation's days end, in UTC, the first of them as `pace` says."""
    first = pace.resets_at
    if first is None:
        first = (now.astimezone(UTC) + _DAY).astimezone(now.tzinfo)
    # Not `first` plus no days: a sum forgets which of two equal wall-clock times was meant.
    yield first.astimezone(UTC)
    for days in count(1):
        yield (first + timedelta(days=days)).astimezone(UTC)


def _stretches(
    window: Window | None, begins: datetime, ends: datetime, zone: tzinfo | None
) -> Iterator[tuple[datetime, datetime]]:
    """The parts of the time from `begins` to `ends` in which the window is open; all moments in UTC."""
    if window is None:
        yield begins, ends
        return
    while (opens := window.next_opening(begins.astimezone(zone)).astimezone(UTC)) < ends:
        begins = window.next_closing(opens.astimezone(zone)).astimezone(UTC)
        yield opens, min(begins, ends)


def _limited_by(
    calls: int, pace: Pace, now: datetime, done_at: datetime | None
) -> Literal["minute", "day", "window", "nothing"]:
    no_day = msgspec.structs.replace(pace, per_day=None, left_today=None)
    end = _comparable(done_at)
    if end == _end(calls, msgspec.structs.replace(no_day, window=None), now):
        return "nothing" if end == now.astimezone(UTC) else "minute"
    without_window = _end(calls, msgspec.structs.replace(pace, window=None), now)
    return "window" if without_window < _end(calls, no_day, now) else "day"


def _end(calls: int, pace: Pace, now: datetime) -> datetime:
    return _comparable(_walk(calls, pace, now)[0])


def _comparable(done_at: datetime | None) -> datetime:
    """In UTC; never is later than any other time."""
    return datetime.max.replace(tzinfo=UTC) if done_at is None else done_at.astimezone(UTC)


def _left_under(daily: int, pace: Pace) -> int | None:
    """The calls left today under a plan of `daily` calls; None when nothing is known of today."""
    if pace.left_today is None:
        return None
    if pace.per_day is None:
        # How much was used is unknown. What is left now would be left still, if the plan has as much.
        return min(pace.left_today, daily)
    return daily - (pace.per_day - pace.left_today)


def _until(clock: time, boundary: time) -> timedelta:
    """From one time of day to the next occurrence of another, less than a day, on a clock that nobody changes."""
    return (_since_midnight(boundary) - _since_midnight(clock)) % _DAY


def _since_midnight(clock: time) -> timedelta:
    return timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond)


def _change_of_offset(before: datetime, after: datetime, zone: tzinfo | None) -> datetime:
    """The moment, a whole second in UTC, at which the zone's offset ceases to be what it is at `before`.

    The offset at `after` must be another, and the two at most a day apart, so that there is one change between them.
    """
    offset = before.astimezone(zone).utcoffset()
    low = before.replace(microsecond=0)
    same, other = 0, -((low - after) // timedelta(seconds=1))
    while other - same > 1:
        middle = (same + other) // 2
        if (low + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            same = middle
        else:
            other = middle
    return low + timedelta(seconds=other)
