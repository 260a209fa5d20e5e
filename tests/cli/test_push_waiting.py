"""A push that waits, for a new day's calls or for its hours, in a process of its own and by real clocks."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.process import Cli, ended, until

from zoho_async.fake import FakeZoho
from zoho_async.fake.messages import FakeRequest, Reply
from zoho_async.fake.world.clock import Clock

UPSERT = "books.contacts.upsert"
PER_DAY = 60
ROWS = 100
PUSH = ("push", "books", "contacts", "--from", "a.csv", "--upsert-by", "cf_external_id", "--per-minute", "0")
ALONE = ("--concurrency", "1")
"""So that all calls of a day are made: of several in flight one may be counted twice."""
LEADS = (5, 15, 40)
"""Seconds from the start of a process to the moment it is about; the longer ones are for slow machines."""
CONCURRENCY = 4
TWO_CLOCKS = timedelta(seconds=0.1)
"""More than the monotonic clock and the wall clock differ in some seconds."""
PROMPTLY = 30.0
"""Seconds; what is waited for comes hours later."""


class WatchedZoho(FakeZoho):
    """Notes when each call has come in."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(per_minute=None, **settings)
        self.arrivals: list[datetime] = []

    def handle(self, request: FakeRequest, api_domain: str) -> Reply:
        self.arrivals.append(datetime.now(UTC))
        return super().handle(request, api_domain)


def before_midnight(seconds: int) -> Clock:
    """A clock that stands still so long before a new day of the fake's organisation."""
    return Clock(datetime(2026, 3, 5, tzinfo=timezone(timedelta(hours=-4))) - timedelta(seconds=seconds))


def write_rows(folder: Path, rows: int) -> None:
    text = "".join(f"N{number},K{number}\n" for number in range(rows))
    (folder / "a.csv").write_text(f"contact_name,cf_external_id\n{text}", encoding="utf-8")


@asynccontextmanager
async def started(cli: Cli, *arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that does not outlive its test, however that goes."""
    process = await cli.start(*arguments)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def told(process: asyncio.subprocess.Process, word: str) -> str:
    """The first line on stderr that has the word; empty when there is none."""
    assert process.stderr is not None
    async for line in process.stderr:
        if word in line.decode():
            return line.decode()
    return ""


async def waits(process: asyncio.subprocess.Process) -> datetime | None:
    """Until when the process says that it waits, once it does; None when it ends without."""
    line = await told(process, '"event":"wait"')
    return datetime.fromisoformat(json.loads(line)["until"]) if line else None


def everything_once(fake: FakeZoho, rows: int) -> None:
    assert fake.created("cf_external_id") == {f"K{number}": 1 for number in range(rows)}
    assert len(fake.organization().contacts) == rows


def none_refused(fake: FakeZoho) -> None:
    """No call was made that the day had no room for."""
    assert {one.status for one in fake.received} <= {200, 201}


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_a_push_waits_for_the_new_day_and_goes_on_by_itself(tmp_path: Path, concurrency: int) -> None:
    seconds = 4
    clock = before_midnight(seconds)
    async with WatchedZoho(per_day=PER_DAY, clock=clock) as fake:
        write_rows(tmp_path, ROWS)
        command = (*PUSH, "--wait", "--json", "--concurrency", concurrency)
        async with started(Cli.against(fake, tmp_path), *command) as process:
            waiting = await waits(process)
            assert waiting is not None
            clock.advance(seconds)
            result = await ended(process)
        assert result.code == 0, result
        summary = result.json
        assert (summary["complete"], summary["created"], summary["error"]) == (True, ROWS, None)
        # The preflight, the list, and after the wait what others may have added to it.
        assert summary["reads"] + summary["writes"] == len(fake.arrivals) == 3 + ROWS
        assert waiting - fake.arrivals[0] >= timedelta(seconds=seconds)
        if concurrency == 1:
            # Of several calls some are in flight when the day turns, and hear that it has.
            assert fake.arrivals[PER_DAY - 1] < waiting - timedelta(seconds=seconds) + TWO_CLOCKS
            assert fake.arrivals[PER_DAY] >= waiting - TWO_CLOCKS
        # However many calls come to wait, it is told once.
        assert '"event":"wait"' not in result.err
        everything_once(fake, ROWS)
        none_refused(fake)


async def test_without_waiting_it_ends_with_the_time_and_is_done_on_the_new_day(tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    clock = before_midnight(3_600)
    async with WatchedZoho(per_day=PER_DAY, clock=clock) as fake:
        write_rows(tmp_path, ROWS)
        cli = Cli.against(fake, tmp_path)
        begun = datetime.now(UTC)
        result = await cli(*PUSH, *ALONE)
        assert result.code == 5, result
        named = re.search(r"used up until (\S+ \S+) UTC", result.err)
        assert named is not None, result.err
        # It is named in whole seconds.
        moment = datetime.fromisoformat(f"{named[1]}+00:00")
        assert begun + hour - timedelta(seconds=1) <= moment <= datetime.now(UTC) + hour
        assert f"{ROWS - PER_DAY + 2} of {ROWS} rows remain" in result.out
        assert len(fake.arrivals) == PER_DAY
        clock.advance(3_600)
        again = await cli(*PUSH, "--json")
        assert (again.code, again.json["unchanged"], again.json["sent"]) == (0, PER_DAY - 2, ROWS - PER_DAY + 2)
        everything_once(fake, ROWS)
        none_refused(fake)


async def test_a_push_that_waits_for_the_day_ends_upon_a_signal(tmp_path: Path) -> None:
    clock = before_midnight(3_600)
    async with WatchedZoho(per_day=PER_DAY, clock=clock) as fake:
        write_rows(tmp_path, ROWS)
        cli = Cli.against(fake, tmp_path)
        async with started(cli, *PUSH, *ALONE, "--wait") as process, asyncio.timeout(PROMPTLY):
            assert await told(process, "the day's calls are used up: waiting until 20")
            process.send_signal(signal.SIGTERM)
            result = await ended(process)
        assert result.code == 130, result
        assert "waiting until" not in result.err
        assert f"not finished: {ROWS - PER_DAY + 2} of {ROWS} rows remain" in result.out
        assert len(fake.arrivals) == PER_DAY
        clock.advance(3_600)
        again = await cli(*PUSH, "--wait", "--json")
        assert (again.code, again.json["unchanged"], again.json["sent"]) == (0, PER_DAY - 2, ROWS - PER_DAY + 2)
        everything_once(fake, ROWS)
        none_refused(fake)


def zone_in_which(moment: datetime, clock: timedelta) -> str:
    """A zone for TZ in which the wall clock shows so much after midnight at that moment."""
    day = timedelta(days=1)
    utc = timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
    east = (clock - utc) % day
    if east > day / 2:
        east -= day
    hours, rest = divmod(abs(int(east.total_seconds())), 3_600)
    # POSIX counts to the west.
    return f"SIM{'-' if east >= timedelta() else '+'}{hours:02}:{rest // 60:02}:{rest % 60:02}"


def within(seconds: int) -> datetime:
    """A moment so soon, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[], Path]:
    """A new folder at every call."""
    numbers = count()

    def new() -> Path:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return folder

    return new


async def test_no_call_is_made_before_the_window_opens(folders: Callable[[], Path]) -> None:
    for lead in LEADS:
        folder = folders()
        write_rows(folder, ROWS)
        async with WatchedZoho() as fake:
            cli = Cli.against(fake, folder)
            opening = within(lead)
            cli.environment["TZ"] = zone_in_which(opening, timedelta(hours=19))
            async with started(cli, *PUSH, "--window", "19:00-07:00", "--json") as process:
                waiting = await waits(process)
                result = await ended(process)
            assert result.code == 0, result
            assert min(fake.arrivals) >= opening
            everything_once(fake, ROWS)
            if waiting is not None:
                assert waiting == opening
                return
    pytest.fail("no process was there before its window opened")


async def test_no_call_is_made_after_the_window_has_closed(folders: Callable[[], Path]) -> None:
    rows = 2_000
    for lead in LEADS:
        folder = folders()
        write_rows(folder, rows)
        async with WatchedZoho() as fake:
            # So slow that it cannot be done by the closing.
            fake.latency = 0.1
            cli = Cli.against(fake, folder)
            closing = within(lead)
            cli.environment["TZ"] = zone_in_which(closing, timedelta(hours=7))
            command = (*PUSH, "--concurrency", CONCURRENCY)
            async with started(cli, *command, "--window", "19:00-07:00", "--json") as process:
                waiting = await waits(process)
                # Time enough for what should not be: whoever waits looks at the clock every second.
                await asyncio.sleep(1.5)
                allowance = fake.organization().limits
                await until(lambda allowance=allowance: allowance.in_process == 0)  # type: ignore[misc]
                calls, written = len(fake.arrivals), fake.acts(UPSERT)
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(PROMPTLY):
                    result = await ended(process)
            assert result.code == 130, result
            assert waiting == closing + timedelta(hours=12)
            assert len(fake.arrivals) == calls, "a call was made though the window is closed"
            assert len([one for one in fake.arrivals if one >= closing]) <= CONCURRENCY
            summary = result.json
            assert (summary["complete"], summary["sent"]) == (False, written)
            assert written < rows
            if written:
                fake.latency = 0.0
                again = await cli(*command, "--json")
                assert (again.code, again.json["unchanged"], again.json["sent"]) == (0, written, rows - written)
                everything_once(fake, rows)
                return
    pytest.fail("no process came to write before its window closed")
