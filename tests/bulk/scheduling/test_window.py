from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async.bulk.errors import InputError
from zoho_async.bulk.scheduling.window import Window, sleep_until

BERLIN = ZoneInfo("Europe/Berlin")
"""Clocks skip 02:00 to 03:00 on 2026-03-29 and repeat it on 2026-10-25, both at 01:00 UTC."""
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [("19:00-07:00", time(19), time(7)), ("00:00-23:59", time(0), time(23, 59)), ("22:30-00:00", time(22, 30), time())],
)
def test_a_window_is_parsed(text: str, start: time, end: time) -> None:
    assert Window.parse(text) == Window(start, end)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "19:00",
        "9:00-17:00",
        "19:00-24:00",
        "19:60-20:00",
        "19:00 - 07:00",
        "19:00-07:00\n",
        "١٩:00-07:00",
        "x" * 999,
    ],
)
def test_other_text_is_refused_with_the_format(text: str) -> None:
    with pytest.raises(InputError, match="A window is written HH:MM-HH:MM") as caught:
        Window.parse(text)
    assert len(str(caught.value)) < 200


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(InputError, match="begin and end at the same time, 19:00"):
        Window.parse("19:00-19:00")


@pytest.mark.parametrize(
    ("window", "clock", "opened"),
    [
        ("09:00-17:00", "08:59:59.999999", False),
        ("09:00-17:00", "09:00", True),
        ("09:00-17:00", "16:59:59.999999", True),
        ("09:00-17:00", "17:00", False),
        ("19:00-07:00", "18:59:59.999999", False),
        ("19:00-07:00", "00:00", True),
        ("19:00-07:00", "06:59:59.999999", True),
        ("19:00-07:00", "07:00", False),
        ("19:00-00:00", "23:59:59.999999", True),
        ("19:00-00:00", "00:00", False),
    ],
)
def test_open_from_the_start_up_to_the_end(window: str, clock: str, opened: bool) -> None:
    # Far from UTC, so that reading the wrong clock shows.
    assert Window.parse(window).open_at(datetime.fromisoformat(f"2026-06-01T{clock}+05:30")) is opened


@pytest.mark.parametrize(
    ("window", "moment", "opening"),
    [
        ("09:00-17:00", "2026-06-01T08:00+02:00", "2026-06-01T09:00+02:00"),
        ("09:00-17:00", "2026-06-01T16:59:59.500+02:00", "2026-06-01T16:59:59.500+02:00"),
        ("09:00-17:00", "2026-06-01T17:00+02:00", "2026-06-02T09:00+02:00"),
        ("19:00-07:00", "2026-06-01T03:00+02:00", "2026-06-01T03:00+02:00"),
        ("19:00-07:00", "2026-06-01T07:00+02:00", "2026-06-01T19:00+02:00"),
        # The night before the clocks change, and the day after.
        ("19:00-07:00", "2026-03-28T12:00+01:00", "2026-03-28T19:00+01:00"),
        ("19:00-07:00", "2026-03-29T12:00+02:00", "2026-03-29T19:00+02:00"),
        # The start is skipped: an hour late; or the next day, when closed by then.
        ("02:30-05:00", "2026-03-29T01:00+01:00", "2026-03-29T03:30+02:00"),
        ("02:15-02:45", "2026-03-29T01:00+01:00", "2026-03-30T02:15+02:00"),
        # Of a start that comes twice the first counts.
        ("02:15-02:45", "2026-10-25T02:00+02:00", "2026-10-25T02:15+02:00"),
        ("02:15-02:45", "2026-10-25T02:50+02:00", "2026-10-26T02:15+01:00"),
    ],
)
def test_next_opening(window: str, moment: str, opening: str) -> None:
    found = Window.parse(window).next_opening(datetime.fromisoformat(moment).astimezone(BERLIN))
    assert (found.isoformat(), found.tzinfo) == (datetime.fromisoformat(opening).isoformat(), BERLIN)


@pytest.mark.parametrize(
    ("window", "end", "periods"),
    [
        ("09:00-17:00", "2026-06-02T12:00", [("01T12:00", "01T17:00"), ("02T09:00", "02T12:00")]),
        ("19:00-07:00", "2026-06-02T12:00", [("01T19:00", "02T07:00")]),
        ("11:00-13:00", "2026-06-01T12:30", [("01T12:00", "01T12:30")]),
        ("13:00-11:00", "2026-06-03T00:00", [("01T13:00", "02T11:00"), ("02T13:00", "03T00:00")]),
        ("19:00-20:00", "2026-06-01T19:00", []),
    ],
)
def test_open_periods_from_noon(window: str, end: str, periods: list[tuple[str, str]]) -> None:
    found = Window.parse(window).open_periods(NOON, datetime.fromisoformat(f"{end}+00:00"), UTC)
    assert [(f"{opens:%dT%H:%M}", f"{closes:%dT%H:%M}") for opens, closes in found] == periods


clocks = st.integers(0, 1439).map(lambda minute: time(*divmod(minute, 60)))
windows = st.tuples(clocks, clocks).filter(lambda both: both[0] != both[1]).map(lambda both: Window(*both))


@given(window=windows, seconds=st.integers(0, 366 * 86400))
def test_the_next_opening_is_open_and_at_most_two_days_away(window: Window, seconds: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    opening = window.next_opening(moment.astimezone(BERLIN))
    assert window.open_at(opening)
    assert moment <= opening.astimezone(UTC) <= moment + timedelta(hours=49)


class Clock:
    """A wall clock that only sleeping moves, and that can jump after a sleep."""

    def __init__(self, jumps: dict[int, timedelta]) -> None:
        self.shown, self.jumps, self.slept = NOON, jumps, list[float]()

    def now(self) -> datetime:
        return self.shown

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.shown += timedelta(seconds=seconds) + self.jumps.get(len(self.slept), timedelta())


@pytest.mark.parametrize(
    ("seconds", "jumps", "slept"),
    [
        (-5.0, {}, []),
        (0.0, {}, []),
        (150.5, {}, [60.0, 60.0, 30.5]),
        # The machine was suspended; the clock was set back.
        (8 * 3600, {2: timedelta(hours=9)}, [60.0, 60.0]),
        (60.0, {1: timedelta(seconds=-30)}, [60.0, 30.0]),
    ],
)
async def test_sleeping_until_a_moment(seconds: float, jumps: dict[int, timedelta], slept: list[float]) -> None:
    clock = Clock(jumps)
    await sleep_until((NOON + timedelta(seconds=seconds)).astimezone(BERLIN), now=clock.now, sleep=clock.sleep)
    assert clock.slept == slept


async def test_the_default_sleep_lets_other_tasks_run() -> None:
    readings = iter([NOON - timedelta(milliseconds=1), NOON])
    others: list[bool] = []
    asyncio.get_running_loop().call_soon(others.append, True)
    await sleep_until(NOON, now=lambda: next(readings))
    assert others == [True]
