"""Custom fields as typed attributes of a struct of one's own."""

import asyncio
from decimal import Decimal

import msgspec
from _client import connect, unique

from zoho_async import custom_fields
from zoho_async.books import ContactCreate


class Customer(msgspec.Struct):
    contact_id: str
    contact_name: str
    cf_region: str | None = None
    cf_discount: Decimal | None = None


async def main() -> None:
    async with connect() as zoho:
        name = unique("Typed Ltd")
        await zoho.books.contacts.create(
            ContactCreate(contact_name=name, custom_fields=custom_fields(cf_region="North", cf_discount=Decimal("2.5")))
        )
        async for row in zoho.books.contacts.list(contact_name=name, type=Customer):
            print(row)
            assert (row.cf_region, row.cf_discount) == ("North", Decimal("2.5"))


asyncio.run(main())
