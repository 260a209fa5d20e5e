"""Push rows of a generator: each takes effect once, however often the program is stopped and started again."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from _client import connect, unique

from zoho_async import bulk

PREFIX = unique("Row")


def rows() -> Iterator[dict[str, str]]:
    for number in range(6):
        key = f"{PREFIX} {number}"
        yield {"contact_name": key, "cf_external_id": key, "billing_address.city": "Bonn"}
    yield {"cf_external_id": PREFIX}  # without a name


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "push.state.sqlite")
        async with connect() as zoho:
            for _ in range(2):
                async with bulk.push(zoho.books.contacts, rows(), upsert_by="cf_external_id", state=state) as run:
                    async for outcome in run:
                        if outcome.status != "done":
                            print(f"row {outcome.row.number}: {outcome.status}, {outcome.reason}")
                summary = run.summary
                print(f"created {summary.created}, unchanged {summary.unchanged}, failed {summary.failed}")
            assert (summary.created, summary.unchanged, summary.failed) == (0, 6, 1)


asyncio.run(main())
