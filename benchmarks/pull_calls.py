"""How many calls a copy of a list costs: its first pull, and later ones with no, some and many changes.

    python benchmarks/pull_calls.py [--contacts 100000]

Beside them stands a full read of the list, which is what a connector does that has no modified-since filter. The list
comes from a server on this machine; what is counted are the requests that arrive there.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

from list_server import PER_PAGE, ListServer

from zoho_async import Limits, StaticToken, Zoho, bulk

CHANGES = (0, 100, 10_000)


async def measure(contacts: int, folder: Path) -> None:
    """Prints a line for each pull."""
    fake = ListServer(contacts)
    server = await fake.start()
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = Zoho(
        StaticToken("token"),
        organization_id="10234695",
        limits=Limits(per_minute=None),
        api_url=url,
        accounts_url=url,
    )
    pages = -(-contacts // PER_PAGE)
    print(f"{contacts:,} contacts; a full read: {pages:,} calls, with details {pages + contacts:,}")

    async def pulled(what: str, **options: Any) -> None:
        before = fake.calls
        summary = await bulk.pull(client.books.contacts, folder / "a.sqlite", **options)
        if fake.calls - before != summary.reads:
            raise RuntimeError(f"{summary.reads:,} calls are reported, {fake.calls - before:,} have arrived")
        print(f"{what}: {summary.reads:,} calls, {summary.changed:,} rows written", flush=True)

    async with server, client:
        await pulled("first pull")
        for changes in CHANGES:
            fake.change(changes)
            await pulled(f"{changes:,} changes")
        await pulled("0 changes, and a search for deletes (once a day)", deletes="now")


def main() -> None:
    """Prints the calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(given.contacts, Path(folder)))


if __name__ == "__main__":
    main()
