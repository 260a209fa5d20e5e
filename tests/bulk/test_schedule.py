from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from fractions import Fraction
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoho_async.bulk.problems import InputError
from zoho_async.bulk.schedule import (
    DAILY,
    Forecast,
    Pace,
    Window,
    forecast,
    larger_plans,
    organization_zone,
    sleep_until,
)

BERLIN = ZoneInfo("Europe/Berlin")
"""Clocks go from 02:00 to 03:00 on 2026-03-29 and from 03:00 to 02:00 on 2026-10-25, both at 01:00 UTC."""
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
"""Its clocks change by half an hour."""

Local = Callable[[str], datetime]


def in_zone(zone: tzinfo) -> Local:
    return lambda text: datetime.fromisoformat(text).replace(tzinfo=zone)


utc = in_zone(UTC)
berlin = in_zone(BERLIN)


# -- windows


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("19:00-07:00", time(19), time(7)),
        ("09:00-17:00", time(9), time(17)),
        ("00:00-23:59", time(0), time(23, 59)),
        ("22:30-00:00", time(22, 30), time(0)),
    ],
)
def test_a_window_is_read(text: str, begins: time, ends: time) -> None:
    assert Window.parse(text) == Window(begins, ends)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "19:00",
        "19-07",
        "9:00-17:00",
        "19:00-24:00",
        "19:60-20:00",
        "19:00 - 07:00",
        "19:00-07:00\n",
        "19:00–07:00",
        "19:00-07:00,12:00-13:00",
        "١٩:00-07:00",
        "x" * 1000,
    ],
)
def test_anything_else_is_no_window(text: str) -> None:
    with pytest.raises(InputError, match="A window is written HH:MM-HH:MM") as caught:
        Window.parse(text)
    assert len(str(caught.value)) < 200


def test_a_window_without_length_is_refused_however_it_is_made() -> None:
    with pytest.raises(InputError, match="begin and end at the same time, 19:00"):
        Window.parse("19:00-19:00")
    with pytest.raises(InputError):
        Window(time(0), time(0))


@pytest.mark.parametrize(
    ("window", "clock", "opened"),
    [
        ("09:00-17:00", "08:59:59.999999", False),
        ("09:00-17:00", "09:00", True),
        ("09:00-17:00", "16:59:59.999999", True),
        ("09:00-17:00", "17:00", False),
        ("19:00-07:00", "18:59:59.999999", False),
        ("19:00-07:00", "19:00", True),
        ("19:00-07:00", "00:00", True),
        ("19:00-07:00", "06:59:59.999999", True),
        ("19:00-07:00", "07:00", False),
        ("19:00-00:00", "23:59:59.999999", True),
        ("19:00-00:00", "00:00", False),
    ],
)
def test_open_from_its_beginning_up_to_its_end(window: str, clock: str, opened: bool) -> None:
    # A wall clock far from UTC, so that reading the wrong one shows.
    moment = datetime.fromisoformat(f"2026-06-01T{clock}+05:30")
    assert Window.parse(window).open_at(moment) is opened


@pytest.mark.parametrize(
    ("window", "moment", "opening", "closing"),
    [
        ("09:00-17:00", "2026-06-01T08:00", "2026-06-01T09:00", "2026-06-01T17:00"),
        ("09:00-17:00", "2026-06-01T09:00", "2026-06-01T09:00", "2026-06-01T17:00"),
        ("09:00-17:00", "2026-06-01T16:59:59.5", "2026-06-01T16:59:59.5", "2026-06-01T17:00"),
        ("09:00-17:00", "2026-06-01T17:00", "2026-06-02T09:00", "2026-06-02T17:00"),
        ("19:00-07:00", "2026-06-01T12:00", "2026-06-01T19:00", "2026-06-02T07:00"),
        ("19:00-07:00", "2026-06-01T23:00", "2026-06-01T23:00", "2026-06-02T07:00"),
        ("19:00-07:00", "2026-06-01T03:00", "2026-06-01T03:00", "2026-06-01T07:00"),
        ("19:00-07:00", "2026-06-01T07:00", "2026-06-01T19:00", "2026-06-02T07:00"),
        ("22:00-00:00", "2026-12-31T23:00", "2026-12-31T23:00", "2027-01-01T00:00"),
    ],
)
def test_next_opening_and_closing(window: str, moment: str, opening: str, closing: str) -> None:
    assert Window.parse(window).next_opening(berlin(moment)) == berlin(opening)
    assert Window.parse(window).next_closing(berlin(moment)) == berlin(closing)


@pytest.mark.parametrize(
    ("window", "moment", "opening", "closing"),
    [
        # Spring, 02:00 to 03:00. The night is an hour shorter.
        ("19:00-07:00", "2026-03-28T11:00", "2026-03-28T18:00", "2026-03-29T05:00"),
        # It would begin, or end, in the hour left out: at the change.
        ("02:30-05:00", "2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T03:00"),
        ("19:00-02:30", "2026-03-29T00:00", "2026-03-29T00:00", "2026-03-29T01:00"),
        # All of it in the hour left out: the day after.
        ("02:15-02:45", "2026-03-29T00:00", "2026-03-30T00:15", "2026-03-30T00:45"),
        # Ends as the clocks change.
        ("19:00-02:00", "2026-03-29T00:30", "2026-03-29T00:30", "2026-03-29T01:00"),
        ("19:00-02:30", "2026-03-29T00:30:00.5", "2026-03-29T00:30:00.5", "2026-03-29T01:00"),
        # Autumn, 03:00 to 02:00. The night is an hour longer.
        ("19:00-07:00", "2026-10-24T10:00", "2026-10-24T17:00", "2026-10-25T06:00"),
        ("09:00-17:00", "2026-10-24T16:00", "2026-10-25T08:00", "2026-10-25T16:00"),
        # The hour that comes twice is in the window twice.
        ("02:15-02:45", "2026-10-25T00:00", "2026-10-25T00:15", "2026-10-25T00:45"),
        ("02:15-02:45", "2026-10-25T00:45", "2026-10-25T01:15", "2026-10-25T01:45"),
        ("02:30-05:00", "2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00"),
        ("02:30-05:00", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T04:00"),
        ("19:00-02:30", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"),
    ],
)
def test_where_clocks_change_the_wall_clock_decides(window: str, moment: str, opening: str, closing: str) -> None:
    """Moments are given in UTC here, asked for in Berlin."""
    local = utc(moment).astimezone(BERLIN)
    opens, closes = Window.parse(window).next_opening(local), Window.parse(window).next_closing(local)
    assert (opens.astimezone(UTC), closes.astimezone(UTC)) == (utc(opening), utc(closing))
    assert (opens.tzinfo, closes.tzinfo) == (BERLIN, BERLIN)


def test_a_time_that_the_clocks_left_out_is_taken_for_the_real_one() -> None:
    left_out = berlin("2026-03-29T02:30")  # 03:30 in truth
    assert Window.parse("02:15-02:45").next_opening(left_out) == berlin("2026-03-30T02:15")
    assert Window.parse("03:15-03:45").next_closing(left_out) == berlin("2026-03-29T03:45")


minutes_of_day = st.integers(0, 24 * 60 - 1).map(lambda minute: time(*divmod(minute, 60)))
windows = st.tuples(minutes_of_day, minutes_of_day).filter(lambda both: both[0] != both[1]).map(lambda b: Window(*b))
zones = st.sampled_from([UTC, BERLIN, LORD_HOWE, timezone(timedelta(hours=-11)), timezone(timedelta(hours=5.75))])
# The days around two changes in Berlin and two on Lord Howe Island.
seconds_near_changes = st.sampled_from(
    [utc("2026-03-27T00:00"), utc("2026-04-03T00:00"), utc("2026-10-02T00:00"), utc("2026-10-23T00:00")]
).flatmap(lambda day: st.integers(0, 3 * 86400).map(lambda seconds: day + timedelta(seconds=seconds)))


def first_minute(start: datetime, zone: tzinfo, wanted: Callable[[datetime], bool]) -> datetime:
    """The first moment from `start` on, then at each full minute, that is wanted: by looking at every one."""
    moment = start
    while not wanted(moment.astimezone(zone)):
        moment = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return moment


@settings(deadline=None)
@given(window=windows, zone=zones, moment=seconds_near_changes)
def test_openings_and_closings_are_those_found_minute_by_minute(window: Window, zone: tzinfo, moment: datetime) -> None:
    opens = first_minute(moment, zone, window.open_at)
    closes = first_minute(opens, zone, lambda local: not window.open_at(local))
    assert window.next_opening(moment.astimezone(zone)).astimezone(UTC) == opens
    assert window.next_closing(moment.astimezone(zone)).astimezone(UTC) == closes


# -- forecasts

NOON = utc("2026-06-01T12:00")
MIDNIGHT = utc("2026-06-02T00:00")


def pace(
    per_minute: int | None = 60,
    per_day: int | None = 1000,
    left_today: int | None = 1000,
    resets_at: datetime | None = MIDNIGHT,
    reserve: int = 0,
    window: str | None = None,
) -> Pace:
    """60 a minute is one a second, which makes sums easy."""
    return Pace(
        per_minute=per_minute,
        per_day=per_day,
        left_today=left_today,
        resets_at=resets_at,
        reserve=reserve,
        window=None if window is None else Window.parse(window),
    )


@pytest.mark.parametrize(
    ("calls", "given_pace", "done_at", "days", "limited_by"),
    [
        # Fits today.
        (0, pace(), "2026-06-01T12:00", 0, "nothing"),
        (0, pace(left_today=0, window="19:00-07:00"), "2026-06-01T12:00", 0, "nothing"),
        (1, pace(), "2026-06-01T12:00", 1, "nothing"),
        (2, pace(), "2026-06-01T12:00:01", 1, "minute"),
        (61, pace(), "2026-06-01T12:01", 1, "minute"),
        (4, pace(per_minute=95), "2026-06-01T12:00:01.894737", 1, "minute"),  # 3 * 60 / 95, rounded up
        # The exact boundary.
        (1000, pace(), "2026-06-01T12:16:39", 1, "minute"),
        (1001, pace(), "2026-06-02T00:00", 2, "day"),
        (1002, pace(), "2026-06-02T00:00:01", 2, "day"),
        (2000, pace(), "2026-06-02T00:16:39", 2, "day"),
        (2001, pace(), "2026-06-03T00:00", 3, "day"),
        # The day ends while calls are made: the next day's go on at the same pace, half a second off midnight.
        (11, pace(resets_at=utc("2026-06-01T12:00:09.500")), "2026-06-01T12:00:10", 2, "minute"),
        (10, pace(resets_at=utc("2026-06-01T12:00:09")), "2026-06-01T12:00:09", 2, "minute"),
        (9, pace(resets_at=utc("2026-06-01T12:00:09")), "2026-06-01T12:00:08", 1, "minute"),
        # The reserve is kept every day.
        (900, pace(reserve=100), "2026-06-01T12:14:59", 1, "minute"),
        (901, pace(reserve=100), "2026-06-02T00:00", 2, "day"),
        (1801, pace(reserve=100), "2026-06-03T00:00", 3, "day"),
        (1, pace(reserve=999), "2026-06-01T12:00", 1, "nothing"),
        (2, pace(reserve=999), "2026-06-02T00:00", 2, "day"),
        (1, pace(reserve=1000), None, 0, "day"),
        (1, pace(reserve=1500), None, 0, "day"),
        (1, pace(per_day=None, left_today=None, reserve=1500), "2026-06-01T12:00", 1, "nothing"),
        # Nothing left, or less than the reserve.
        (1, pace(left_today=0), "2026-06-02T00:00", 1, "day"),
        (1, pace(left_today=50, reserve=100), "2026-06-02T00:00", 1, "day"),
        (1000, pace(left_today=0), "2026-06-02T00:16:39", 1, "day"),
        # Several days: 1 + 3 * 1000 + 1.
        (3002, pace(left_today=1), "2026-06-05T00:00", 5, "day"),
        # 24 hours of 60 seconds of one call a second, less the last: no day's limit.
        (172_800, pace(per_day=None, left_today=None), "2026-06-03T11:59:59", 3, "minute"),
        # What is left today is unknown: all of it. Tomorrow's limit is unknown: none.
        (1000, pace(left_today=None), "2026-06-01T12:16:39", 1, "minute"),
        (1001, pace(left_today=None), "2026-06-02T00:00", 2, "day"),
        (5010, pace(per_day=None, left_today=10), "2026-06-02T01:23:19", 2, "day"),
        # The end of the day is unknown: 24 hours from now. It is past: another day has begun.
        (1001, pace(resets_at=None), "2026-06-02T12:00", 2, "day"),
        (1000, pace(left_today=0, resets_at=utc("2026-06-01T11:59")), "2026-06-01T12:16:39", 1, "minute"),
        (1001, pace(left_today=0, resets_at=utc("2026-06-01T11:59")), "2026-06-02T11:59", 2, "day"),
        (1001, pace(left_today=0, resets_at=utc("2026-05-20T00:00")), "2026-06-02T00:00", 2, "day"),
        (1000, pace(left_today=0, resets_at=NOON), "2026-06-01T12:16:39", 1, "minute"),
        # No pace by the minute.
        (1000, pace(per_minute=None), "2026-06-01T12:00", 1, "nothing"),
        (1001, pace(per_minute=None), "2026-06-02T00:00", 2, "day"),
        (9999, pace(per_minute=None), "2026-06-10T00:00", 10, "day"),
        (10**9, pace(per_minute=None, per_day=None, left_today=None), "2026-06-01T12:00", 1, "nothing"),
        (1, pace(per_minute=0), None, 0, "minute"),
        # The window: 10 minutes are 600 calls, the first at its opening, none at its closing.
        (600, pace(window="19:00-19:10"), "2026-06-01T19:09:59", 1, "window"),
        (601, pace(window="19:00-19:10"), "2026-06-02T19:00", 2, "window"),
        (1, pace(window="12:00-12:10"), "2026-06-01T12:00", 1, "nothing"),
        (600, pace(window="12:00-12:10"), "2026-06-01T12:09:59", 1, "minute"),
        (601, pace(window="12:00-12:10"), "2026-06-02T12:00", 2, "window"),
        (700, pace(per_minute=None, window="19:00-07:00"), "2026-06-01T19:00", 1, "window"),
        # It goes over midnight: 600 calls before, the others after, on another day of the organisation.
        (1200, pace(window="23:50-00:10"), "2026-06-02T00:09:59", 2, "window"),
        (600, pace(window="23:50-00:10"), "2026-06-01T23:59:59", 1, "window"),
        (601, pace(window="23:50-00:10"), "2026-06-02T00:00", 2, "window"),
        # The day's calls end before the window closes; it opens again before the day is over, and in vain.
        (1001, pace(window="12:00-07:00"), "2026-06-02T00:00", 2, "day"),
        (1001, pace(window="19:00-20:00"), "2026-06-02T19:00", 2, "day"),
        # Nothing left today, and closed as well: whichever ends last decides.
        (1, pace(left_today=0, window="19:00-02:00"), "2026-06-02T00:00", 1, "day"),
        (1, pace(left_today=0, window="02:00-11:00"), "2026-06-02T02:00", 1, "window"),
        (1, pace(left_today=0, window="00:00-11:00"), "2026-06-02T00:00", 1, "day"),
        # In each window 600 calls of 1000.
        (2401, pace(window="19:00-19:10"), "2026-06-05T19:00", 5, "window"),
        # The longest wait is for the window, every night; but without it nothing would end much sooner.
        (5000, pace(window="23:00-23:30", resets_at=utc("2026-06-02T08:00")), "2026-06-05T23:16:39", 5, "day"),
    ],
)
def test_forecasts_worked_out_by_hand(
    calls: int,
    given_pace: Pace,
    done_at: str | None,
    days: int,
    limited_by: Literal["minute", "day", "window", "nothing"],
) -> None:
    assert forecast(calls, given_pace, NOON) == Forecast(
        done_at=None if done_at is None else utc(done_at), days=days, limited_by=limited_by
    )


@pytest.mark.parametrize(
    ("calls", "now", "given_pace", "done_at"),
    [
        # The night of 2026-03-28 has 11 hours: 660 calls at one a minute.
        (660, "2026-03-28T12:00", pace(1, None, None, window="19:00-07:00"), "2026-03-29T06:59+02:00"),
        (661, "2026-03-28T12:00", pace(1, None, None, window="19:00-07:00"), "2026-03-29T19:00+02:00"),
        # The night of 2026-10-24 has 13.
        (780, "2026-10-24T12:00", pace(1, None, None, window="19:00-07:00"), "2026-10-25T06:59+01:00"),
        (781, "2026-10-24T12:00", pace(1, None, None, window="19:00-07:00"), "2026-10-25T19:00+01:00"),
        # Half an hour of the window, twice.
        (60, "2026-10-25T00:00", pace(1, None, None, window="02:15-02:45"), "2026-10-25T02:44+01:00"),
        # The organisation's days end at midnight before the change and after it.
        (2001, "2026-03-28T12:00", pace(resets_at=berlin("2026-03-29T00:00")), "2026-03-30T00:00+02:00"),
        (2001, "2026-10-24T12:00", pace(resets_at=berlin("2026-10-25T00:00")), "2026-10-26T00:00+01:00"),
        # The day ends at the later of two equal wall-clock times.
        (
            1001,
            "2026-10-25T00:00",
            pace(resets_at=berlin("2026-10-25T02:30").replace(fold=1)),
            "2026-10-25T02:30+01:00",
        ),
        # The pause of a day that is not known is 24 hours, whatever the clocks show.
        (1001, "2026-03-28T12:00", pace(resets_at=None), "2026-03-29T13:00+02:00"),
    ],
)
def test_forecasts_where_clocks_change(calls: int, now: str, given_pace: Pace, done_at: str) -> None:
    done = forecast(calls, given_pace, berlin(now)).done_at
    assert done is not None
    assert done.tzinfo is BERLIN
    assert done.isoformat() == datetime.fromisoformat(done_at).isoformat()


def test_never_is_also_what_takes_longer_than_ten_years() -> None:
    ten_years = 3653 * 1440
    once_a_minute = pace(1, None, None)
    assert forecast(ten_years, once_a_minute, NOON).done_at == NOON + timedelta(days=3653, minutes=-1)
    assert forecast(ten_years + 1, once_a_minute, NOON) == Forecast(done_at=None, days=0, limited_by="minute")
    # The first day is half over at noon, and so is the last one that counts.
    assert forecast(3654, pace(per_day=1, left_today=1), NOON).days == 3654
    assert forecast(3655, pace(per_day=1, left_today=1), NOON) == Forecast(done_at=None, days=0, limited_by="day")


# -- against a simulation, call by call


def simulated(calls: int, given_pace: Pace, now: datetime) -> tuple[Fraction, int] | None:
    """The last call's second since 1970 and the number of days, found by placing each call at the earliest moment."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    def second(moment: datetime) -> Fraction:
        return Fraction((moment - epoch) // timedelta(microseconds=1), 1_000_000)

    def allowed(at: Fraction) -> bool:
        if given_pace.window is None:
            return True
        local = (epoch + timedelta(seconds=int(at))).astimezone(now.tzinfo)
        minute = local.hour * 60 + local.minute
        begins = given_pace.window.begins.hour * 60 + given_pace.window.begins.minute
        ends = given_pace.window.ends.hour * 60 + given_pace.window.ends.minute
        return (minute - begins) % 1440 < (ends - begins) % 1440

    interval = Fraction(0) if given_pace.per_minute is None else Fraction(60, given_pace.per_minute)
    assert given_pace.resets_at is not None
    day = 0
    day_ends = [second(given_pace.resets_at)] + [
        second((given_pace.resets_at + timedelta(days=more)).astimezone(UTC)) for more in range(1, 40)
    ]
    every_day = None if given_pace.per_day is None else given_pace.per_day - given_pace.reserve
    left = every_day if given_pace.left_today is None else given_pace.left_today - given_pace.reserve
    at, days_used, made = second(now), set[int](), 0
    while True:
        while at >= day_ends[day]:
            day, left = day + 1, every_day
            if day == len(day_ends):
                return None
        if not allowed(at):
            at = Fraction((int(at) // 60 + 1) * 60)
        elif left is not None and left <= 0:
            at = day_ends[day]
        else:
            made += 1
            days_used.add(day)
            if made == calls:
                return at, len(days_used)
            left = None if left is None else left - 1
            at += interval


@st.composite
def paces(draw: st.DrawFn, now: datetime) -> Pace:
    per_day = draw(st.none() | st.integers(1, 12))
    return Pace(
        per_minute=draw(st.none() | st.integers(1, 120)),
        per_day=per_day,
        left_today=draw(st.none() | st.integers(0, 12 if per_day is None else per_day)),
        resets_at=now + timedelta(seconds=draw(st.integers(1, 100_000))),
        reserve=draw(st.integers(0, 3)),
        window=draw(st.none() | windows),
    )


situations = st.tuples(seconds_near_changes, zones).flatmap(
    lambda both: st.tuples(paces(both[0].astimezone(both[1])), st.just(both[0].astimezone(both[1])))
)


@settings(deadline=None)
@given(calls=st.integers(1, 40), situation=situations)
def test_a_forecast_is_what_a_simulation_of_each_call_finds(calls: int, situation: tuple[Pace, datetime]) -> None:
    given_pace, now = situation
    predicted = forecast(calls, given_pace, now)
    found = simulated(calls, given_pace, now)
    if found is None:
        # The simulation gives up after 40 days.
        assert predicted.done_at is None or predicted.done_at > now + timedelta(days=38)
        return
    assert predicted.done_at is not None
    exact = Fraction((predicted.done_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), 1_000_000)
    assert 0 <= exact - found[0] < Fraction(1, 1_000_000)
    assert predicted.days == found[1]


@settings(deadline=None)
@given(situation=situations, few=st.integers(0, 500), more=st.integers(0, 500))
def test_more_calls_are_never_done_sooner(situation: tuple[Pace, datetime], few: int, more: int) -> None:
    given_pace, now = situation
    first, second = forecast(few, given_pace, now), forecast(few + more, given_pace, now)
    if second.done_at is not None:
        assert first.done_at is not None
        assert first.done_at.astimezone(UTC) <= second.done_at.astimezone(UTC)
        assert first.days <= second.days


@settings(deadline=None)
@given(situation=situations, calls=st.integers(1, 2000))
def test_what_decides_the_end_makes_the_difference(situation: tuple[Pace, datetime], calls: int) -> None:
    given_pace, now = situation
    predicted = forecast(calls, given_pace, now)
    no_window = msgspec.structs.replace(given_pace, window=None)
    no_day = msgspec.structs.replace(given_pace, per_day=None, left_today=None)
    neither = forecast(calls, msgspec.structs.replace(no_day, window=None), now).done_at
    assert (predicted.done_at == neither) == (predicted.limited_by in ("minute", "nothing"))
    assert (predicted.done_at == now) == (predicted.limited_by == "nothing")
    assert neither is not None
    if predicted.limited_by == "window":
        sooner = forecast(calls, no_window, now).done_at
        assert sooner is not None
        assert predicted.done_at is None or sooner.astimezone(UTC) < predicted.done_at.astimezone(UTC)
    if predicted.limited_by == "day" and given_pace.window is None:
        assert forecast(calls, no_day, now).done_at == neither


# -- larger plans


def test_larger_plans_count_what_was_used_today() -> None:
    # 900 of 1000 used: 1100 of 2000 are left, 4100 of 5000, 9100 of 10000.
    assert larger_plans(4200, pace(left_today=100), NOON) == {
        2000: utc("2026-06-03T00:18:19"),  # 1100, 2000, 1100
        5000: utc("2026-06-02T00:01:39"),  # 4100, 100
        10000: utc("2026-06-01T13:09:59"),  # 4200
    }


@pytest.mark.parametrize(
    ("given_pace", "plans"),
    [
        (pace(per_day=10000, left_today=10000), set[int]()),
        (pace(per_day=5000, left_today=5000), {10000}),
        (pace(per_day=2500, left_today=2500), {5000, 10000}),
        (pace(per_day=None, left_today=None), set(DAILY)),
        (pace(reserve=2000), {5000, 10000}),  # with 2000 a day all would go to others
    ],
)
def test_which_plans_are_larger(given_pace: Pace, plans: set[int]) -> None:
    assert larger_plans(50_000, given_pace, NOON).keys() == plans


def test_of_an_unknown_plan_what_is_left_today_stays_left() -> None:
    plans = larger_plans(1500, pace(per_minute=None, per_day=None, left_today=1200), NOON)
    assert plans == dict.fromkeys(DAILY, MIDNIGHT)
    # 500 more than a plan of 1000 has left on the first day, and on the second.
    assert larger_plans(2001, pace(per_minute=None, per_day=None, left_today=1200), NOON)[1000] == utc(
        "2026-06-03T00:00"
    )
    assert larger_plans(1500, pace(per_minute=None, per_day=None, left_today=None), NOON)[2000] == NOON


@settings(deadline=None)
@given(situation=situations, calls=st.integers(0, 30_000), scale=st.sampled_from([1, 100, 700]))
def test_larger_plans_are_never_later(situation: tuple[Pace, datetime], calls: int, scale: int) -> None:
    small, now = situation
    given_pace = msgspec.structs.replace(
        small,
        per_day=None if small.per_day is None else small.per_day * scale,
        left_today=None if small.left_today is None else small.left_today * scale,
    )
    plans = larger_plans(calls, given_pace, now)
    ends = [plans[daily].astimezone(UTC) for daily in DAILY if daily in plans]
    if given_pace.per_day is not None:
        done_at = forecast(calls, given_pace, now).done_at
        if done_at is not None:
            assert plans.keys() == {daily for daily in DAILY if daily > given_pace.per_day}
            ends.insert(0, done_at.astimezone(UTC))
    assert all(later <= sooner for sooner, later in pairwise(ends))


# -- the organisation's zone


@pytest.mark.parametrize(
    ("resets_at", "hours"),
    [
        ("2026-06-01T18:30", 5.5),
        ("2026-06-01T18:15", 5.75),
        ("2026-06-01T22:00", 2),
        ("2026-06-02T00:00", 0),
        ("2026-06-01T23:58", 0),
        ("2026-06-02T00:02", 0),
        ("2026-06-02T07:00", -7),
        ("2026-06-02T03:30", -3.5),
        ("2026-06-01T18:31:59", 5.5),
        ("2026-06-01T18:28:00", 5.5),
        ("2026-06-01T18:27:59", None),
        ("2026-06-01T18:32:00.000001", None),
        ("2026-06-01T18:37:30", None),
        # Two offsets fit.
        ("2026-06-01T12:00", 12),
        ("2026-06-01T11:15", 12.75),
        ("2026-06-01T11:00", -11),
        ("2026-06-01T10:00", -10),
    ],
)
def test_the_zone_is_the_one_whose_midnight_it_is(resets_at: str, hours: float | None) -> None:
    expected = None if hours is None else timezone(timedelta(hours=hours))
    assert organization_zone(utc(resets_at)) == expected
    assert organization_zone(utc(resets_at).astimezone(BERLIN)) == expected


@settings(deadline=None)
@given(quarters=st.integers(-44, 51), off=st.integers(-120, 120))
def test_every_zone_is_found_again(quarters: int, off: int) -> None:
    zone = timezone(timedelta(minutes=15 * quarters))
    assert organization_zone(datetime(2026, 6, 1, tzinfo=zone) + timedelta(seconds=off)) == zone


# -- the gate


class Clock:
    """A wall clock that only sleeping moves, and that can jump."""

    def __init__(self, start: datetime, jumps: dict[int, timedelta] | None = None) -> None:
        self.shown = start
        self.slept: list[float] = []
        self.jumps = jumps or {}

    def now(self) -> datetime:
        return self.shown

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        jump = self.jumps.get(len(self.slept), timedelta())
        self.shown = (self.shown.astimezone(UTC) + timedelta(seconds=seconds) + jump).astimezone(self.shown.tzinfo)


@pytest.mark.parametrize(
    ("seconds", "slept"),
    [(-5.0, []), (0.0, []), (0.000001, [0.000001]), (60.0, [60.0]), (150.5, [60.0, 60.0, 30.5])],
)
async def test_the_gate_sleeps_in_slices(seconds: float, slept: list[float]) -> None:
    clock = Clock(NOON)
    await sleep_until(NOON + timedelta(seconds=seconds), now=clock.now, sleep=clock.sleep)
    assert clock.slept == slept


async def test_a_suspended_machine_does_not_oversleep() -> None:
    clock = Clock(NOON, {2: timedelta(hours=9)})
    await sleep_until(NOON + timedelta(hours=8), now=clock.now, sleep=clock.sleep)
    assert clock.slept == [60.0, 60.0]


async def test_a_clock_set_back_is_waited_for() -> None:
    clock = Clock(NOON, {1: timedelta(seconds=-30)})
    await sleep_until(NOON + timedelta(seconds=60), now=clock.now, sleep=clock.sleep)
    assert clock.slept == [60.0, 30.0]


@pytest.mark.parametrize(
    ("now", "moment"), [("2026-03-29T01:59", "2026-03-29T03:01"), ("2026-10-25T01:59", "2026-10-25T03:00")]
)
async def test_the_gate_counts_real_minutes_where_clocks_change(now: str, moment: str) -> None:
    clock = Clock(berlin(now))
    real = (berlin(moment).astimezone(UTC) - berlin(now).astimezone(UTC)).total_seconds()
    await sleep_until(berlin(moment), now=clock.now, sleep=clock.sleep)
    assert sum(clock.slept) == real
    assert real in (120.0, 7260.0)


async def test_by_default_the_gate_sleeps_on_the_event_loop() -> None:
    readings = iter([NOON - timedelta(milliseconds=1), NOON])
    others: list[bool] = []
    asyncio.get_running_loop().call_soon(others.append, True)
    await sleep_until(NOON, now=lambda: next(readings))
    assert others == [True]
