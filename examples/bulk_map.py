"""The same call for many contacts, some at once; one that fails does not stop the others."""

import asyncio

from _client import connect, unique

from zoho_async import bulk


async def main() -> None:
    async with connect() as zoho:
        ids = [(await zoho.books.contacts.create({"contact_name": unique("Old")})).contact_id for _ in range(3)]
        statuses = {}
        async for outcome in bulk.map(zoho.books.contacts.mark_inactive, [*ids, "1"], concurrency=5):
            print(outcome.item, outcome.status, outcome.error or "")
            statuses[outcome.item] = outcome.status
        assert statuses == {**dict.fromkeys(ids, "done"), "1": "failed"}


asyncio.run(main())
