"""How many calls a push spends on a contact, as the server counts them.

    python benchmarks/push_calls.py [--rows 1000] [--foreign 1000]

First pushes, reruns, pushes of which 2 % of the calls end without an answer (half of them before the service has
acted, half after), and updates. Calls are all that arrive, the pages of the target's list (the index) included, which
are also shown by themselves. Exits 1 when a push spends more than the limit shown beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

from measuring import KEY, Server, machine, row, server

from zoho_async import Limits, StaticToken, Zoho, bulk

AMBIGUOUS = 50
"""Every so many calls one ends without an answer: 2 %."""


async def pushed(fake: Server, rows: list[dict[str, str]], state: Path, **options: Any) -> dict[str, int]:
    """Pushes the rows to their end; the calls that arrived meanwhile, by operation id."""
    before = fake.requests()
    limits = Limits(per_minute=None)
    address: dict[str, Any] = {"api_url": fake.url, "accounts_url": fake.url}
    async with Zoho(StaticToken(fake.token), organization_id=fake.organization_id, limits=limits, **address) as zoho:
        run = bulk.push(zoho.books.contacts, rows, state=state, pause=0.05, **options)
        async for outcome in run:
            if outcome.status != "done":
                raise RuntimeError(outcome.sentence("the rows"))
    after = fake.requests()
    return {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}


def report(name: str, rows: int, calls: dict[str, int], limit: float | None = None) -> bool:
    """Prints one line. Whether the calls beside the index are within the limit, calls a contact; None: only stated."""
    total = sum(calls.values())
    index = calls.get("books.contacts.list", 0)
    each = (total - index) / rows
    kinds = ", ".join(f"{count:,} {operation.rpartition('.')[2]}" for operation, count in sorted(calls.items()))
    allowed = "" if limit is None else f", at most {limit:.2f}"
    print(f"{name:<50} {total / rows:6.3f} a contact = {each:.3f} + index {index / rows:.3f}{allowed}   ({kinds})")
    return limit is None or each <= limit


def disturb(fake: Server, operation: str, calls: int) -> None:
    """Has every 50th call of an operation end without an answer, by turns before and after it is executed."""
    cuts = ["reset_before", "reset_after"]
    faults = [cuts[number // AMBIGUOUS % 2] if number % AMBIGUOUS == 0 else "pass" for number in range(1, calls + 1)]
    fake.ask("POST", "script", {"operation": operation, "faults": faults})


async def measure(fake: Server, count: int, foreign: int, folder: Path) -> bool:
    """All pushes, one after the other; whether all kept within their limits."""
    rows = [row(number) for number in range(count)]
    strangers = [{"contact_name": f"Stranger {number}"} for number in range(foreign)]
    good: list[bool] = []

    state = folder / "empty.sqlite"
    good.append(report("upsert, empty target", count, await pushed(fake, rows, state, upsert_by=KEY), 1.0))
    good.append(report("the same again: unchanged", count, await pushed(fake, rows, state, upsert_by=KEY), 0.0))
    changed = [row(number, notes="pays by card") for number in range(count)]
    report("the same with other notes: updated", count, await pushed(fake, changed, state, upsert_by=KEY))
    report(
        "the same without its state: read, nothing sent",
        count,
        await pushed(fake, changed, folder / "new.sqlite", upsert_by=KEY),
    )

    fake.reset()
    fake.ask("POST", "seed", strangers)
    name = f"upsert, {foreign:,} contacts of others there"
    good.append(report(name, count, await pushed(fake, rows, folder / "foreign.sqlite", upsert_by=KEY), 1.0))

    fake.reset()
    disturb(fake, "books.contacts.upsert", count + count // AMBIGUOUS)
    calls = await pushed(fake, rows, folder / "ambiguous.sqlite", upsert_by=KEY)
    good.append(report("upsert, 2 % of the calls ambiguous", count, calls, 1.02))

    fake.reset()
    good.append(report("create, empty target", count, await pushed(fake, rows, folder / "create.sqlite"), 1.0))
    fake.reset()
    disturb(fake, "books.contacts.create", count + count // AMBIGUOUS)
    # Those that end without an answer are looked up together, by reading the newest of the list: index again.
    calls = await pushed(fake, rows, folder / "looked up.sqlite")
    good.append(report("create, 2 % of the calls ambiguous", count, calls, 1.02))
    stats = fake.ask("GET", "stats")["organizations"][fake.organization_id]
    print(f"contacts there in the end: {stats['contacts']:,} of {count:,}")
    return all(good) and stats["contacts"] == count


def main() -> int:
    """Prints a line for each push; 1 when one spent more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--foreign", type=int, default=1000, help="contacts of others that are there")
    options = parser.parse_args()
    print(machine())
    with server("--per-minute", "0") as fake, tempfile.TemporaryDirectory() as folder:
        good = asyncio.run(measure(fake, options.rows, options.foreign, Path(folder)))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
