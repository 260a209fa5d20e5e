from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async.bulk.scheduling.forecast import (
    DAILY,
    HORIZON,
    Forecast,
    RateAllowance,
    forecast,
    larger_plans,
    organization_zone,
)
from zoho_async.bulk.scheduling.window import Window

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def allowance(
    per_minute: int | None = 60,
    per_day: int | None = 1000,
    left_today: int | None = 1000,
    resets_at: datetime | None = datetime(2026, 6, 2, tzinfo=UTC),
    headroom: int = 0,
    window: str | None = None,
) -> RateAllowance:
    """One call a second, and a day that ends at midnight."""
    return RateAllowance(
        per_minute=per_minute,
        per_day=per_day,
        left_today=left_today,
        resets_at=resets_at,
        headroom=headroom,
        window=None if window is None else Window.parse(window),
    )


@pytest.mark.parametrize(
    ("calls", "given_allowance", "done_at", "days", "limited_by"),
    [
        (0, allowance(left_today=0, window="19:00-07:00"), "2026-06-01T12:00", 0, "nothing"),
        (1, allowance(), "2026-06-01T12:00", 1, "nothing"),
        # Rounded up to the minute.
        (2, allowance(), "2026-06-01T12:01", 1, "minute"),
        (61, allowance(), "2026-06-01T12:01", 1, "minute"),
        (62, allowance(), "2026-06-01T12:02", 1, "minute"),
        # The day's calls.
        (1000, allowance(), "2026-06-01T12:17", 1, "minute"),
        (1001, allowance(), "2026-06-02T00:00", 2, "day"),
        (2000, allowance(), "2026-06-02T00:17", 2, "day"),
        (2001, allowance(), "2026-06-03T00:00", 3, "day"),
        (3002, allowance(left_today=1), "2026-06-05T00:00", 5, "day"),
        # A day that ends within the minute changes nothing.
        (60, allowance(resets_at=NOON + timedelta(seconds=9.5)), "2026-06-01T12:01", 2, "minute"),
        # The headroom is left on each day.
        (900, allowance(headroom=100), "2026-06-01T12:15", 1, "minute"),
        (901, allowance(headroom=100), "2026-06-02T00:00", 2, "day"),
        (1801, allowance(headroom=100), "2026-06-03T00:00", 3, "day"),
        (1, allowance(left_today=50, headroom=100), "2026-06-02T00:00", 1, "day"),
        (1, allowance(headroom=1000), None, 0, "day"),
        # Unknown: what is left today, the plan, the end of the day.
        (1001, allowance(left_today=None), "2026-06-02T00:00", 2, "day"),
        (172_801, allowance(per_day=None, left_today=None), "2026-06-03T12:00", 3, "minute"),
        (1001, allowance(resets_at=None), "2026-06-02T12:00", 2, "day"),
        # The day has ended since: what was left of it says nothing.
        (1000, allowance(left_today=0, resets_at=utc("2026-06-01T11:59")), "2026-06-01T12:17", 1, "minute"),
        (1001, allowance(left_today=0, resets_at=utc("2026-05-20T00:00")), "2026-06-02T00:00", 2, "day"),
        # No rate, or none left.
        (10**9, allowance(None, None, None), "2026-06-01T12:00", 1, "nothing"),
        (9999, allowance(per_minute=None), "2026-06-10T00:00", 10, "day"),
        (1, allowance(per_minute=0), None, 0, "minute"),
        # Ten minutes of each day are 600 calls.
        (600, allowance(window="19:00-19:10"), "2026-06-01T19:10", 1, "window"),
        (601, allowance(window="19:00-19:10"), "2026-06-02T19:00", 2, "window"),
        (600, allowance(window="12:00-12:10"), "2026-06-01T12:10", 1, "minute"),
        (700, allowance(per_minute=None, window="19:00-07:00"), "2026-06-01T19:00", 1, "window"),
        (1200, allowance(window="23:50-00:10"), "2026-06-02T00:10", 2, "window"),
        (1001, allowance(window="19:00-20:00"), "2026-06-02T19:00", 2, "day"),
        # Two open periods in one of the organisation's days.
        (1201, allowance(10, 2000, 2000, window="20:00-14:00"), "2026-06-01T20:00", 1, "window"),
        # Nothing left and closed: the one that ends last decides.
        (1, allowance(left_today=0, window="19:00-02:00"), "2026-06-02T00:00", 1, "day"),
        (1, allowance(left_today=0, window="02:00-11:00"), "2026-06-02T02:00", 1, "window"),
    ],
)
def test_forecasts_worked_out_by_hand(
    calls: int, given_allowance: RateAllowance, done_at: str | None, days: int, limited_by: str
) -> None:
    found = forecast(calls, given_allowance, NOON)
    expected = None if done_at is None else utc(done_at)
    assert (found.done_at, found.days, found.limited_by) == (expected, days, limited_by)


@pytest.mark.parametrize(
    ("calls", "now", "given_allowance", "done_at"),
    [
        # The night of 2026-03-28 has 11 hours, that of 2026-10-24 has 13.
        (660, "2026-03-28T12:00", allowance(1, None, None, window="19:00-07:00"), "2026-03-29T06:59+02:00"),
        (661, "2026-03-28T12:00", allowance(1, None, None, window="19:00-07:00"), "2026-03-29T19:00+02:00"),
        (780, "2026-10-24T12:00", allowance(1, None, None, window="19:00-07:00"), "2026-10-25T06:59+01:00"),
        # The organisation's days end at its own midnight before the change and after it.
        (2001, "2026-03-28T12:00", allowance(resets_at=datetime(2026, 3, 29, tzinfo=BERLIN)), "2026-03-30T00:00+02:00"),
        (
            2001,
            "2026-10-24T12:00",
            allowance(resets_at=datetime(2026, 10, 25, tzinfo=BERLIN)),
            "2026-10-26T00:00+01:00",
        ),
    ],
)
def test_forecasts_where_the_offset_changes(calls: int, now: str, given_allowance: RateAllowance, done_at: str) -> None:
    done = forecast(calls, given_allowance, datetime.fromisoformat(now).replace(tzinfo=BERLIN)).done_at
    assert done is not None
    assert (done.isoformat(), done.tzinfo) == (datetime.fromisoformat(done_at).isoformat(), BERLIN)


def test_what_takes_longer_than_ten_years_is_never_done() -> None:
    once_a_day = allowance(per_day=1, left_today=1)
    assert forecast(3654, once_a_day, NOON).days == 3654
    assert forecast(3655, once_a_day, NOON) == Forecast(done_at=None, days=0, limited_by="day")


# -- properties

clocks = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
windows = st.tuples(clocks, clocks).filter(lambda both: both[0] != both[1]).map("-".join)
moments = st.integers(0, 366 * 86400).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
allowances = st.builds(
    allowance,
    per_minute=st.none() | st.integers(0, 120),
    per_day=st.none() | st.integers(1, 10_000),
    left_today=st.none() | st.integers(0, 10_000),
    resets_at=st.none() | moments.map(lambda moment: moment.astimezone(BERLIN)),
    headroom=st.integers(0, 1_000),
    window=st.none() | windows,
)


@given(calls=st.integers(0, 100_000), more=st.integers(0, 100_000), given_allowance=allowances, now=moments)
def test_an_end_is_within_ten_years_and_never_earlier_for_more_calls(
    calls: int, more: int, given_allowance: RateAllowance, now: datetime
) -> None:
    few, many = (forecast(number, given_allowance, now.astimezone(BERLIN)) for number in (calls, calls + more))
    for number, one in ((calls, few), (calls + more, many)):
        assert one.done_at is None or now <= one.done_at <= now + HORIZON + timedelta(minutes=1)
        assert (one.days > 0) == (number > 0 and one.done_at is not None)
    if many.done_at is not None:
        assert few.done_at is not None
        assert few.done_at.astimezone(UTC) <= many.done_at.astimezone(UTC)
        assert few.days <= many.days


@given(calls=st.integers(1, 100_000), given_allowance=allowances, now=moments, per_day=st.integers(1, 1_000))
def test_a_headroom_that_leaves_nothing_is_never_done(
    calls: int, given_allowance: RateAllowance, now: datetime, per_day: int
) -> None:
    nothing = msgspec.structs.replace(given_allowance, per_day=per_day, left_today=None, headroom=per_day)
    assert forecast(calls, nothing, now).done_at is None
    assert all(daily > per_day for daily in larger_plans(calls, nothing, now))


# -- larger plans


def test_larger_plans_count_what_was_used_today() -> None:
    # 900 of 1000 used: 1100 of 2000 are left, 4100 of 5000, 9100 of 10000.
    assert larger_plans(4200, allowance(left_today=100), NOON) == {
        2000: utc("2026-06-03T00:19"),
        5000: utc("2026-06-02T00:02"),
        10000: utc("2026-06-01T13:10"),
    }


@pytest.mark.parametrize(
    ("given_allowance", "plans"),
    [
        (allowance(per_day=10000, left_today=10000), set[int]()),
        (allowance(per_day=2500, left_today=2500), {5000, 10000}),
        (allowance(per_day=None, left_today=None), set(DAILY)),
        # All of 2000 calls would be left to others.
        (allowance(headroom=2000), {5000, 10000}),
    ],
)
def test_which_plans_are_larger(given_allowance: RateAllowance, plans: set[int]) -> None:
    assert larger_plans(50_000, given_allowance, NOON).keys() == plans


def test_with_an_unknown_plan_what_is_left_today_stays_left() -> None:
    plans = larger_plans(2001, allowance(None, per_day=None, left_today=1200), NOON)
    assert plans == {1000: utc("2026-06-03T00:00")} | dict.fromkeys(DAILY[1:], utc("2026-06-02T00:00"))


# -- the organisation's zone


@pytest.mark.parametrize(
    ("resets_at", "hours"),
    [
        ("2026-06-01T18:30", 5.5),
        ("2026-06-01T18:15", 5.75),
        ("2026-06-02T07:00", -7),
        ("2026-06-01T23:58", 0),
        ("2026-06-02T00:02", 0),
        ("2026-06-01T18:27:59", None),
        ("2026-06-01T18:32:00.000001", None),
        # Two offsets fit.
        ("2026-06-01T11:15", 12.75),
        ("2026-06-01T11:00", -11),
    ],
)
def test_the_zone_is_the_one_whose_midnight_it_is(resets_at: str, hours: float | None) -> None:
    expected = None if hours is None else timezone(timedelta(hours=hours))
    assert organization_zone(utc(resets_at)) == expected
    assert organization_zone(utc(resets_at).astimezone(BERLIN)) == expected
