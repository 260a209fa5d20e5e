"""A process that makes calls under shared limits, then prints how many: see `limit_workers`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from math import inf
from types import SimpleNamespace
from typing import Any

from zoho_async import Limits, StaticToken, Zoho
from zoho_async.transport.hooks import Limiters, Permit, Report


def limiters_of(options: dict[str, Any]) -> tuple[Limiters, Any]:
    """The limiters and what has to be closed, if anything."""
    if "folder" in options:
        from zoho_async.fleet.files import FileLimiters

        return FileLimiters(options["folder"], _window=options["window"]), None
    from zoho_async.fleet import Fleet

    fleet = Fleet(options["redis"], _window=options["window"], **options.get("fleet", {}))
    return fleet.limiters, fleet


class Timed:
    """Limiters that measure how long calls are in flight, from the moment at which they could have started."""

    def __init__(self, limiters: Limiters) -> None:
        self.limiters = limiters
        self.seconds: list[float] = []
        self.late = 0.0
        """By how much the last timer was late: so late is a call that may start, on a loaded machine."""

    async def watch(self) -> None:
        while True:
            due = time.monotonic() + 0.02
            await asyncio.sleep(0.02)
            self.late = time.monotonic() - due

    def of(self, organization: tuple[str, ...], limits: Limits) -> Any:
        gatekeeper: Any = self.limiters.of(organization, limits)
        acquire = gatekeeper.acquire

        async def timed(*arguments: Any, **more: Any) -> Permit:
            permit, begun = await acquire(*arguments, **more), time.monotonic() - self.late

            class TimedPermit:
                def done(_, report: Report) -> None:  # noqa: N805
                    self.seconds.append(time.monotonic() - begun)
                    permit.done(report)

            return TimedPermit()

        return SimpleNamespace(acquire=timed, quota=gatekeeper.quota, change=gatekeeper.change)


async def main(options: dict[str, Any]) -> None:
    limiters, closing = limiters_of(options)
    timed = Timed(limiters)
    limits, tasks = Limits(**options["limits"]), options.get("tasks", 10)
    count = 0
    async with Zoho(
        StaticToken(options["token"]),
        organization_id=options["organization"],
        api_url=options["url"],
        accounts_url=options["url"],
        limits=limits,
        limiters=timed,
        max_wait=None,
    ) as zoho:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        end, most = asyncio.get_running_loop().time() + options["seconds"], options.get("calls", inf)

        async def calls() -> None:
            nonlocal count
            while asyncio.get_running_loop().time() < end and count < most:
                await zoho.books.contacts.list()
                count += 1

        running = [asyncio.ensure_future(calls()) for _ in range(tasks)]
        watching = asyncio.ensure_future(timed.watch())
        await asyncio.wait(running, timeout=options["seconds"])
        running.append(watching)
        for one in running:
            one.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    if closing is not None:
        await closing.close()
    errors = sorted({f"{type(one).__name__}: {one}" for one in ended if isinstance(one, Exception)})
    print(json.dumps({"calls": count, "errors": errors, "in_flight": sum(timed.seconds)}), flush=True)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if ahead := given.get("clock_ahead"):
        real = time.time
        time.time = lambda: real() + ahead
    asyncio.run(main(given))
