"""How fast people's files are read: a workbook of 20,000 rows, and a mapped file beside a plain one.

    python benchmarks/people_files.py [--rows 20000] [--rounds 3] [--concurrency 10] [--seconds 2] [--least 0.9]

Reading is `open_rows` and one pass over the rows. The two pushes send the same records by upsert to a FakeZoho of its
own process, which begins empty each time; the mapped file has other names, a template and a table of words. Seconds of
the wall clock and of this process's CPU are given, since other processes may share the machine. Exits 1 when the
workbook takes more CPU than `--seconds`, or the mapped push reaches less of the plain one's rows a second of CPU than
`--least`.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import statistics
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from measuring import KEY, Server, machine, row, server

from zoho_async import Limits, StaticToken, Zoho, bulk

NAMES = {
    KEY: "Id",
    "contact_name": "Customer",
    "company_name": "Firm",
    "notes": "Remarks",
    "billing_address.address": "Street",
    "billing_address.city": "Town",
    "billing_address.zip": "Postcode",
    "contact_persons[0].first_name": "Contact",
    "contact_persons[0].email": "Mail",
}
MAPPING = """
[columns]
"Id" = "cf_external_id"
"Customer" = "contact_name"
"Firm" = "company_name"
"Remarks" = "notes"
"Street" = "billing_address.address"
"Town" = "billing_address.city"
"Contact" = "contact_persons[0].first_name"
[fields]
"billing_address.zip" = "{Postcode|unquoted}"
"contact_persons[0].email" = ["{Mail|first}", "{Id}@x.invalid"]
[values."billing_address.city"]
Pleasanton = "Pleasanton"
"""


def write(path: Path, header: list[str], rows: int) -> None:
    """A CSV file under a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(list(row(number).values()) for number in range(rows))


def read(path: Path) -> tuple[float, float]:
    """Seconds of the clock and of the CPU for opening a file and one pass over its rows."""
    begun, cpu = time.perf_counter(), time.process_time()
    count = sum(1 for one in bulk.open_rows(path) if not one.fault)
    assert count
    return time.perf_counter() - begun, time.process_time() - cpu


async def push(fake: Server, rows: bulk.RowFile, concurrency: int, state: Path) -> tuple[float, float]:
    """Seconds of the clock and of the CPU for a push."""
    limits = Limits(per_minute=None, concurrency=concurrency)
    client = Zoho(
        StaticToken(fake.token),
        organization_id=fake.organization_id,
        limits=limits,
        api_url=fake.url,
        accounts_url=fake.url,
    )
    async with client as zoho:
        begun, cpu = time.perf_counter(), time.process_time()
        run = bulk.push(zoho.books.contacts, rows, upsert_by=KEY, state=state, concurrency=concurrency)
        async for outcome in run:
            if outcome.status != "done":
                raise RuntimeError(outcome.sentence("input"))
        return time.perf_counter() - begun, time.process_time() - cpu


def main() -> int:
    """Prints the measures; 1 when one is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--pushed", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--least", type=float, default=0.9)
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    workbook: Any = import_module("support.xlsx").workbook
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sheet: list[Any] = [list(NAMES), *(list(row(number).values()) for number in range(given.rows))]
        (folder / "a.xlsx").write_bytes(workbook(("Customers", sheet)))
        read(folder / "a.xlsx")
        times = [read(folder / "a.xlsx") for _ in range(given.rounds)]
        wall, cpu = (statistics.median(one) for one in zip(*times, strict=True))
        print(f"{given.rows:,} rows of .xlsx read in {wall:.2f} s, {cpu:.2f} s of CPU; at most {given.seconds:.1f}")
        slow = cpu > given.seconds
        write(folder / "plain.csv", list(NAMES), given.pushed)
        write(folder / "mapped.csv", list(NAMES.values()), given.pushed)
        (folder / "m.toml").write_text(MAPPING, encoding="utf-8")
        cpus: dict[str, list[float]] = {"plain": [], "mapped": []}
        walls: dict[str, list[float]] = {"plain": [], "mapped": []}
        with server("--per-minute", "0") as fake:
            for number in range(given.rounds):
                for kind in cpus:
                    fake.reset()
                    begun, cpu = time.perf_counter(), time.process_time()
                    mapping = folder / "m.toml" if kind == "mapped" else None
                    rows = bulk.open_rows(folder / f"{kind}.csv", mapping=mapping)
                    bulk.check("books.contacts", rows, upsert_by=KEY)
                    asyncio.run(push(fake, rows, given.concurrency, folder / f"{kind}{number}.sqlite"))
                    walls[kind].append(time.perf_counter() - begun)
                    cpus[kind].append(time.process_time() - cpu)
    ratio = statistics.median(cpus["plain"]) / statistics.median(cpus["mapped"])
    for kind in cpus:
        print(
            f"{given.pushed:,} rows of a {kind} file pushed in {statistics.median(walls[kind]):.2f} s, "
            f"{statistics.median(cpus[kind]):.2f} s of CPU"
        )
    print(f"mapped to plain, by CPU: {ratio:.2f}, at least {given.least:.2f}")
    return 1 if slow or ratio < given.least else 0


if __name__ == "__main__":
    raise SystemExit(main())
