"""Whether one process that pushes to many organisations at once keeps each at its own pace.

    python benchmarks/push_organisations.py [--organisations 200] [--seconds 120] [--least 0.9]

Every organisation has a push of its own with its state on disk, 95 calls a minute, in real time, against a FakeZoho
that blocks whoever makes more than 100. Counted are the contacts the server has made in each during the second half of
the time; with the 120 seconds given that is the second minute, when the burst of the beginning is over. Exits 1 when an
organisation has less than `--least` of its 95.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from measuring import KEY, Server, machine, row, server

from zoho_async import Limits, StaticToken, Zoho, bulk

PER_MINUTE = 95


async def made(fake: Server) -> tuple[float, dict[str, int]]:
    """When it was asked, and how many contacts each organisation has."""
    now = time.perf_counter()
    stats = await asyncio.to_thread(fake.ask, "GET", "stats")
    return now, {name: one["contacts"] for name, one in stats["organizations"].items()}


async def consume(run: bulk.Push) -> None:
    async for outcome in run:
        if outcome.status != "done":
            raise RuntimeError(outcome.sentence("the rows"))


async def measure(fake: Server, organisations: list[str], seconds: float, folder: Path) -> list[float]:
    """For every organisation, the calls of the second half of the time as a part of what it was allowed."""
    rows = [row(number) for number in range(int(PER_MINUTE * seconds / 60) + 2 * PER_MINUTE)]
    limits = Limits(per_minute=PER_MINUTE)
    async with (
        Zoho(
            StaticToken(fake.token), organization_id="0", limits=limits, api_url=fake.url, accounts_url=fake.url
        ) as zoho,
        asyncio.TaskGroup() as group,
    ):
        runs = [
            bulk.push(
                zoho.with_options(organization_id=name).books.contacts,
                rows,
                upsert_by=KEY,
                state=folder / f"{name}.sqlite",
            )
            for name in organisations
        ]
        for run in runs:
            group.create_task(consume(run))
        await asyncio.sleep(seconds / 2)
        begun, before = await made(fake)
        await asyncio.sleep(seconds / 2)
        ended, after = await made(fake)
        for run in runs:
            run.stop()
    allowed = PER_MINUTE * (ended - begun) / 60
    return [(after[name] - before[name]) / allowed for name in organisations]


def main() -> int:
    """Prints the slowest, the median and the fastest organisation; 1 when the slowest is too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--organisations", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--least", type=float, default=0.9)
    given = parser.parse_args()
    if given.seconds < 120:
        parser.error("less than 120 seconds measures the burst of the first minute only")
    print(machine(), flush=True)
    names = [str(10_000_000 + number) for number in range(given.organisations)]
    wanted = [word for name in names for word in ("--organization", name)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = stack.enter_context(server("--per-minute", "100", *wanted))
        parts = asyncio.run(measure(fake, names, given.seconds, folder))
        stats = fake.ask("GET", "stats")
    used = resource.getrusage(resource.RUSAGE_SELF)
    refused = sum(one["requests"] - one["acted"] for one in stats["operations"].values())
    most = max(one["most_in_a_minute"] for one in stats["organizations"].values())
    window = given.seconds / 2
    print(
        f"{given.organisations} organisations at {PER_MINUTE} calls a minute; of that in the last {window:g} seconds: "
        f"slowest {min(parts):.1%}, median {statistics.median(parts):.1%}, fastest {max(parts):.1%}"
    )
    print(
        f"most calls of one in any 60 seconds {most}, refused {refused}; processor time of the process "
        f"{used.ru_utime + used.ru_stime:.0f} s of {given.seconds:g}"
    )
    return 0 if min(parts) >= given.least else 1


if __name__ == "__main__":
    raise SystemExit(main())
