"""Around the methods: an operation by its id with the whole response, and a path that has no method."""

import asyncio

import msgspec
from _client import connect


class Currency(msgspec.Struct):
    currency_id: str
    currency_code: str


class Currencies(msgspec.Struct):
    currencies: list[Currency]


async def main() -> None:
    async with connect() as zoho:
        response = await zoho.send("books.contacts.list", query={"per_page": 1})
        print(response.status, response.attempts, response.headers.get("x-rate-limit-remaining"), len(response.data))

        untyped = await zoho.request("GET", "/books/v3/contacts", query={"per_page": 1})
        print(sorted(untyped.data))

        typed = await zoho.request("GET", "/books/v3/settings/currencies", type=Currencies)
        print([one.currency_code for one in typed.data.currencies])


asyncio.run(main())
