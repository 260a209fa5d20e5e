"""What an organisation costs a process that serves thousands: bytes of memory, and microseconds a call at the gate.

    python benchmarks/organisations.py [--organisations 10000]

No network. Bytes are measured with tracemalloc for idle copies of one client, and for their limiters after a full
minute at the pace (the window then remembers one moment a call). Time is the best of five, for a gate that is open.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import time
import tracemalloc

from zoho_async import Limits, StaticToken, Zoho
from zoho_async.transport.hooks import Report


async def main(organisations: int) -> None:
    async with Zoho(StaticToken("t"), organization_id="0") as zoho:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        copies = [
            zoho.with_options(auth=StaticToken(f"t{number}"), organization_id=str(number))
            for number in range(organisations)
        ]
        limiters = [copy._transport.limiter("books") for copy in copies]
        idle = (tracemalloc.get_traced_memory()[0] - before) / organisations
        for limiter in limiters:
            # As after a minute of calls at the default pace, without waiting for one.
            now = asyncio.get_running_loop().time()
            limiter._finished.extend(now + number * 0.001 for number in range(95))
        busy = (tracemalloc.get_traced_memory()[0] - before) / organisations
        tracemalloc.stop()

        limiter = zoho.with_options(
            organization_id="x", limits=Limits(per_minute=1_000_000_000, burst=1_000_000_000)
        )._transport.limiter("books")
        report = Report(sent=True, decision="done")
        times = []
        for _ in range(5):
            limiter._finished.clear()
            begun = time.perf_counter()
            for _ in range(10_000):
                (await limiter.acquire()).done(report)
            times.append((time.perf_counter() - begun) / 10_000 * 1e6)
    print(f"Python {platform.python_version()}, {platform.machine()}, {organisations:,} organisations")
    print(f"bytes an organisation, idle (client copy, token, limiter): {idle:,.0f}")
    print(f"bytes an organisation, after a full minute at 95 a minute: {busy:,.0f}")
    print(f"microseconds to pass an open gate: {min(times):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--organisations", type=int, default=10_000)
    asyncio.run(main(parser.parse_args().organisations))
