"""When a number of calls will be done, given Zoho's limits, quota headroom for others and the allowed hours.

The sums go day by day through the organisation's days, to the minute. Where a change of the UTC offset falls into the
allowed hours or onto the end of a day, that day may be an hour off. Nothing here reads a clock: the caller passes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Literal

import msgspec

from .window import Window

DAILY = (1000, 2000, 5000, 10000)
"""Calls a day under Zoho's plans, from Free to Premium and above."""
HORIZON = timedelta(days=3653)
"""Ten years: a forecast looks no further."""

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_QUARTER = timedelta(minutes=15)
_CLOCKS_DIFFER = timedelta(minutes=2)
_EASTERNMOST = timedelta(hours=12, minutes=45)
_NEVER = datetime.max.replace(tzinfo=UTC)


class RateAllowance(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls may be made, and when. Numbers are calls."""

    per_minute: int | None
    """In any 60 seconds; None: no limit."""
    per_day: int | None
    """In one of the organisation's days; None: unknown or no limit."""
    left_today: int | None
    """As Zoho counts, the headroom included; None: unknown, taken to be `per_day`."""
    resets_at: datetime | None
    """When the organisation's day ends, with its zone; None: 24 hours after `now`. Later days end at the same
    wall-clock time of that zone. When it is past, `left_today` is out of date and `per_day` counts."""
    headroom: int = 0
    """Calls of each day that are left to others."""
    window: Window | None = None
    """The allowed hours, in the zone of `now`; None: all."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """When a number of calls will be done."""

    done_at: datetime | None
    """When the last call is sent, rounded up to the minute, in the zone of `now`; None: not within ten years."""
    days: int
    """On how many of the organisation's days calls are made; 0 when `done_at` is None."""
    limited_by: Literal["minute", "day", "window", "nothing"]
    """What decides the end. `nothing`: all is done at once. `minute`: day and window delay it by no more than a minute.
    Else the one of those two without which it would be done sooner; `day` when both make the same difference."""


def forecast(calls: int, allowance: RateAllowance, now: datetime) -> Forecast:
    """Computes when a number of calls will be done.

    Args:
        calls: How many are to be made, evenly spaced, the first as soon as one is allowed.
        allowance: What limits them.
        now: When they begin; an aware datetime.

    Returns:
        The end to the minute, and what decides it.
    """
    done, days = _last_call(calls, allowance, now)
    done_at = _round_up(done, now) if done < _NEVER else None
    return Forecast(done_at=done_at, days=days, limited_by=_limited_by(calls, allowance, now, done))


def larger_plans(calls: int, allowance: RateAllowance, now: datetime) -> dict[int, datetime]:
    """Computes when the calls would be done under each plan with more calls a day than `allowance.per_day`.

    Calls used today count under the other plan too. When `per_day` is unknown, every plan counts as larger.

    Returns:
        The end by calls a day (`DAILY`), without the plans that would take longer than ten years.
    """
    plans: dict[int, datetime] = {}
    for daily in DAILY:
        if allowance.per_day is None or daily > allowance.per_day:
            left = allowance.left_today
            if left is not None:
                # With the plan unknown, so is what was used: assume as many left.
                left = min(left, daily) if allowance.per_day is None else daily - allowance.per_day + left
            done, _ = _last_call(calls, msgspec.structs.replace(allowance, per_day=daily, left_today=left), now)
            if done < _NEVER:
                plans[daily] = _round_up(done, now)
    return plans


def organization_zone(resets_at: datetime) -> timezone | None:
    """Finds the UTC offset, in quarters of an hour, at which a moment is midnight, give or take two minutes.

    Returns:
        The offset, from -11:00 to +12:45 (a moment is midnight at two offsets a day apart); None when there is none.
    """
    moment = resets_at.astimezone(UTC)
    before_midnight = (moment.replace(hour=0, minute=0, second=0, microsecond=0) - moment) % _DAY
    offset = round(before_midnight / _QUARTER) * _QUARTER
    if abs(before_midnight - offset) > _CLOCKS_DIFFER:
        return None
    return timezone(offset if offset <= _EASTERNMOST else offset - _DAY)


def _last_call(calls: int, allowance: RateAllowance, now: datetime) -> tuple[datetime, int]:
    """When the last call is sent, in UTC, and on how many days calls are; (_NEVER, 0) beyond the horizon."""
    free_at = now.astimezone(UTC)
    if calls <= 0:
        return free_at, 0
    rate = allowance.per_minute
    if rate is not None and rate <= 0:
        return _NEVER, 0
    days = 0
    for begin, end, allowed in _days(allowance, now):
        left, today = calls, calls if allowed is None else min(calls, allowed)
        periods = [(begin, end)] if allowance.window is None else allowance.window.open_periods(begin, end, now.tzinfo)
        for opens, closes in periods:
            first = max(opens, free_at)
            fitting = today if rate is None else min(today, -((first - closes) * rate // _MINUTE))
            if fitting > 0:
                calls, today = calls - fitting, today - fitting
                free_at = first + _duration(fitting, rate)
            if calls == 0:
                return first + _duration(fitting - 1, rate), days + 1
        days += calls < left
    return _NEVER, 0


def _duration(calls: int, rate: int | None) -> timedelta:
    return timedelta() if rate is None else calls * _MINUTE / rate


def _days(allowance: RateAllowance, now: datetime) -> Iterator[tuple[datetime, datetime, int | None]]:
    """The organisation's days within the horizon: begin and end in UTC, and the calls allowed, None for no limit."""
    begin = now.astimezone(UTC)
    horizon = begin + HORIZON
    later = None if allowance.per_day is None else allowance.per_day - allowance.headroom
    today = later if allowance.left_today is None else allowance.left_today - allowance.headroom
    first = allowance.resets_at or begin + _DAY
    for days in count():
        end = (first + days * _DAY).astimezone(UTC)
        if end > begin:
            yield begin, min(end, horizon), today
            begin = end
        today = later
        if begin >= horizon or (later is not None and later <= 0):
            return


def _limited_by(
    calls: int, allowance: RateAllowance, now: datetime, done: datetime
) -> Literal["minute", "day", "window", "nothing"]:
    no_day = msgspec.structs.replace(allowance, per_day=None, left_today=None)
    no_window = msgspec.structs.replace(allowance, window=None)
    unlimited, _ = _last_call(calls, msgspec.structs.replace(no_day, window=None), now)
    if done - unlimited <= _MINUTE:
        return "nothing" if unlimited == now.astimezone(UTC) else "minute"
    return "window" if _last_call(calls, no_window, now)[0] < _last_call(calls, no_day, now)[0] else "day"


def _round_up(moment: datetime, now: datetime) -> datetime:
    """The full minute at or after `moment`, in the zone of `now`."""
    minute = moment.replace(second=0, microsecond=0)
    return (minute if minute == moment else minute + _MINUTE).astimezone(now.tzinfo)
