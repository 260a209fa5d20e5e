"""What limits in Redis cost: commands a call, microseconds a script and a call, fairness, 1,000 organisations.

    python benchmarks/fleet.py [--seconds 20]

Needs a redis-server on PATH or the development dependencies; it is started on a socket of its own. Nothing is sent to
Zoho: a call is a start, 20 ms, an end. Commands are those that Redis has counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from redis.asyncio import Redis
from support.redis_server import RedisServer

from zoho_async import Limits
from zoho_async.fleet import Fleet
from zoho_async.transport.hooks import Report

WINDOW = 6.0
REPORT = Report(sent=True, decision="done")


async def worker(
    url: str, seconds: float, organisations: int, tasks: int, per_minute: int | None, pause: float
) -> dict[str, int]:
    """Calls of one process by organisation."""
    counts: dict[str, int] = {}
    limits = Limits(per_minute=per_minute)
    async with Fleet(url, _window=WINDOW) as fleet:
        end = time.monotonic() + seconds

        async def call(name: str) -> None:
            gatekeeper = fleet.limiters.of(("us", name), limits)
            await asyncio.sleep(pause * random.random())
            while time.monotonic() < end:
                permit = await gatekeeper.acquire()
                await asyncio.sleep(0.02)
                permit.done(REPORT)
                counts[name] = counts.get(name, 0) + 1
                await asyncio.sleep(pause)

        running = [asyncio.ensure_future(call(str(number))) for number in range(organisations) for _ in range(tasks)]
        await asyncio.wait(running, timeout=seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return counts


async def measure(title: str, redis: RedisServer, processes: int, *arguments: Any) -> None:
    async with Redis.from_url(redis.url) as client:
        # Held for its first window, which is not measured.
        await asyncio.to_thread(run, redis.url, 1, WINDOW + 0.5, *arguments[1:])
        await client.config_resetstat()
        results = await asyncio.to_thread(run, redis.url, processes, *arguments)
        stats = (await client.info("commandstats")).get("cmdstat_evalsha", {"calls": 0, "usec_per_call": 0})
    made = [sum(counts.values()) for counts in results]
    calls, mean = sum(made), sum(made) / len(made)
    print(
        f"{title}: {calls:,} calls, {stats['calls'] / max(1, calls):.2f} commands a call, "
        f"{stats['usec_per_call']:.0f} us a script, each process {min(made) / mean:.2f} to {max(made) / mean:.2f} "
        "of the mean"
    )


def run(url: str, processes: int, *arguments: Any) -> list[dict[str, int]]:
    command = [sys.executable, __file__, "--worker", json.dumps([url, *arguments])]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    return [json.loads(process.communicate()[0]) for process in running]


async def main(seconds: float) -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}, window {WINDOW:.0f} s")
    async with RedisServer() as redis:
        await measure("one process, one call at a time, no pace", redis, 1, seconds, 1, 1, None, 0.0)
        await measure("three processes at the pace", redis, 3, seconds, 1, 10, 95, 0.0)
        await measure("1,000 organisations, two processes", redis, 2, seconds, 1000, 1, 95, 3.0)
        async with Fleet(redis.url, _window=0.01) as fleet:
            gatekeeper = fleet.limiters.of(("us", "pair"), Limits(per_minute=None))
            (await gatekeeper.acquire()).done(REPORT)
            begun = time.perf_counter()
            for _ in range(2000):
                (await gatekeeper.acquire()).done(REPORT)
            print(f"a start and an end: {(time.perf_counter() - begun) / 2000 * 1e6:.0f} us")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(asyncio.run(worker(*json.loads(options.worker)))))
    else:
        asyncio.run(main(options.seconds))
