"""How fast a push is beside a bare loop of creates with the same bodies, client and concurrency, limits off.

    python benchmarks/push_throughput.py [--rows 5000] [--rounds 3] [--concurrency 10] [--least 0.7] [--profile FILE]

The push reads a CSV file, checks every row, keeps its state on disk and sends each row by upsert; the loop is
`bulk.map` over `zoho.books.contacts.create` with bodies that are ready. FakeZoho is a process of its own and begins
empty each time. Both are measured by turns, and the medians compared. Exits 1 when the push reaches less of the loop's
contacts a second than `--least`. `--profile` writes what cProfile found in one more push, which counts for nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import KEY, Server, body, machine, server, write_csv

from zoho_async import Limits, StaticToken, Zoho, bulk


def client(fake: Server, concurrency: int) -> Zoho:
    limits = Limits(per_minute=None, concurrency=concurrency)
    return Zoho(
        StaticToken(fake.token),
        organization_id=fake.organization_id,
        limits=limits,
        api_url=fake.url,
        accounts_url=fake.url,
    )


async def push(fake: Server, file: Path, concurrency: int, state: Path, *, limit: int | None = None) -> float:
    """Seconds of a push of the file, or of `limit` of its rows, from opening it to the last outcome."""
    async with client(fake, concurrency) as zoho:
        begun = time.perf_counter()
        rows = bulk.open_rows(file)
        run = bulk.push(zoho.books.contacts, rows, upsert_by=KEY, state=state, concurrency=concurrency, limit=limit)
        async for outcome in run:
            if outcome.status != "done":
                raise RuntimeError(outcome.sentence(file.name))
        return time.perf_counter() - begun


async def loop(fake: Server, bodies: list[dict[str, Any]], concurrency: int) -> float:
    """Seconds of creating every body."""
    async with client(fake, concurrency) as zoho:
        begun = time.perf_counter()
        async for outcome in bulk.map(zoho.books.contacts.create, bodies, concurrency=concurrency):
            if outcome.status != "done":
                raise RuntimeError(f"{outcome.error}")
        return time.perf_counter() - begun


def main() -> int:
    """Prints both medians and what they are to each other; 1 when that is too little."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--least", type=float, default=0.7)
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    print(machine())
    bodies = [body(number) for number in range(given.rows)]
    pushes: list[float] = []
    loops: list[float] = []
    with server("--per-minute", "0") as fake, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "customers.csv"
        write_csv(file, given.rows)
        for number in range(given.rounds):
            fake.reset()
            loops.append(given.rows / asyncio.run(loop(fake, bodies, given.concurrency)))
            fake.reset()
            state = folder / f"{number}.sqlite"
            pushes.append(given.rows / asyncio.run(push(fake, file, given.concurrency, state)))
            print(f"round {number + 1}: bare creates {loops[-1]:,.0f}, push {pushes[-1]:,.0f} contacts a second")
        if given.profile is not None:
            fake.reset()
            with cProfile.Profile() as profile:
                asyncio.run(push(fake, file, given.concurrency, folder / "profiled.sqlite"))
            profile.dump_stats(given.profile)
    ratio = statistics.median(pushes) / statistics.median(loops)
    print(
        f"medians of {given.rounds} rounds of {given.rows:,}: bare creates {statistics.median(loops):,.0f}, "
        f"push {statistics.median(pushes):,.0f} contacts a second; {ratio:.2f}, at least {given.least:.2f}"
    )
    return 0 if ratio >= given.least else 1


if __name__ == "__main__":
    raise SystemExit(main())
