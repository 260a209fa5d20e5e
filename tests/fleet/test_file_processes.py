"""Processes of one host under limits in a folder, against a server that counts."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from support.limit_workers import (
    ATTEMPTS,
    FAIR,
    LEAST,
    LONG,
    MEASURED,
    RATE,
    SERVER_WINDOW,
    WINDOW,
    Worker,
    counts,
    fitting,
    most,
)
from support.profiles import sized

from zoho_async import FileLimiters, Limits
from zoho_async.fake import FakeZoho

pytestmark = pytest.mark.usefixtures("short_window")


def options(folder: Path, seconds: float, **more: Any) -> dict[str, Any]:
    limits = {"per_minute": RATE, "burst": 4, **more.pop("limits", {})}
    return {"folder": str(folder), "window": WINDOW, "seconds": seconds, "limits": limits, **more}


@pytest.mark.parametrize("processes", sized([3], [2, 3]))
async def test_processes_share_the_pace_fairly_and_waste_none(fake: FakeZoho, tmp_path: Path, processes: int) -> None:
    window, rate = 1.5 * WINDOW, 2 * RATE  # long, measured by how late a loaded machine is
    fake.limits[fake.organization_id].window = 1.5 * SERVER_WINDOW
    seconds = sized(LONG, 14.0)
    more: dict[str, Any] = {} if MEASURED else {"calls": RATE, "tasks": 3}
    # One of them believes that it is 90 s later, which changes nothing.
    several = [
        options(tmp_path, seconds, clock_ahead=90 * (number == 0), window=window, limits={"per_minute": rate}, **more)
        for number in range(processes)
    ]
    for attempt in range(ATTEMPTS):
        made, in_flight = await counts(fake, several)
        assert most(fake) <= rate
        assert min(made) >= RATE
        total, mean = sum(made), sum(made) / processes
        enough = total >= LEAST * fitting(rate, seconds - min(attempt, 1) * window, window, in_flight)
        if not MEASURED or (enough and all(abs(count - mean) <= FAIR * mean for count in made)):
            return
    raise AssertionError((made, in_flight))


async def test_a_process_killed_and_started_again_never_exceeds_the_pace(fake: FakeZoho, tmp_path: Path) -> None:
    for number in range(sized(5, 40)):
        begun = fake.requests()
        worker = await Worker.start(fake, **options(tmp_path, LONG, limits={"concurrency": 3}))
        while fake.requests() <= begun + number % 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await worker.kill()
    assert most(fake) <= RATE
    assert fake.limits[fake.organization_id].most_in_process <= 3


async def test_the_slots_of_a_killed_process_are_free_at_once(fake: FakeZoho, tmp_path: Path) -> None:
    fake.chance("*", "latency:0.5", 1.0)
    limits = {"concurrency": 5, "per_minute": None}
    first = await Worker.start(fake, **options(tmp_path, 60, limits=limits))
    second = await Worker.start(fake, **options(tmp_path, 60, limits=limits))
    while fake.limits[fake.organization_id].in_process < 5:  # noqa: ASYNC110 - the server counts, and tells nobody
        await asyncio.sleep(0.01)
    # A process that stands still keeps its slots.
    os.kill(first.process.pid, signal.SIGSTOP)
    os.kill(second.process.pid, signal.SIGSTOP)
    await asyncio.sleep(0.7)
    before = fake.requests()
    heir = await Worker.start(fake, **options(tmp_path, 60, limits=limits))
    await asyncio.sleep(0.5)
    assert fake.requests() == before
    await first.kill()
    await second.kill()
    async with asyncio.timeout(sized(LONG, 2)):
        while fake.requests() < before + 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await heir.kill()
    assert fake.limits[fake.organization_id].most_in_process <= 5


async def test_a_pause_met_by_one_process_holds_the_other(fake: FakeZoho, tmp_path: Path) -> None:
    fake.script("books.contacts.list", ["429:44:300"])
    first = await Worker.start(fake, **options(tmp_path, LONG, tasks=1))
    gatekeeper = FileLimiters(tmp_path).of((fake.url, fake.organization_id), Limits())
    while gatekeeper.quota().paused_until is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    second = await Worker.start(fake, **options(tmp_path, 1.0, tasks=3))
    assert (await second.ended())["calls"] == 0
    await first.kill()
    assert fake.requests() == 1
