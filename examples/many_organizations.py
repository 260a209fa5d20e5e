"""One client for each organisation of the account, on shared connections."""

import asyncio

from _client import connect

from zoho_async import Limits, Zoho


async def count(zoho: Zoho, organization_id: str) -> str:
    client = zoho.with_options(organization_id=organization_id)
    page = await client.books.contacts.list(per_page=200)
    return f"{organization_id}: {len(page)}{'+' if page.cursor else ''} contacts, {client.quota.remaining} calls left"


async def main() -> None:
    # Half of the calls are left to other programs.
    async with connect(limits=Limits(share=0.5)) as zoho:
        organizations = await zoho.books.organizations.list()
        for line in await asyncio.gather(*(count(zoho, one.organization_id) for one in organizations)):
            print(line)


asyncio.run(main())
