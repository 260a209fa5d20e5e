"""What is told of a push under way, on a terminal, in lines and for machines."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from support.process import Cli

from zoho_async import Quota
from zoho_async.cli.console.pace import Pace, pace_text, standstill_reason
from zoho_async.cli.console.progress import (
    EVERY,
    EVERY_JSON,
    BarProgress,
    JsonProgress,
    LineProgress,
    explained_waits,
    open_progress,
)
from zoho_async.cli.console.verbosity import _quiet, be_quiet
from zoho_async.fake import FakeZoho


class Event(msgspec.Struct, frozen=True):
    stage: str
    done: int = 0
    until: datetime | None = None
    why: str = ""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


UNTIL = datetime(2026, 1, 2, 5, 4, tzinfo=timezone(timedelta(hours=2)))
WAIT = Event("wait", until=UNTIL, why="the window is closed")
SENTENCE = f"the window is closed: waiting until {UNTIL.astimezone():%Y-%m-%d %H:%M %Z}"


def test_lines_tell_of_checking_and_reading_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with LineProgress("push a.csv", 5_000, clock=clock, quota=lambda: Quota(remaining=7)) as progress:
        for stage, count in (("check", 2_000), ("read", 40), ("write", 900)):
            progress.event(Event(stage, 1))
            clock.now += EVERY
            progress.event(Event(stage, count))
            progress.event(Event(stage, count + 1))
        clock.now += EVERY
        progress.advance(1_000, "1 failed")
        clock.now += 1
        # While rows get done nobody wants to hear of calls.
        clock.now += EVERY - 1.5
        progress.event(Event("read", 50))
        clock.now += 1
        progress.event(Event("write", 1_200))
        clock.now += EVERY
        progress.event(Event("read", 60))
        progress.event(WAIT)
        progress.event(Event("wait"))
        progress.event(Event("something new", 3))
    assert capsys.readouterr().err.splitlines() == [
        "push a.csv: 2,000 rows checked",
        "push a.csv: 40 calls to read what is there",
        "push a.csv: 900 of 5,000 · elapsed 0:00:15 · left 0:01:08 · 60.0 a second · 7 calls left today",
        "push a.csv: 1,000 of 5,000 · 1 failed · elapsed 0:00:20 · left 0:01:20 · 50.0 a second · 7 calls left today",
        "push a.csv: 1,200 of 5,000 · 1 failed · elapsed 0:00:26 · left 0:01:21 · 47.1 a second · 7 calls left today",
        "push a.csv: 60 calls to read what is there",
        SENTENCE,
    ]


def test_machines_hear_of_every_stage_each_second(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with JsonProgress(5_000, clock=clock, quota=lambda: Quota(remaining=7)) as progress:
        for stage in ("check", "read", "write"):
            progress.event(Event(stage, 1))
        clock.now += EVERY_JSON
        for count in (7, 8):
            for stage in ("check", "read", "write", "something new"):
                progress.event(Event(stage, count))
        progress.event(WAIT)
        progress.message("a file \udcff", file="\udcff")
    events: list[Any] = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert events == [
        {"event": "check", "rows": 7, "total": 5_000},
        {"event": "read", "calls": 7},
        {"event": "progress", "done": 7, "total": 5_000, "calls_left": 7},
        {"event": "wait", "message": SENTENCE, "until": "2026-01-02T03:04:00Z", "why": "the window is closed"},
        {"event": "message", "message": "a file \udcff", "file": "\udcff"},
    ]


def test_a_bar_shows_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown: list[str] = []
    with BarProgress("push a.csv", 5_000, quota=lambda: Quota(remaining=4_321)) as progress:
        for event in (Event("check", 2_000), Event("read", 40), Event("write", 900), Event("read", 41), WAIT):
            progress.event(event)
            progress._bar.refresh()
            shown.append(written.getvalue())
            written.seek(0)
            written.truncate()
    assert "2,000 rows checked" in shown[0]
    assert "40 calls to read what is there" in shown[1]
    assert "900/5000" in shown[2]
    # Rows get done: what is told of them stays.
    assert "41 calls" not in shown[3]
    assert SENTENCE in shown[4]
    assert "elapsed 0:00:00" in shown[4]
    assert "4,321 calls left today" in shown[4]


@pytest.mark.parametrize(
    ("still", "quota", "reason"),
    [
        (2.9, Quota(minute_left=0), ""),
        (3.0, None, "waiting for responses of Zoho for 3 s"),
        (9.0, Quota(minute_left=4), "waiting for responses of Zoho for 9 s"),
        (9.0, Quota(minute_left=0), "waiting: the calls of this minute are used up"),
        (9.0, Quota(minute_left=0, paused_until=UNTIL), f"paused the organisation until {UNTIL.astimezone():%H:%M:%S}"),
    ],
)
def test_a_standstill_has_a_reason(still: float, quota: Quota | None, reason: str) -> None:
    found = standstill_reason(still, quota, UNTIL - timedelta(minutes=1))
    assert reason in found
    assert bool(found) is bool(reason)


@pytest.mark.parametrize(
    ("quota", "lines"),
    [
        (Quota(minute_left=0), ["waiting: the calls of this minute are used up"]),
        (Quota(minute_left=4), []),
        (Quota(), []),
    ],
)
async def test_a_command_without_progress_says_once_why_it_stands_still(
    quota: Quota, lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("zoho_async.cli.console.progress.STILL_S", 3.0)
    asked = asyncio.Event()
    count = 0

    async def sleep(seconds: float, real: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        assert seconds == 3.0
        await real(0)

    def look() -> Quota:
        nonlocal count
        count += 1
        if count == 3:
            asked.set()
        return quota

    monkeypatch.setattr("zoho_async.cli.console.progress.asyncio.sleep", sleep)
    async with explained_waits(look):
        await asked.wait()
    assert capsys.readouterr().err.splitlines() == lines


@pytest.mark.parametrize("command", [("call", "books.contacts.list"), ("orgs",)])
async def test_a_pause_is_reported_by_a_call(
    cli: Cli, fake: FakeZoho, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr("zoho_async.cli.console.progress.STILL_S", 0.01)
    monkeypatch.setattr("zoho_async.cli.console.pace.STILL_S", 0.01)
    fake.script("*", ["429:44:1"])
    result = await cli(*command)
    assert (result.code, result.err.count("Zoho has paused the organisation until")) == (0, 1), result.err


def test_the_rate_is_that_of_the_last_minute() -> None:
    clock = Clock()
    pace = Pace(1_000, clock)
    for _ in range(100):
        clock.now += 1
        pace.update(int(clock.now))
    assert pace.text(None) == "elapsed 0:01:40 · left 0:13:20 · 1.0 a second"
    assert pace_text(5, 3, None, 0.5, None) == "elapsed 0:00:05 · 30.0 a minute"
    assert pace_text(5, 3, 10, 0, None) == "elapsed 0:00:05"


def test_a_quiet_command_reports_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    be_quiet()
    try:
        with open_progress("push a.csv", 5, json=False) as progress:
            progress.advance(1, "x")
            progress.message("y")
            progress.event(Event("check", 1))
    finally:
        _quiet.set(False)
    assert capsys.readouterr().err == ""
