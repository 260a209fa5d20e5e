"""List with a filter: all rows, then page by page, then on from a page that was kept."""

import asyncio

from _client import connect, unique


async def main() -> None:
    async with connect() as zoho:
        prefix = unique("Pages")
        for number in range(5):
            await zoho.books.contacts.create({"contact_name": f"{prefix} {number}"})

        found = zoho.books.contacts.list(filter_by="Status.Active", contact_name_startswith=prefix, per_page=2)
        async for page in found.pages():
            print(len(page), [row.contact_name for row in page], "more follow" if page.cursor else "the last page")

        first = await found  # one call: the first page
        rest = [row.contact_name async for row in found.resume(first.cursor)]
        assert len(first) + len(rest) == 5


asyncio.run(main())
