"""Processes under limits in Redis, against a server that counts."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest
from redis.asyncio import Redis
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
from support.redis_server import RedisServer

from zoho_async.fake import FakeZoho
from zoho_async.fleet import Fleet

pytestmark = pytest.mark.usefixtures("short_window")


def options(redis: RedisServer, seconds: float, **more: Any) -> dict[str, Any]:
    limits = {"per_minute": RATE, "burst": 4, **more.pop("limits", {})}
    return {"redis": redis.url, "window": WINDOW, "seconds": seconds, "limits": limits, **more}


async def until_in_flight(fake: FakeZoho, count: int) -> None:
    while fake.limits[fake.organization_id].in_process < count:  # noqa: ASYNC110 - the server counts, and tells nobody
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("processes", sized([3], [2, 3]))
async def test_processes_share_the_pace_fairly_and_waste_none(
    fake: FakeZoho, redis: RedisServer, processes: int
) -> None:
    window, rate = 1.5 * WINDOW, 2 * RATE  # long, measured by how late a loaded machine is
    fake.limits[fake.organization_id].window = 1.5 * SERVER_WINDOW
    seconds = sized(LONG, 14.0)  # the first window is held
    more: dict[str, Any] = {} if MEASURED else {"calls": RATE, "tasks": 3}
    several = [
        options(redis, seconds, clock_ahead=90 * (number == 0), window=window, limits={"per_minute": rate}, **more)
        for number in range(processes)
    ]
    async with Redis.from_url(redis.url) as client:
        for _ in range(ATTEMPTS):
            await client.flushall()
            await client.config_resetstat()
            made, in_flight = await counts(fake, several)
            assert most(fake) <= rate
            assert min(made) >= RATE
            total, mean = sum(made), sum(made) / processes
            commands = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"] / total
            enough = total >= LEAST * fitting(rate, seconds - window, window, in_flight)
            fair = all(abs(count - mean) <= FAIR * mean for count in made)
            if not MEASURED or (enough and fair and commands <= 3.3):
                return
        raise AssertionError((made, in_flight, commands))


async def test_a_process_killed_and_started_again_never_exceeds_the_pace(fake: FakeZoho, redis: RedisServer) -> None:
    for number in range(sized(5, 40)):
        begun = fake.requests()
        fleet = {"lease": 0.5}
        worker = await Worker.start(fake, **options(redis, LONG, limits={"concurrency": 3}, fleet=fleet))
        while fake.requests() <= begun + number % 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await worker.kill()
    assert most(fake) <= RATE
    assert fake.limits[fake.organization_id].most_in_process <= 3


async def test_slots_of_a_killed_process_are_free_after_their_lease_and_renewed_before(
    fake: FakeZoho, redis: RedisServer
) -> None:
    lease = 1.5
    fake.chance("*", "latency:100", 1.0)
    more: dict[str, Any] = {"limits": {"concurrency": 5, "per_minute": None}, "fleet": {"lease": lease}}
    first = await Worker.start(fake, **options(redis, 100, **more))
    async with asyncio.timeout(LONG), Fleet(redis.url) as fleet, Redis.from_url(redis.url) as client:
        await until_in_flight(fake, 5)
        key = fleet.limiters.keys((fake.url, fake.organization_id))[2]  # type: ignore[attr-defined]
        before = dict(await client.zrange(key, 0, -1, withscores=True))
        while any(end < before[slot] + 1000 for slot, end in await client.zrange(key, 0, -1, withscores=True)):
            assert await client.zcard(key) == 5
            await asyncio.sleep(0.02)
    heir = await Worker.ready(fake, **options(redis, 100, **more))
    await first.kill()
    heir.go()
    async with asyncio.timeout(sized(LONG, lease + 2)):
        while fake.requests() < 10:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await heir.kill()


@pytest.mark.parametrize("how", ["killed", "emptied"])
async def test_a_redis_that_lost_all_holds_for_a_window(fake: FakeZoho, redis: RedisServer, how: str) -> None:
    worker = await Worker.start(fake, **options(redis, 60))
    for _ in range(sized(2, 4)):
        begun = fake.requests()
        while fake.requests() < begun + RATE - 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if how == "killed":
            await redis.kill()
            await redis.start()
        else:
            async with Redis.from_url(redis.url) as client:
                await client.flushall()
    async with asyncio.timeout(LONG):
        begun = fake.requests()
        while fake.requests() < begun + RATE:  # noqa: ASYNC110 - it goes on
            await asyncio.sleep(0.01)
    await worker.kill()
    assert most(fake) <= RATE


async def test_a_worker_that_stands_still_is_overtaken(fake: FakeZoho, redis: RedisServer) -> None:
    stopped = await Worker.start(fake, **options(redis, 60))
    while not fake.requests():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    os.kill(stopped.process.pid, signal.SIGSTOP)
    before = fake.requests()
    worker = await Worker.start(fake, **options(redis, 60))
    async with asyncio.timeout(LONG):
        while fake.requests() <= before + sized(RATE, 3 * RATE):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await worker.kill()
    await stopped.kill()
    assert most(fake) <= RATE
