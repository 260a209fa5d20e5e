"""Create a contact with a person, an address and a custom field."""

import asyncio

from _client import connect, unique

from zoho_async import custom_fields
from zoho_async.books import AddressInput, ContactCreate, ContactPersonInput


async def main() -> None:
    async with connect() as zoho:
        contact = await zoho.books.contacts.create(
            ContactCreate(
                contact_name=unique("Bowman and Co"),
                contact_persons=[
                    ContactPersonInput(first_name="Will", email="will@bowman.example", is_primary_contact=True)
                ],
                billing_address=AddressInput(address="Harbour Street 1", city="Hamburg", country="Germany"),
                custom_fields=custom_fields(cf_region="North"),
            )
        )
        assert contact.contact_persons and contact.billing_address
        print(contact.contact_id, contact.contact_persons[0].email, contact.billing_address.city)


asyncio.run(main())
