"""An aiohttp session of one's own: a proxy, a private certificate, tracing. The client does not close it."""

import asyncio

import aiohttp
from _client import connect
from _proxy import proxy


async def main() -> None:
    async with (
        proxy() as (address, passed),
        aiohttp.ClientSession(proxy=address) as session,
        connect(session=session) as zoho,
    ):
        await zoho.books.contacts.list(per_page=1)
        assert passed[-1] == "GET /books/v3/contacts"
        print("through the proxy:", passed)


asyncio.run(main())
