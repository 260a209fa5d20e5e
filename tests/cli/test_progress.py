"""What is told of a push under way, on a terminal, in lines and for machines."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from zoho_async.cli.console.progress import EVERY, EVERY_JSON, BarProgress, JsonProgress, LineProgress


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
    with LineProgress("push a.csv", 5_000, clock=clock) as progress:
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
        "push a.csv: 900 of 5,000",
        "push a.csv: 1,000 of 5,000 · 1 failed",
        "push a.csv: 1,200 of 5,000 · 1 failed",
        "push a.csv: 60 calls to read what is there",
        SENTENCE,
    ]


def test_machines_hear_of_every_stage_each_second(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with JsonProgress(5_000, clock=clock) as progress:
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
        {"event": "progress", "done": 7, "total": 5_000},
        {"event": "wait", "message": SENTENCE, "until": "2026-01-02T03:04:00Z", "why": "the window is closed"},
        {"event": "message", "message": "a file \udcff", "file": "\udcff"},
    ]


def test_a_bar_shows_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown: list[str] = []
    with BarProgress("push a.csv", 5_000) as progress:
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
