"""Processes under limits in Redis, against a server that counts."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest
from redis.asyncio import Redis
from support.limit_workers import FAIR, LEAST, RATE, SERVER_WINDOW, WINDOW, Worker, counts, fitting, most
from support.profiles import sized
from support.redis_server import RedisServer

from zoho_async.fake import FakeZoho

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
    seconds = sized(4.5, 14.0)  # the first window is held
    several = [
        options(redis, seconds, clock_ahead=90 * (number == 0), window=window, limits={"per_minute": rate})
        for number in range(processes)
    ]
    made, in_flight = await counts(fake, several)
    assert most(fake) <= rate
    assert fake.requests() >= LEAST * fitting(rate, seconds - window, window, in_flight)
    mean = sum(made) / processes
    assert all(abs(count - mean) <= FAIR * mean for count in made), made
    async with Redis.from_url(redis.url) as client:
        stats = await client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] <= 3.3 * fake.requests()


async def test_a_process_killed_and_started_again_never_exceeds_the_pace(fake: FakeZoho, redis: RedisServer) -> None:
    kills = 0
    while kills < sized(3, 5) or fake.requests() <= sized(1.5, 3.0) * RATE:
        fleet = {"lease": 0.5}
        worker = await Worker.start(fake, **options(redis, 60, limits={"concurrency": 3}, fleet=fleet))
        await asyncio.sleep(0.2 + kills % 5 * 0.1)
        await worker.kill()
        kills += 1
    assert most(fake) <= RATE
    assert fake.limits[fake.organization_id].most_in_process <= 3


async def test_slots_of_a_killed_process_are_free_after_their_lease_and_renewed_before(
    fake: FakeZoho, redis: RedisServer
) -> None:
    lease = 1.5
    fake.chance("*", "latency:20", 1.0)
    more: dict[str, Any] = {"limits": {"concurrency": 5, "per_minute": None}, "fleet": {"lease": lease}}
    first = await Worker.start(fake, **options(redis, 60, **more))
    async with asyncio.timeout(20):
        await until_in_flight(fake, 5)
    heir = await Worker.start(fake, **options(redis, 60, **more))
    await asyncio.sleep(2 * lease)
    assert fake.requests() == 5, "the leases are renewed"
    await first.kill()
    async with asyncio.timeout(sized(15, lease + 2)):
        while fake.requests() < 10:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await heir.kill()


@pytest.mark.parametrize("how", ["killed", "emptied"])
async def test_a_redis_that_lost_all_holds_for_a_window(fake: FakeZoho, redis: RedisServer, how: str) -> None:
    worker = await Worker.start(fake, **options(redis, 60))
    while fake.requests() < RATE - 4:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    if how == "killed":
        await redis.kill()
        await asyncio.sleep(0.5)
        await redis.start()
    else:
        async with Redis.from_url(redis.url) as client:
            await client.flushall()
    await asyncio.sleep(WINDOW / 3)
    before = fake.requests()
    await asyncio.sleep(WINDOW / 3)
    assert fake.requests() == before
    async with asyncio.timeout(20):
        while fake.requests() <= before + sized(0, 2 * RATE):  # noqa: ASYNC110 - it goes on
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
    async with asyncio.timeout(30):
        while fake.requests() <= before + sized(RATE, 3 * RATE):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await worker.kill()
    await stopped.kill()
    assert most(fake) <= RATE
